//! Clients that mean no good, or cannot do better.

use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;

use crate::http::request;
use crate::hub::{Stage, Told};
use crate::websocket::Client;

const CALL: &str =
    "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}";
const RESULT: &str = "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}";

/// That the hub still serves others.
async fn serves(stage: &Stage) {
    let mut client = Client::open(stage, "", 1).await;
    client.say(CALL).await;
    assert_eq!(client.hear().await, RESULT);
}

#[tokio::test]
async fn nonsense_ends_its_own_connection_alone() {
    let mut stage = Stage::new().await;
    let deep = format!(
        "{{\"type\":1,\"target\":\"Echo\",\"arguments\":[{}",
        "[".repeat(10_000)
    );
    let texts = [
        "hello\u{1e}",
        "[]\u{1e}",
        "{\"type\":1}\u{1e}",
        "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"x\"}\u{1e}",
        &format!("{deep}\u{1e}"),
    ];
    for text in texts {
        let mut client = Client::open(&stage, "", 1).await;
        assert_eq!(stage.told().await, Told::Connected);
        client.say(text).await;
        let end = client.hear().await;
        assert!(end.starts_with("{\"type\":7,\"error\":"), "{text}: {end}");
        assert_eq!(stage.disconnected().await, "the client broke the protocol");
    }
    // Unknown kinds, and answers that nobody waits for, are none.
    let mut client = Client::open(&stage, "", 1).await;
    client
        .say("{\"type\":99}\u{1e}{\"type\":3,\"invocationId\":\"s0\"}\u{1e}")
        .await;
    client.say(CALL).await;
    assert_eq!(client.hear().await, RESULT);
    serves(&stage).await;
}

#[tokio::test]
async fn what_is_no_websocket_ends_its_own_connection_alone() {
    let mut stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    assert_eq!(stage.told().await, Told::Connected);
    // Frames of clients are masked; this is no frame at all.
    let stream = client.0.get_mut();
    stream.write_all(&[0xff; 100]).await.unwrap();
    assert_eq!(stage.disconnected().await, "the transport is gone");
    let mut client = Client::open(&stage, "", 1).await;
    assert_eq!(stage.told().await, Told::Connected);
    // More than any message may hold: the hub closes while this is still being written.
    let _ = client.0.send(Message::text("x".repeat(1 << 20))).await;
    assert_eq!(stage.disconnected().await, "the transport is gone");
    serves(&stage).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_any_more_is_given_up() {
    let soon = Duration::from_millis(80);
    let mut stage = Stage::with(|builder| builder.client_timeout(soon)).await;
    let _client = Client::open(&stage, "", 1).await;
    let reason = stage.disconnected().await;
    assert_eq!(reason, "the client was silent for too long");
    assert_eq!(stage.hub.count(), 0);
}

#[tokio::test]
async fn a_client_that_makes_no_handshake_is_given_up() {
    let soon = Duration::from_millis(80);
    let stage = Stage::with(|builder| builder.handshake_timeout(soon)).await;
    let mut client = Client::new(&stage, "").await;
    let end = "{\"error\":\"Handshake was canceled.\"}\u{1e}";
    assert_eq!(client.hear().await, end);
    assert!(matches!(client.message().await, Some(Message::Close(_))));
}

#[tokio::test]
async fn a_call_may_come_byte_by_byte() {
    let stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    for byte in CALL.chars() {
        client.say(&byte.to_string()).await;
    }
    assert_eq!(client.hear().await, RESULT);
}

#[tokio::test]
async fn a_flood_of_posts_is_taken_one_after_the_other() {
    let stage = Stage::new().await;
    let target = format!("?id={}", stage.negotiated().await);
    let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
    request(stage.address, "POST", &target, handshake).await;
    request(stage.address, "GET", &target, "").await;
    let body = CALL.repeat(10);
    let flood = (0..100).map(|_| request(stage.address, "POST", &target, &body));
    for answer in join_all(flood).await {
        assert_eq!(answer.status, 200);
    }
    let mut heard = String::new();
    while heard.matches(RESULT).count() < 1000 {
        heard += &request(stage.address, "GET", &target, "").await.body;
    }
    assert_eq!(heard, format!("{{}}\u{1e}{}", RESULT.repeat(1000)));
}

#[tokio::test]
async fn a_client_has_no_more_streams_than_it_may() {
    let stage = Stage::with(|builder| builder.streams_max(3)).await;
    let mut client = Client::open(&stage, "", 1).await;
    for id in 0..4 {
        let call = format!(
            "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"Sum\",\"arguments\":[],\
             \"streamIds\":[\"u{id}\"]}}\u{1e}"
        );
        client.say(&call).await;
    }
    let refused = client.hear().await;
    let expected = "\"invocationId\":\"3\",\"error\":\"An unexpected error occurred invoking 'Sum' \
        on the server. HubException: 3 are under way already\"";
    assert!(refused.contains(expected), "{refused}");
    let mut item = String::new();
    for _ in 0..100 {
        item += "{\"type\":2,\"invocationId\":\"u0\",\"item\":1}\u{1e}";
    }
    client.say(&item).await;
    client
        .say("{\"type\":3,\"invocationId\":\"u0\"}\u{1e}")
        .await;
    assert_eq!(
        client.hear().await,
        "{\"type\":3,\"invocationId\":\"0\",\"result\":100}\u{1e}"
    );
}

#[tokio::test]
async fn a_connection_is_in_no_more_groups_than_it_may() {
    let stage = Stage::with(|builder| builder.groups_max(2)).await;
    let _client = Client::open(&stage, "", 1).await;
    let connection = stage.hub.connections().remove(0);
    for (group, may) in [("a", true), ("b", true), ("b", true), ("c", false)] {
        assert_eq!(connection.join(group).is_ok(), may, "{group}");
    }
    connection.leave("a");
    assert!(connection.join("c").is_ok());
    assert_eq!(
        stage
            .hub
            .clients()
            .groups(["b", "c"])
            .send("X", ())
            .unwrap(),
        1
    );
    connection.close(None, false);
    assert!(connection.join("d").is_ok(), "and is none");
    assert_eq!(stage.hub.clients().group("b").send("X", ()).unwrap(), 0);
}
