//! What is due when, without sockets and with a clock that stands still until it is moved.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::Request;
use outgate_signalr_server::{HubError, SignalR, SignalRService, Transport};
use tower::ServiceExt as _;

const SECOND: Duration = Duration::from_secs(1);
const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

async fn ask(service: &SignalRService, method: &str, target: &str, body: &str) -> Response {
    let request = Request::builder().method(method).uri(target);
    let request = if target.contains("events") {
        request.header("accept", "text/event-stream")
    } else {
        request
    };
    let request = request.body(Body::from(body.to_owned())).unwrap();
    service.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

async fn negotiated(service: &SignalRService) -> serde_json::Value {
    let answer = ask(service, "POST", "/negotiate?negotiateVersion=1", "").await;
    serde_json::from_str(&text(answer).await).unwrap()
}

fn target(negotiated: &serde_json::Value) -> String {
    format!("/?id={}", negotiated["connectionToken"].as_str().unwrap())
}

/// A connection over events that has made its handshake, with what it hears.
async fn events(service: &SignalRService) -> (String, axum::body::BodyDataStream) {
    let target = target(&negotiated(service).await);
    let open = ask(service, "GET", &format!("{target}&events"), "").await;
    let mut heard = open.into_body().into_data_stream();
    assert_eq!(heard.next().await.unwrap().unwrap(), ":\r\n");
    ask(service, "POST", &target, HANDSHAKE).await;
    let welcome = heard.next().await.unwrap().unwrap();
    assert_eq!(welcome, "data: {}\u{1e}\r\n\r\n");
    (target, heard)
}

#[tokio::test(start_paused = true)]
async fn negotiations_that_nobody_comes_for_are_forgotten() {
    let (service, hub) = SignalR::builder().build();
    let late = target(&negotiated(&service).await);
    tokio::time::sleep(14 * SECOND).await;
    assert_eq!(hub.unconnected(), 1);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(hub.unconnected(), 0);
    assert_eq!(ask(&service, "GET", &late, "").await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_client_hears_pings_and_is_given_up_when_it_says_none() {
    let (service, hub) = SignalR::builder().build();
    let (_, mut heard) = events(&service).await;
    let ping = heard.next().await.unwrap().unwrap();
    assert_eq!(ping, "data: {\"type\":6}\u{1e}\r\n\r\n");
    assert_eq!(hub.count(), 1);
    let close = heard.next().await.unwrap().unwrap();
    let error = "Connection closed with an error.";
    let expected = format!("data: {{\"type\":7,\"error\":\"{error}\"}}\u{1e}\r\n\r\n");
    assert_eq!(close, expected);
    assert!(heard.next().await.is_none());
    assert_eq!(hub.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_pings_stays() {
    let (service, hub) = SignalR::builder().build();
    let (target, _heard) = events(&service).await;
    for _ in 0..10 {
        tokio::time::sleep(15 * SECOND).await;
        ask(&service, "POST", &target, "{\"type\":6}\u{1e}").await;
    }
    assert_eq!(hub.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_makes_no_handshake_is_told_and_dropped() {
    let (service, _hub) = SignalR::builder().build();
    let target = target(&negotiated(&service).await);
    let open = ask(&service, "GET", &format!("{target}&events"), "").await;
    let all = text(open).await;
    let error = "{\"error\":\"Handshake was canceled.\"}\u{1e}";
    assert_eq!(all, format!(":\r\ndata: {error}\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_end_is_forgotten_all_the_same() {
    let (service, hub) = SignalR::builder().build();
    let (target, _unread) = events(&service).await;
    hub.disconnect_all(None, false);
    let known = ask(&service, "POST", &target, "x").await;
    assert_eq!(known.status(), 404);
    assert_eq!(text(known).await, "");
    tokio::time::sleep(17 * SECOND).await;
    let forgotten = ask(&service, "POST", &target, "x").await;
    assert_eq!(text(forgotten).await, "No Connection with that ID");
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_news_ends_empty_and_a_client_that_polls_no_more_is_dropped() {
    let (service, hub) = SignalR::builder().build();
    let target = target(&negotiated(&service).await);
    assert_eq!(text(ask(&service, "GET", &target, "").await).await, "");
    ask(&service, "POST", &target, HANDSHAKE).await;
    assert_eq!(
        text(ask(&service, "GET", &target, "").await).await,
        "{}\u{1e}"
    );
    let began = tokio::time::Instant::now();
    let empty = ask(&service, "GET", &target, "").await;
    assert_eq!(began.elapsed(), 90 * SECOND);
    assert_eq!(empty.status(), 200);
    assert_eq!(text(empty).await, "");
    assert_eq!(hub.count(), 1);
    tokio::time::sleep(16 * SECOND).await;
    assert_eq!(hub.count(), 0);
    assert_eq!(ask(&service, "GET", &target, "").await.status(), 404);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_what_may_wait_hold_up_the_post_that_brings_them() {
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let gate = Arc::clone(&go);
    let (service, hub) = SignalR::builder()
        .calls_waiting_max(1)
        .on("Wait", move || {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                Ok::<_, HubError>(())
            }
        })
        .build();
    let (target, _heard) = events(&service).await;
    let wait = "{\"type\":1,\"target\":\"Wait\",\"arguments\":[]}\u{1e}";
    // One runs and one waits.
    ask(&service, "POST", &target, &wait.repeat(2)).await;
    let mut third = Box::pin(ask(&service, "POST", &target, wait));
    // Longer than a client may be silent: it is not, it is not heard.
    let held = tokio::time::timeout(100 * SECOND, &mut third).await;
    assert!(held.is_err());
    assert_eq!(hub.count(), 1);
    go.add_permits(1);
    assert_eq!(third.await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_client_run_one_after_the_other_unless_more_is_allowed() {
    for parallel in [1, 3] {
        let most = Arc::new(Mutex::new((0, 0)));
        let counted = Arc::clone(&most);
        let (service, _hub) = SignalR::builder()
            .parallel_calls(parallel)
            .on("Slow", move || {
                let counted = Arc::clone(&counted);
                async move {
                    let running = |change: i32| {
                        let mut counted = counted.lock().unwrap();
                        counted.0 += change;
                        counted.1 = counted.1.max(counted.0);
                    };
                    running(1);
                    tokio::time::sleep(SECOND).await;
                    running(-1);
                    Ok::<_, HubError>(())
                }
            })
            .build();
        let (target, _heard) = events(&service).await;
        let slow = "{\"type\":1,\"target\":\"Slow\",\"arguments\":[]}\u{1e}";
        ask(&service, "POST", &target, &slow.repeat(6)).await;
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(*most.lock().unwrap(), (0, i32::try_from(parallel).unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_stalls_is_offered_last_to_that_client() {
    let stalls = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&stalls);
    let (service, _hub) = SignalR::builder()
        .remember_stalls(|parts| {
            let query = parts.uri.query().unwrap_or_default();
            let device = query
                .split('&')
                .find_map(|field| field.strip_prefix("device="));
            device.map(Arc::from)
        })
        .on_stalled(move |key, transport| {
            told.lock().unwrap().push((key.to_owned(), transport));
        })
        .on("Nothing", async || Ok::<_, HubError>(()))
        .build();
    let negotiate = async |device: &str| {
        let target = format!("/negotiate?negotiateVersion=1&device={device}");
        let answer = ask(&service, "POST", &target, "").await;
        let found: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
        let offers = found["availableTransports"].as_array().unwrap();
        let first = offers[0]["transport"].as_str().unwrap().to_owned();
        let last = offers[2]["transport"].as_str().unwrap().to_owned();
        (target_of(&found), first, last)
    };
    let (target, first, _) = negotiate("7").await;
    assert_eq!(first, "WebSockets");
    // The stream is opened and read, and the client never says a word after its handshake: so it
    // has not seen the answer.
    let open = ask(&service, "GET", &format!("{target}&events"), "").await;
    ask(&service, "POST", &target, HANDSHAKE).await;
    text(open).await;
    let stalled = ("7".to_owned(), Transport::ServerSentEvents);
    assert_eq!(*stalls.lock().unwrap(), [stalled]);
    let (_, _, last) = negotiate("7").await;
    assert_eq!(last, "ServerSentEvents");
    let (_, _, last) = negotiate("8").await;
    assert_eq!(last, "LongPolling");
}

fn target_of(negotiated: &serde_json::Value) -> String {
    target(negotiated)
}
