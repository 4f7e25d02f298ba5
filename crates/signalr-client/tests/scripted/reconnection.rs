//! When the client comes back, and when it does not.

use std::time::Duration;

use outgate_signalr_client::{CallError, Cause, Policy, State, Transport};
use tokio::time::{Instant, sleep};

use crate::hub::{Fault, GONE, Hub};
use crate::{closed, reconnecting};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_after_microsofts_delays_and_then_no_more() {
    let hub = Hub::new();
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap();
    let peer = hub.accept().await;
    for _ in 0..4 {
        hub.answer(500, &[], "");
    }
    drop(peer);
    let cause = closed(&client).await.unwrap();
    assert!(
        matches!(cause, Cause::Status { status: 500, .. }),
        "{cause}"
    );
    assert_eq!(hub.negotiations(), [0, 0, 2, 12, 42]);
}

#[tokio::test(start_paused = true)]
async fn a_device_comes_back_for_ever_and_waits_for_as_long_as_the_server_wants() {
    let hub = Hub::new();
    for _ in 0..50 {
        hub.answer(503, &[("retry-after", "120")], "");
    }
    let builder = hub.builder().retry(Policy::DEVICE).retry_start(true);
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    let times = hub.negotiations();
    assert_eq!(times.len(), 51);
    for pair in times.windows(2) {
        assert!((120..=181).contains(&(pair[1] - pair[0])), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_is_tried_once_unless_told_otherwise() {
    let hub = Hub::new();
    hub.answer(500, &[], "");
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap_err();
    assert_eq!(hub.lines().len(), 1);
    // It can be started again.
    client.start().await.unwrap();
    client.start().await.unwrap();
    assert_eq!(hub.negotiations().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_silent_for_thirty_seconds_is_left_and_hears_pings_until_then() {
    for transport in [Transport::WebSockets, Transport::ServerSentEvents] {
        let hub = Hub::new();
        let builder = hub.builder().transports(&[transport]);
        let client = builder.retry(Policy::DEVICE).build().unwrap();
        client.start().await.unwrap();
        let mut peer = hub.accept().await;
        let start = Instant::now();
        assert_eq!(peer.said().await.unwrap(), r#"{"type":6}"#);
        assert_eq!(start.elapsed(), seconds(15));
        peer.say(r#"{"type":6}"#);
        let (attempt, cause) = reconnecting(&client).await;
        assert!(
            matches!((attempt, &cause), (1, Cause::Silent { .. })),
            "{cause}"
        );
        assert_eq!(start.elapsed(), seconds(45));
    }
}

#[tokio::test(start_paused = true)]
async fn polls_are_held_without_end_and_show_that_the_hub_lives() {
    let hub = Hub::new();
    let builder = hub.builder().transports(&[Transport::LongPolling]);
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    let mut peer = hub.accept().await;
    // A proxy has less patience than the hub, and no message is lost by that.
    hub.answer_poll(504);
    hub.answer_poll(504);
    sleep(seconds(1000)).await;
    assert!(client.state().borrow().is_connected());
    client.on("Go", |()| async {});
    peer.say(r#"{"type":1,"target":"Go","arguments":[]}"#);
    // Now and then it is shown that the server still knows the client.
    let polls = hub
        .lines()
        .iter()
        .filter(|it| it.starts_with("GET"))
        .count();
    assert!(polls > 10, "{polls}");
    for _ in 0..16 {
        assert_eq!(peer.said().await.unwrap(), r#"{"type":6}"#);
    }
    client.stop().await;
    assert_eq!(peer.said().await.unwrap(), r#"{"type":7}"#);
    assert_eq!(peer.said().await.unwrap(), GONE);
    assert!(hub.lines().last().unwrap().starts_with("DELETE"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_forgotten_the_connection_is_found_out_by_a_poll() {
    let hub = Hub::new();
    let builder = hub.builder().transports(&[Transport::LongPolling]);
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    let _peer = hub.accept().await;
    hub.answer_poll(404);
    let cause = closed(&client).await.unwrap();
    assert!(
        matches!(cause, Cause::Status { status: 404, .. }),
        "{cause}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_closes_decides_whether_the_client_comes_back() {
    let good = r#"{"type":7,"error":"draining","allowReconnect":true}"#;
    let last = r#"{"type":7,"error":"revoked"}"#;
    let hub = Hub::new();
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap();
    hub.accept().await.say(good);
    let peer = hub.accept().await;
    assert!(client.state().borrow().is_connected());
    peer.say(last);
    let cause = closed(&client).await.unwrap();
    assert_eq!(cause.to_string(), "the hub closed the connection: revoked");
    let builder = hub.builder().retry(Policy::default());
    let client = builder.return_always(true).build().unwrap();
    client.start().await.unwrap();
    hub.accept().await.say(last);
    hub.accept().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_an_answer_learns_that_the_connection_has_ended() {
    let hub = Hub::new();
    let client = hub.builder().retry(Policy::default()).build().unwrap();
    client.start().await.unwrap();
    let mut peer = hub.accept().await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.invoke::<u8>("Wait", ()).await }
    });
    let id = peer.asked().await["invocationId"].clone();
    drop(peer);
    let lost = waiting.await.unwrap();
    assert!(matches!(lost, Err(CallError::Lost)), "{lost:?}");
    // An answer that comes over the next connection meets nobody, and ids are not used again.
    let mut peer = hub.accept().await;
    peer.say(&format!(r#"{{"type":3,"invocationId":{id},"result":1}}"#));
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.invoke::<u8>("Wait", ()).await }
    });
    assert_ne!(peer.asked().await["invocationId"], id);
    client.stop().await;
    assert!(matches!(again.await.unwrap(), Err(CallError::Lost)));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_stop_arrives_before_the_close() {
    for transport in Transport::ALL {
        let hub = Hub::new();
        let client = hub.builder().transports(&[transport]).build().unwrap();
        client.start().await.unwrap();
        let mut peer = hub.accept().await;
        for number in 0..10 {
            client.send("Note", (number,)).await.unwrap();
        }
        client.stop().await;
        for number in 0..10 {
            assert_eq!(peer.asked().await["arguments"][0], number);
        }
        assert_eq!(peer.said().await.unwrap(), r#"{"type":7}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_nobody_holds_leaves() {
    let hub = Hub::new();
    let client = hub.builder().retry(Policy::DEVICE).build().unwrap();
    client.start().await.unwrap();
    let mut peer = hub.accept().await;
    drop(client);
    assert_eq!(peer.said().await.unwrap(), r#"{"type":7}"#);
    assert_eq!(peer.said().await.unwrap(), GONE);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_between_two_tries() {
    let hub = Hub::new().with_fault(Transport::WebSockets, Fault::None);
    hub.answer(503, &[("retry-after", "3600")], "");
    let builder = hub.builder().retry(Policy::DEVICE).retry_start(true);
    let client = builder.build().unwrap();
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start().await }
    });
    reconnecting(&client).await;
    let start = Instant::now();
    client.stop().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    starting.await.unwrap().unwrap_err();
    assert!(matches!(
        &*client.state().borrow(),
        State::Closed { cause: None }
    ));
}
