//! WebSockets, message for message.

use futures_util::{SinkExt as _, StreamExt as _};
use outgate_signalr_server::{Identity, SlowPeer, Transport};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::http::request;
use crate::hub::{PATIENCE, Stage, Told, by_token};

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// A client that says what it is told.
pub(crate) struct Client(pub(crate) WebSocketStream<TcpStream>);

impl Client {
    pub(crate) async fn new(stage: &Stage, query: &str) -> Self {
        let stream = TcpStream::connect(stage.address).await.unwrap();
        let url = format!("ws://{}/hub{query}", stage.address);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self(socket)
    }

    /// One that has made its handshake, as version 1 or 2.
    pub(crate) async fn open(stage: &Stage, query: &str, version: u32) -> Self {
        let mut client = Self::new(stage, query).await;
        let handshake = HANDSHAKE.replace('1', &version.to_string());
        client.say(&handshake).await;
        assert_eq!(client.hear().await, "{}\u{1e}");
        client
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Option<Message> {
        let message = tokio::time::timeout(PATIENCE, self.0.next()).await;
        message.expect("a message comes").map(Result::unwrap)
    }

    pub(crate) async fn hear(&mut self) -> String {
        match self.message().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("{other:?} is no text"),
        }
    }
}

#[tokio::test]
async fn json_goes_in_text_and_message_pack_in_bytes() {
    let stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    client
        .say("{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[{\"a\": 1}]}\u{1e}")
        .await;
    let answer = "{\"type\":3,\"invocationId\":\"1\",\"result\":{\"a\": 1}}\u{1e}";
    assert_eq!(client.hear().await, answer);
    let mut client = Client::new(&stage, "").await;
    client.say(&HANDSHAKE.replace("json", "messagepack")).await;
    let welcome = client.message().await.unwrap();
    assert_eq!(welcome, Message::binary(&b"{}\x1e"[..]));
    let call = &b"\x0d\x96\x01\x80\xa1x\xa4Echo\x91\x2a\x90\x02\x91\x06"[..];
    client.0.send(Message::binary(call)).await.unwrap();
    let answer = client.message().await.unwrap();
    assert_eq!(
        answer,
        Message::binary(&b"\x07\x95\x03\x80\xa1x\x03\x2a"[..])
    );
}

#[tokio::test]
async fn handshake_and_calls_may_share_a_frame_and_come_in_pieces() {
    let stage = Stage::new().await;
    let mut client = Client::new(&stage, "").await;
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}";
    let (first, second) = call.split_at(9);
    client.say(&format!("{HANDSHAKE}{first}")).await;
    client.say(second).await;
    assert_eq!(client.hear().await, "{}\u{1e}");
    assert_eq!(
        client.hear().await,
        "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}"
    );
}

#[tokio::test]
async fn calls_that_come_together_are_all_answered_in_their_order() {
    let stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    let numbers = 0..100;
    for number in numbers.clone() {
        let call = format!(
            "{{\"type\":1,\"invocationId\":\"{number}\",\"target\":\"Add\",\"arguments\":[{number},0]}}\u{1e}"
        );
        client.0.feed(Message::text(call)).await.unwrap();
    }
    client.0.flush().await.unwrap();
    for number in numbers {
        let answer =
            format!("{{\"type\":3,\"invocationId\":\"{number}\",\"result\":{number}}}\u{1e}");
        assert_eq!(client.hear().await, answer);
    }
}

#[tokio::test]
async fn a_ping_of_the_websocket_is_answered_and_a_close_with_1000() {
    let mut stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    client.0.send(Message::Ping("x".into())).await.unwrap();
    assert_eq!(client.message().await, Some(Message::Pong("x".into())));
    let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    client.0.send(Message::Close(Some(close))).await.unwrap();
    let Some(Message::Close(Some(answer))) = client.message().await else {
        panic!("no close");
    };
    assert_eq!(answer.code, CloseCode::Normal);
    assert_eq!(client.message().await, None);
    assert_eq!(stage.told().await, Told::Connected);
    let reason = stage.disconnected().await;
    assert_eq!(reason, "the client closed the connection");
}

