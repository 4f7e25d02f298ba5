//! Negotiation, and requests that fit no connection.

use outgate_signalr_server::Transport;
use serde_json::{Value, json};

use crate::http::{begin, request};
use crate::hub::{Stage, by_token};

const OFFERED: &str = concat!(
    r#""availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},"#,
    r#"{"transport":"ServerSentEvents","transferFormats":["Text"]},"#,
    r#"{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#
);

#[tokio::test]
async fn version_1_has_a_public_name_and_a_secret_token() {
    let stage = Stage::new().await;
    let answer = request(stage.address, "POST", "/negotiate?negotiateVersion=7", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let name = found["connectionId"].as_str().unwrap();
    let token = found["connectionToken"].as_str().unwrap();
    assert_eq!((name.len(), token.len()), (22, 22), "128 bits in base 64");
    let expected = format!(
        r#"{{"negotiateVersion":1,"connectionId":"{name}","connectionToken":"{token}",{OFFERED}"#
    );
    assert_eq!(answer.body, expected);
    let by_name = request(stage.address, "GET", &format!("?id={name}"), "").await;
    assert_eq!(by_name.status, 404, "the public name opens nothing");
    assert_eq!(stage.hub.unconnected(), 1);
}

#[tokio::test]
async fn version_0_has_one_name_and_a_stale_one_is_ignored() {
    let stage = Stage::new().await;
    let answer = request(stage.address, "POST", "/Negotiate?id=stale", "").await;
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let name = found["connectionId"].as_str().unwrap();
    let expected = format!(r#"{{"negotiateVersion":0,"connectionId":"{name}",{OFFERED}"#);
    assert_eq!(answer.body, expected);
    let poll = request(stage.address, "GET", &format!("?ID={name}&_=1"), "").await;
    assert_eq!((poll.status, &*poll.body), (200, ""));
}

#[tokio::test]
async fn a_version_that_is_no_number_is_refused_in_the_answer() {
    let stage = Stage::new().await;
    let answer = request(stage.address, "POST", "/negotiate?negotiateVersion=x", "").await;
    let error = "The client requested a non-integer protocol version.";
    assert_eq!(answer.body, json!({"error": error}).to_string());
    assert_eq!(stage.hub.unconnected(), 0);
}

#[tokio::test]
async fn a_stateful_connection_is_promised_only_where_it_is_asked_for_and_allowed() {
    for (allowed, asked, promised) in [
        (true, "&useStatefulReconnect=true", true),
        (true, "", false),
        (false, "&useStatefulReconnect=true", false),
    ] {
        let stage = Stage::with(|builder| builder.stateful_reconnect(allowed)).await;
        let target = format!("/negotiate?negotiateVersion=1{asked}");
        let answer = request(stage.address, "POST", &target, "").await;
        let found = answer.body.contains(r#""useStatefulReconnect":true"#);
        assert_eq!(found, promised, "{}", answer.body);
    }
}

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn check(stage: &Stage, requests: &[(&str, &str, &str, u16, &str)]) {
    for (method, target, headers, status, text) in requests {
        let open = begin(stage.address, method, target, headers, "").await;
        let answer = open.whole().await;
        let found = (answer.status, &*answer.body);
        assert_eq!(found, (*status, *text), "{method} {target} {headers}");
    }
}

#[tokio::test]
async fn requests_that_fit_no_connection_are_refused_as_aspnet_does() {
    let (missing, unknown) = ("Connection ID required", "No Connection with that ID");
    let requests = [
        ("GET", "", "", 400, missing),
        ("POST", "", "", 400, missing),
        ("GET", "?id=none", "", 404, unknown),
        ("POST", "?id=none", "", 404, unknown),
        ("DELETE", "?id=none", "", 404, unknown),
        ("GET", "?id=none", UPGRADE, 404, unknown),
        ("PUT", "", "", 405, ""),
        ("GET", "/negotiate", "", 405, ""),
    ];
    check(&Stage::new().await, &requests).await;
}

#[tokio::test]
async fn requests_that_do_not_fit_their_connection_are_refused_as_aspnet_does() {
    let stage =
        Stage::with(|builder| builder.transports([Transport::WebSockets, Transport::LongPolling]))
            .await;
    let fresh = format!("?id={}", stage.negotiated().await);
    let polled = format!("?id={}", stage.negotiated().await);
    request(stage.address, "GET", &polled, "").await;
    let events = "accept: text/event-stream\r\n";
    let requests = [
        (
            "GET",
            &*fresh,
            events,
            404,
            "ServerSentEvents transport not supported by this end point type",
        ),
        (
            "GET",
            &*polled,
            UPGRADE,
            400,
            "Cannot change transports mid-connection",
        ),
        (
            "DELETE",
            &*fresh,
            "",
            400,
            "Cannot terminate this connection using the DELETE endpoint.",
        ),
    ];
    check(&stage, &requests).await;
}

#[tokio::test]
async fn another_users_connection_cannot_be_opened() {
    let stage = Stage::with(|builder| builder.authenticate(by_token)).await;
    let target = "/negotiate?negotiateVersion=1&access_token=user-ada";
    let answer = request(stage.address, "POST", target, "").await;
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    let token = found["connectionToken"].as_str().unwrap();
    for (shown, status) in [("", 401), ("&access_token=user-bob", 403)] {
        let answer = request(stage.address, "GET", &format!("?id={token}{shown}"), "").await;
        assert_eq!(answer.status, status);
    }
    let own = format!("?id={token}&access_token=user-ada");
    assert_eq!(request(stage.address, "GET", &own, "").await.status, 200);
}

#[tokio::test]
async fn negotiations_that_nobody_comes_for_are_bounded() {
    let stage = Stage::with(|builder| builder.unconnected_max(100)).await;
    for _ in 0..100 {
        stage.negotiated().await;
    }
    let answer = request(stage.address, "POST", "/negotiate?negotiateVersion=1", "").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(stage.hub.unconnected(), 100);
}
