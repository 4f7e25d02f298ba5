//! Long polling, request by request.

use outgate_signalr_server::Protocol;

use crate::http::{begin, request};
use crate::hub::{Stage, Told};

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

impl Stage {
    /// A connection over long polling that has made its handshake.
    async fn polling(&self) -> String {
        let target = format!("?id={}", self.negotiated().await);
        let first = request(self.address, "GET", &target, "").await;
        assert_eq!((first.status, &*first.body), (200, ""));
        request(self.address, "POST", &target, HANDSHAKE).await;
        let welcome = request(self.address, "GET", &target, "").await;
        assert_eq!(welcome.body, "{}\u{1e}");
        target
    }
}

#[tokio::test]
async fn a_post_may_come_before_the_first_poll_and_bring_parts() {
    let stage = Stage::new().await;
    let target = format!("?id={}", stage.negotiated().await);
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}";
    let (first, second) = call.split_at(20);
    for body in [&format!("{HANDSHAKE}{first}"), second] {
        let answer = request(stage.address, "POST", &target, body).await;
        assert_eq!((answer.status, &*answer.body), (200, ""));
    }
    let activated = request(stage.address, "GET", &target, "").await;
    assert_eq!((activated.status, &*activated.body), (200, ""));
    let answer = request(stage.address, "GET", &target, "").await;
    assert_eq!(
        answer.body,
        "{}\u{1e}{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}"
    );
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("cache-control", "no-cache, no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}

#[tokio::test]
async fn a_newer_poll_ends_an_older_one_and_gets_what_comes() {
    let stage = Stage::new().await;
    let target = stage.polling().await;
    let older = tokio::spawn({
        let (address, target) = (stage.address, target.clone());
        async move { begin(address, "GET", &target, "", "").await.whole().await }
    });
    let newer = tokio::spawn({
        let (address, target) = (stage.address, target.clone());
        async move { begin(address, "GET", &target, "", "").await.whole().await }
    });
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\u{1e}";
    // Which of them came first is the system's to say: the first to end is that one, and says so.
    let (mut older, mut newer) = (older, newer);
    let (first, rest) = tokio::select! {
        first = &mut older => (first.unwrap(), newer),
        first = &mut newer => (first.unwrap(), older),
    };
    assert_eq!((first.status, &*first.body), (204, ""));
    request(stage.address, "POST", &target, call).await;
    let second = rest.await.unwrap();
    let result = "{\"type\":3,\"invocationId\":\"1\",\"result\":3}\u{1e}";
    assert_eq!((second.status, &*second.body), (200, result));
}

#[tokio::test]
async fn deleting_ends_the_connection_and_a_hanging_poll() {
    let mut stage = Stage::new().await;
    let target = stage.polling().await;
    let hanging = tokio::spawn({
        let (address, target) = (stage.address, target.clone());
        async move { request(address, "GET", &target, "").await }
    });
    let deleted = request(stage.address, "DELETE", &target, "").await;
    assert_eq!(deleted.status, 202);
    let reason = stage.disconnected().await;
    assert_eq!(reason, "the client closed the connection");
    let status = hanging.await.unwrap().status;
    // The poll may have come after the end.
    assert!(status == 204 || status == 404, "{status}");
    let late = request(stage.address, "POST", &target, "x").await;
    assert_eq!(late.status, 404);
}

#[tokio::test]
async fn a_hanging_poll_is_told_of_the_servers_end_and_the_next_that_it_is_over() {
    let mut stage = Stage::new().await;
    let target = stage.polling().await;
    assert_eq!(stage.told().await, Told::Connected);
    let hanging = tokio::spawn({
        let (address, target) = (stage.address, target.clone());
        async move { request(address, "GET", &target, "").await }
    });
    let connection = stage.hub.connections().remove(0);
    assert!(
        stage
            .hub
            .close_connection(connection.id(), Some("revoked"), false)
    );
    let told = hanging.await.unwrap();
    assert_eq!(told.body, "{\"type\":7,\"error\":\"revoked\"}\u{1e}");
    assert_eq!(request(stage.address, "GET", &target, "").await.status, 204);
    assert_eq!(request(stage.address, "GET", &target, "").await.status, 404);
    assert_eq!(
        stage.disconnected().await,
        "the server closed the connection"
    );
}

#[tokio::test]
async fn a_post_that_ends_the_connection_is_taken_and_a_poll_tells_why() {
    let stage = Stage::with(|builder| builder.protocols([Protocol::MessagePack])).await;
    let target = format!("?id={}", stage.negotiated().await);
    request(stage.address, "GET", &target, "").await;
    let taken = request(stage.address, "POST", &target, HANDSHAKE).await;
    assert_eq!((taken.status, &*taken.body), (200, ""));
    let late = request(stage.address, "POST", &target, HANDSHAKE).await;
    assert_eq!(late.status, 404);
    let told = request(stage.address, "GET", &target, "").await;
    let refusal = "{\"error\":\"The protocol 'json' is not supported.\"}\u{1e}";
    assert_eq!(told.body, refusal);
}
