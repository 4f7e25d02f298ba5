//! Which transport is reached, and when.

use std::time::Duration;

use outgate_signalr_client::{Cause, Memory, Policy, State, Transport};
use tokio::time::Instant;

use crate::hub::{Fault, Hub};

use Transport::{LongPolling, ServerSentEvents, WebSockets};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The way behind nginx as it comes: no upgrade, and events are kept.
fn behind_nginx() -> Hub {
    Hub::new()
        .with_fault(WebSockets, Fault::Status(400))
        .with_fault(ServerSentEvents, Fault::Stalls)
}

#[tokio::test(start_paused = true)]
async fn events_that_are_kept_on_the_way_lead_to_polling_after_five_seconds() {
    let hub = behind_nginx();
    let client = hub.builder().build().unwrap();
    let start = Instant::now();
    client.start().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(hub.accept().await.transport, ServerSentEvents);
    let mut peer = hub.accept().await;
    assert_eq!(peer.transport, LongPolling);
    let answer = tokio::spawn({
        let client = client.clone();
        async move { client.invoke::<u8>("Add", (1, 2)).await }
    });
    let asked = peer.asked().await;
    peer.say(&format!(
        r#"{{"type":3,"invocationId":{},"result":3}}"#,
        asked["invocationId"]
    ));
    assert_eq!(answer.await.unwrap().unwrap(), 3);
    // Each try is negotiated anew.
    assert_eq!(hub.negotiations().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_stalled_is_not_tried_first_when_the_client_comes_back() {
    let hub = behind_nginx();
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap();
    hub.accept().await;
    drop(hub.accept().await);
    assert_eq!(hub.accept().await.transport, LongPolling);
    assert_eq!(hub.negotiations(), [0, 0, 5, 5]);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn on_another_network_the_first_transport_is_tried_again() {
    let hub = behind_nginx();
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap();
    hub.accept().await;
    let polling = hub.accept().await;
    hub.fault(WebSockets, Fault::None);
    client.set_memory(Memory::default());
    drop(polling);
    assert_eq!(hub.accept().await.transport, WebSockets);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_opens_and_says_nothing_or_closes_is_not_taken() {
    for (fault, after) in [
        (Fault::Stalls, 5),
        (Fault::Silent, 5),
        (Fault::Closes, 0),
        (Fault::Status(403), 0),
    ] {
        let hub = Hub::new().with_fault(WebSockets, fault);
        let client = hub.builder().build().unwrap();
        let start = Instant::now();
        client.start().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), after, "{fault:?}");
        assert_eq!(hub.accept().await.transport, ServerSentEvents);
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_transport_works_each_is_told_with_its_cause() {
    let hub = Hub::new()
        .with_fault(WebSockets, Fault::Status(403))
        .with_fault(ServerSentEvents, Fault::Stalls)
        .with_fault(LongPolling, Fault::Closes);
    let client = hub.builder().build().unwrap();
    let cause = client.start().await.unwrap_err();
    assert_eq!(
        cause.to_string(),
        "no transport works: WebSockets: the server answered the WebSocket's handshake with status \
         403: is the token right?; ServerSentEvents: the handshake took longer than 5s; \
         LongPolling: the connection was cut off"
    );
    assert!(matches!(&*client.state().borrow(), State::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_is_cut_off_early_twice_makes_room_for_the_next() {
    let hub = Hub::new();
    let client = hub.builder().retry(Policy::DEVICE).build().unwrap();
    client.start().await.unwrap();
    for transport in [WebSockets, WebSockets, ServerSentEvents] {
        let peer = hub.accept().await;
        assert_eq!(peer.transport, transport);
        tokio::time::sleep(seconds(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_refuses_the_handshake_is_not_asked_again_over_another_transport() {
    let hub = Hub::new();
    hub.welcome_with("{\"error\":\"not today\"}\u{1e}");
    let client = hub.builder().build().unwrap();
    let cause = client.start().await.unwrap_err();
    assert_eq!(
        cause.to_string(),
        "the hub refuses the handshake: not today"
    );
    assert_eq!(hub.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_negotiation_a_websocket_is_opened_at_once() {
    let hub = Hub::new();
    let client = hub.builder().skip_negotiation().build().unwrap();
    client.start().await.unwrap();
    assert_eq!(hub.lines(), ["GET /hub"]);
    let State::Connected { connection_id, .. } = client.state().borrow().clone() else {
        panic!("not connected");
    };
    assert_eq!(connection_id, None);
}

#[tokio::test(start_paused = true)]
async fn a_redirection_is_followed_with_its_token_and_the_applications_stays_behind() {
    let hub = Hub::new();
    let elsewhere = r#"{"url":"http://other.test:81/there?a=b","accessToken":"theirs"}"#;
    hub.answer(200, &[], elsewhere);
    let token = outgate_signalr_client::Token::new("ours".to_owned());
    let client = hub.builder().token(token).build().unwrap();
    client.start().await.unwrap();
    let requests = hub.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|it| (it.authority.to_string(), &*it.line, &*it.authorization))
        .collect();
    let first = "POST /hub/negotiate?negotiateVersion=1";
    let second = "POST /there/negotiate?a=b&negotiateVersion=1";
    let other = || "other.test:81".to_owned();
    assert_eq!(
        seen,
        [
            ("hub.test:80".to_owned(), first, "Bearer ours"),
            (other(), second, "Bearer theirs"),
            (other(), "GET /there?a=b&id=t1", "Bearer theirs"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_is_asked_for_once_more() {
    let hub = Hub::new();
    let count = std::sync::atomic::AtomicU32::new(0);
    let client = hub.builder().token_factory(move || {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = outgate_signalr_client::Token::new(format!("token-{count}"));
        std::future::ready(Ok::<_, std::io::Error>(token))
    });
    let client = client.retry(Policy::default()).build().unwrap();
    hub.answer(401, &[], "");
    client.start().await.unwrap();
    drop(hub.accept().await);
    hub.accept().await;
    let shown: Vec<_> = hub
        .requests()
        .into_iter()
        .map(|it| it.authorization)
        .collect();
    let expected = ["token-0", "token-1", "token-1", "token-2", "token-2"];
    assert_eq!(shown, expected.map(|token| format!("Bearer {token}")));
    hub.answer(401, &[], "");
    hub.answer(401, &[], "");
    client.stop().await;
    let cause = client.start().await.unwrap_err();
    assert!(
        matches!(cause, Cause::Status { status: 401, .. }),
        "{cause}"
    );
}

#[tokio::test(start_paused = true)]
async fn cookies_of_a_load_balancer_come_back_with_every_request() {
    let hub = Hub::new().with_fault(WebSockets, Fault::Status(400));
    hub.answer(
        200,
        &[("set-cookie", "machine=7; path=/")],
        r#"{"url":"http://hub.test/hub"}"#,
    );
    let client = hub.builder().build().unwrap();
    client.start().await.unwrap();
    let cookies: Vec<_> = hub.requests().into_iter().map(|it| it.cookie).collect();
    assert_eq!(cookies[0], "");
    assert!(
        cookies[1..].iter().all(|it| it == "machine=7"),
        "{cookies:?}"
    );
}
