//! Connections that outlive their WebSocket, on the wire.

use std::time::Duration;

use outgate_signalr_client::{Client, Transport};
use tokio::time::Instant;

use crate::hub::{Hub, Peer};

async fn connected(hub: &Hub, transport: Transport) -> (Client, Peer) {
    let builder = hub.builder().stateful(true).transports(&[transport]);
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    (client, hub.accept().await)
}

fn call(text: &str) -> String {
    format!(r#"{{"type":1,"target":"Go","arguments":["{text}"]}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_of_version_2_over_a_websocket_alone() {
    for transport in Transport::ALL {
        let hub = Hub::new();
        let (_client, _peer) = connected(&hub, transport).await;
        let version = if transport == Transport::WebSockets {
            2
        } else {
            1
        };
        let expected = format!(r#"{{"protocol":"json","version":{version}}}"#);
        assert_eq!(hub.handshakes(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_come_is_acknowledged_after_a_second_or_when_it_is_much() {
    let hub = Hub::new();
    let (_client, mut peer) = connected(&hub, Transport::WebSockets).await;
    let start = Instant::now();
    peer.say(&call("a"));
    peer.say(r#"{"type":6}"#);
    peer.say(&call("b"));
    assert_eq!(peer.said().await.unwrap(), r#"{"type":8,"sequenceId":2}"#);
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let long = "x".repeat(10_000);
    let start = Instant::now();
    for _ in 0..3 {
        peer.say(&call(&long));
    }
    assert_eq!(peer.said().await.unwrap(), r#"{"type":8,"sequenceId":5}"#);
    assert_eq!(start.elapsed(), Duration::ZERO);
    // Nothing but the ping after it.
    assert_eq!(peer.said().await.unwrap(), r#"{"type":6}"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_stops_at_a_hundred_thousand_bytes_and_pings_go_on() {
    let hub = Hub::new();
    let (client, mut peer) = connected(&hub, Transport::WebSockets).await;
    let sending = tokio::spawn(async move {
        let long = "x".repeat(10_000);
        for _ in 0..100 {
            client.send("Go", (&long,)).await.unwrap();
        }
        client
    });
    let mut count = 0;
    while peer.said().await.unwrap() != r#"{"type":6}"# {
        count += 1;
    }
    // Full, the batch that fills it goes beyond.
    assert!((10..=17).contains(&count), "{count}");
    let mut acknowledged = count;
    while acknowledged < 100 {
        peer.say(&format!(r#"{{"type":8,"sequenceId":{acknowledged}}}"#));
        peer.asked().await;
        acknowledged += 1;
    }
    sending.await.unwrap();
}