#[tokio::test]
async fn a_connection_is_carried_once_and_takes_no_posts() {
    let stage = Stage::new().await;
    let query = format!("?id={}", stage.negotiated().await);
    let _client = Client::open(&stage, &query, 1).await;
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let url = format!("ws://{}/hub{query}", stage.address);
    let second = tokio_tungstenite::client_async(url, stream).await;
    assert!(second.unwrap_err().to_string().contains("409"));
    let post = request(stage.address, "POST", &query, "x").await;
    let text = "POST requests are not allowed for WebSocket connections.";
    assert_eq!((post.status, &*post.body), (405, text));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection_with_words() {
    let mut stage = Stage::with(|builder| builder.message_max(100)).await;
    let mut client = Client::open(&stage, "", 1).await;
    client.say(&"x".repeat(101)).await;
    assert_eq!(
        client.hear().await,
        "{\"type\":7,\"error\":\"Connection closed with an error.\"}\u{1e}"
    );
    assert!(matches!(client.message().await, Some(Message::Close(_))));
    let reason = stage.disconnected().await;
    assert_eq!(reason, "the client broke the protocol");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_messages_is_ended() {
    let mut stage = Stage::with(|builder| builder.waiting_max(10, 1 << 20)).await;
    let client = Client::open(&stage, "", 1).await;
    assert_eq!(stage.told().await, Told::Connected);
    let long = "x".repeat(100_000);
    // Nobody reads, so sooner or later the system takes no more.
    while stage.hub.count() == 1 {
        stage
            .hub
            .clients()
            .all()
            .send("Received", ("a", &long))
            .unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.disconnected().await, "the client was too slow");
    drop(client);
}

#[tokio::test]
async fn a_slow_client_may_miss_old_news_where_that_is_said() {
    let stage = Stage::with(|builder| {
        builder
            .waiting_max(10, 1 << 20)
            .slow_peer(SlowPeer::Conflate)
    })
    .await;
    let mut client = Client::open(&stage, "", 1).await;
    // On one thread the connection's task does not run in between.
    for price in 0..1000 {
        let clients = stage.hub.clients().all().about("price");
        clients.send("Price", (price,)).unwrap();
    }
    let last = "{\"type\":1,\"target\":\"Price\",\"arguments\":[999]}\u{1e}";
    assert_eq!(client.hear().await, last);
}

#[tokio::test]
async fn a_stateful_connection_goes_on_over_another_websocket() {
    let mut stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
    let target = "/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let answer = request(stage.address, "POST", target, "").await;
    let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let query = format!("?id={}", found["connectionToken"].as_str().unwrap());
    let mut first = Client::open(&stage, &query, 2).await;
    let call = |number: u32| {
        format!(
            "{{\"type\":1,\"invocationId\":\"{number}\",\"target\":\"Add\",\"arguments\":[{number},0]}}\u{1e}"
        )
    };
    let result = |number: u32| {
        format!("{{\"type\":3,\"invocationId\":\"{number}\",\"result\":{number}}}\u{1e}")
    };
    first.say(&call(1)).await;
    assert_eq!(first.hear().await, result(1));
    // The first breaks without a close, or is replaced before that is seen.
    drop(first);
    let mut second = Client::new(&stage, &query).await;
    second.say("{\"type\":9,\"sequenceId\":1}\u{1e}").await;
    second.say(&call(1)).await;
    second.say(&call(2)).await;
    assert_eq!(second.hear().await, "{\"type\":9,\"sequenceId\":1}\u{1e}");
    assert_eq!(second.hear().await, result(1));
    assert_eq!(second.hear().await, result(2));
    assert_eq!(stage.told().await, Told::Connected);
    assert_eq!(stage.hub.count(), 1);
    second.0.send(Message::Close(None)).await.unwrap();
    stage.disconnected().await;
}

#[tokio::test]
async fn a_socket_that_another_replaces_is_closed_and_heard_no_more() {
    let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
    let target = "/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let answer = request(stage.address, "POST", target, "").await;
    let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let query = format!("?id={}", found["connectionToken"].as_str().unwrap());
    let mut first = Client::open(&stage, &query, 2).await;
    let mut second = Client::new(&stage, &query).await;
    assert_eq!(second.hear().await, "{\"type\":9,\"sequenceId\":1}\u{1e}");
    // Half a record on the old one must not come before what the new one says.
    first.say("{\"type\":1,").await;
    second.say("{\"type\":9,\"sequenceId\":1}\u{1e}").await;
    second
        .say("{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}")
        .await;
    let result = "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}";
    assert_eq!(second.hear().await, result);
    assert!(matches!(first.message().await, Some(Message::Close(_))));
}

#[tokio::test]
async fn a_stateful_connection_that_nobody_takes_up_again_ends() {
    let soon = std::time::Duration::from_millis(40);
    let mut stage =
        Stage::with(|builder| builder.stateful_reconnect(true).disconnect_timeout(soon)).await;
    let target = "/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let answer = request(stage.address, "POST", target, "").await;
    let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let query = format!("?id={}", found["connectionToken"].as_str().unwrap());
    drop(Client::open(&stage, &query, 2).await);
    assert_eq!(stage.disconnected().await, "the transport is gone");
    assert_eq!(stage.hub.count(), 0);
}

#[tokio::test]
async fn a_hub_that_shuts_down_tells_its_clients_to_come_back_and_takes_no_more() {
    let stage = Stage::new().await;
    let mut client = Client::open(&stage, "", 1).await;
    let hub = stage.hub.clone();
    let down = tokio::spawn(async move { hub.shut_down(PATIENCE).await });
    assert_eq!(
        client.hear().await,
        "{\"type\":7,\"allowReconnect\":true}\u{1e}"
    );
    let close = client.message().await;
    assert!(matches!(close, Some(Message::Close(_))), "{close:?}");
    assert_eq!(client.message().await, None);
    assert!(down.await.unwrap());
    let target = "/negotiate?negotiateVersion=1";
    assert_eq!(request(stage.address, "POST", target, "").await.status, 503);
}

#[tokio::test]
async fn all_connections_of_a_user_are_closed_with_and_without_a_handshake() {
    let stage = Stage::with(|builder| builder.authenticate(by_token)).await;
    let mut ada = Client::open(&stage, "?access_token=user-ada", 1).await;
    let mut early = Client::new(&stage, "?access_token=user-ada").await;
    let mut bob = Client::open(&stage, "?access_token=user-bob", 1).await;
    let is_ada = |identity: &Identity| identity.user.as_deref() == Some("ada");
    assert_eq!(
        stage.hub.disconnect_where(is_ada, Some("revoked"), false),
        2
    );
    let close = "{\"type\":7,\"error\":\"revoked\"}\u{1e}";
    assert_eq!(ada.hear().await, close);
    assert!(matches!(early.message().await, Some(Message::Close(_))));
    bob.say("{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}")
        .await;
    let result = "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}";
    assert_eq!(bob.hear().await, result);
}

#[tokio::test]
async fn a_websocket_that_is_accepted_and_then_dropped_is_offered_last() {
    let (sender, mut stalled) = tokio::sync::mpsc::unbounded_channel();
    let stage = Stage::with(|builder| {
        let builder = builder.remember_stalls(|_| Some("the only one".into()));
        builder.on_stalled(move |_, transport| {
            let _ = sender.send(transport);
        })
    })
    .await;
    // As behind a proxy that passes the upgrade on and then nothing more.
    let query = format!("?id={}", stage.negotiated().await);
    drop(Client::new(&stage, &query).await);
    let transport = tokio::time::timeout(PATIENCE, stalled.recv()).await;
    assert_eq!(transport.unwrap(), Some(Transport::WebSockets));
    let answer = request(stage.address, "POST", "/negotiate?negotiateVersion=1", "").await;
    let found: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let offers = found["availableTransports"].as_array().unwrap();
    let order = offers
        .iter()
        .map(|offer| offer["transport"].as_str().unwrap());
    let expected = ["ServerSentEvents", "LongPolling", "WebSockets"];
    assert_eq!(order.collect::<Vec<_>>(), expected);
}
