//! Server-Sent Events, byte for byte.

use crate::http::{begin, request};
use crate::hub::Stage;

#[tokio::test]
async fn events_begin_at_once_and_nothing_on_the_way_is_to_keep_them() {
    let mut stage = Stage::new().await;
    let target = format!("?id={}", stage.negotiated().await);
    let accept = "accept: text/event-stream\r\n";
    let mut open = begin(stage.address, "GET", &target, accept, "").await;
    assert_eq!(open.answer.status, 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("content-encoding", "identity"),
        ("cache-control", "no-cache, no-store"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(open.answer.header(name), Some(value));
    }
    open.until(":\r\n").await;
    let second = begin(stage.address, "GET", &target, accept, "").await;
    assert_eq!(second.answer.status, 409);
    let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
    request(stage.address, "POST", &target, handshake).await;
    open.until("data: {}\u{1e}\r\n\r\n").await;
    drop(open);
    let reason = stage.disconnected().await;
    assert_eq!(reason, "the client closed the connection");
}

#[tokio::test]
async fn message_pack_has_no_way_through_events() {
    let stage = Stage::new().await;
    let target = format!("?id={}", stage.negotiated().await);
    let accept = "accept: text/event-stream\r\n";
    let mut open = begin(stage.address, "GET", &target, accept, "").await;
    let handshake = "{\"protocol\":\"messagepack\",\"version\":1}\u{1e}";
    request(stage.address, "POST", &target, handshake).await;
    open.until("Cannot use the 'messagepack' protocol on the current transport.")
        .await;
}

#[tokio::test]
async fn events_end_when_the_server_closes() {
    let stage = Stage::new().await;
    let target = format!("?id={}", stage.negotiated().await);
    let accept = "accept: text/event-stream\r\nconnection: close\r\n";
    let mut open = begin(stage.address, "GET", &target, accept, "").await;
    let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
    request(stage.address, "POST", &target, handshake).await;
    open.until("{}").await;
    stage.hub.disconnect_all(None, true);
    open.until("{\"type\":7,\"allowReconnect\":true}").await;
    assert!(open.is_over().await);
}
