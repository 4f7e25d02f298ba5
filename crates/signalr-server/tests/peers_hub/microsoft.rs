//! Microsoft's own client in JavaScript, in Node.

use outgate_signalr_server::Transport;
use outgate_testbed::packages;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::hub::{Stage, Told, by_token};

/// Each transport with each protocol that it carries, as the script has them.
pub(crate) const WAYS: [(Transport, &str); 5] = [
    (Transport::WebSockets, "json"),
    (Transport::WebSockets, "messagepack"),
    (Transport::ServerSentEvents, "json"),
    (Transport::LongPolling, "json"),
    (Transport::LongPolling, "messagepack"),
];

/// Runs a part of the script and gives what it found; of several parts, between commas, by part. `authority` is a
/// file of what it trusts beside the rest.
pub(crate) async fn run(part: &str, options: Value) -> Value {
    let modules = packages().unwrap().join("node/node_modules");
    let script = include_str!("microsoft.js");
    let mut node = Command::new("node");
    if let Some(authority) = options["authority"].as_str() {
        node.env("NODE_EXTRA_CA_CERTS", authority);
    }
    node.arg("-e").arg(script).arg(modules).arg(part);
    let ran = outgate_testbed::run(node.arg(options.to_string())).await;
    let (_, text) = ran.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{part} {options}: {text}"))
}

/// What it finds of calls.
pub(crate) fn calls(transport: Transport) -> Value {
    let unexpected = "An unexpected error occurred invoking";
    let failed = "Failed to invoke";
    let mode = "The client attempted to invoke the";
    json!({
        "echoed": true,
        "sum": 5,
        "nothing": null,
        "case": 3,
        "transport": transport.as_str(),
        "refused": format!("{unexpected} 'Refuse' on the server. HubException: not today"),
        "failed": format!("{unexpected} 'Fail' on the server."),
        "panicked": format!("{unexpected} 'Panic' on the server."),
        "unknown": format!("{failed} 'Nope' due to an error on the server. \
            HubException: Method does not exist."),
        "few": format!("{failed} 'Add' due to an error on the server."),
        "streams": format!("{mode} streaming 'Counter' method with a non-streaming \
            invocation."),
        "doesNotStream": format!("{mode} non-streaming 'Add' method with a streaming \
            invocation."),
        "state": "Disconnected",
    })
}

/// What it finds of streams.
pub(crate) fn streams() -> Value {
    let torn = "An error occurred on the server while streaming results. HubException: torn";
    json!({
        "counted": (0..100).collect::<Vec<_>>(),
        "broken": {"items": [1], "error": torn},
        "endless": [0, 1, 2],
        "sum": 5050,
        "doubled": [2, 4, 6],
        "after": 3,
    })
}

/// What it finds of calls of the server's.
pub(crate) fn answers() -> Value {
    json!({
        "answered": "you said yes, ready?",
        "failed": "An unexpected error occurred invoking 'AskMe' on the server.",
        "nobody": "An unexpected error occurred invoking 'AskMe' on the server.",
    })
}

/// What two of them find of groups and users.
pub(crate) fn groups() -> Value {
    json!({
        "ada": ["all hello", "group both", "user for ada", "end end"],
        "bob": ["all hello", "other from ada", "group both", "end end"],
        "toUser": 1,
        "toGroups": 2,
        "toLeft": 1,
    })
}

fn url(stage: &Stage) -> String {
    format!("http://{}/hub", stage.address)
}

fn way(stage: &Stage, transport: Transport, protocol: &str) -> Value {
    json!({"url": url(stage), "transport": transport.as_str(), "protocol": protocol})
}

#[tokio::test]
async fn calls_are_answered_in_aspnets_words_over_every_transport_in_both_protocols() {
    for (transport, protocol) in WAYS {
        let mut stage = Stage::new().await;
        let found = run("calls", way(&stage, transport, protocol)).await;
        assert_eq!(found, calls(transport), "{transport:?} {protocol}");
        assert_eq!(stage.told().await, Told::Connected);
        let reason = stage.disconnected().await;
        assert!(reason.starts_with("the client closed"), "{reason}");
        assert_eq!(stage.hub.count(), 0);
    }
}

#[tokio::test]
async fn streams_flow_both_ways_and_end_when_nobody_wants_them() {
    for (transport, protocol) in WAYS {
        let mut stage = Stage::new().await;
        let found = run("streams", way(&stage, transport, protocol)).await;
        assert_eq!(found, streams(), "{transport:?} {protocol}");
        assert_eq!(stage.told().await, Told::Connected);
        assert_eq!(stage.told().await, Told::StreamDropped);
    }
}

#[tokio::test]
async fn clients_answer_calls_of_the_servers() {
    for (transport, protocol) in WAYS {
        let stage = Stage::new().await;
        let found = run("answers", way(&stage, transport, protocol)).await;
        assert_eq!(found, answers(), "{transport:?} {protocol}");
    }
}

#[tokio::test]
async fn bytes_and_points_of_time_are_what_each_protocol_has_for_them() {
    for (transport, protocol) in WAYS {
        let stage = Stage::new().await;
        let found = run("native", way(&stage, transport, protocol)).await;
        let expected = if protocol == "messagepack" {
            json!({
                "turned": ["bytes ff1e00", "time 2024-02-29T12:00:00.000Z"],
                "streamed": [
                    "time 2024-03-01T00:00:00.000Z, bytes ff00",
                    "time 2024-03-01T00:00:00.123Z, bytes ff00",
                    "time 1960-01-02T00:00:00.500Z, bytes ff00",
                ],
                "asked": "time 2024-02-28T12:00:00.000Z, bytes 070809",
                "seen": "time 2024-02-29T12:00:00.000Z, bytes 090807",
            })
        } else {
            json!({
                "turned": ["text /x4A", "text 2024-02-29T12:00:00Z"],
                "streamed": [
                    "text 2024-03-01T00:00:00Z, text /wA=",
                    "text 2024-03-01T00:00:00.123Z, text /wA=",
                    "text 1960-01-02T00:00:00.5Z, text /wA=",
                ],
                "asked": "text 2024-02-28T12:00:00Z, text BwgJ",
                "seen": "text 2024-02-29T12:00:00Z, text CQgH",
            })
        };
        assert_eq!(found, expected, "{transport:?} {protocol}");
    }
}

#[tokio::test]
async fn groups_users_and_everyone_hear_what_is_theirs_once() {
    for (transport, protocol) in WAYS {
        let stage = Stage::with(|builder| builder.authenticate(by_token)).await;
        let found = run("groups", way(&stage, transport, protocol)).await;
        assert_eq!(found, groups(), "{transport:?} {protocol}");
    }
}

#[tokio::test]
async fn whoever_shows_no_token_is_told_so() {
    let stage = Stage::with(|builder| builder.authenticate(by_token)).await;
    let found = run("refused", way(&stage, Transport::WebSockets, "json")).await;
    let error = found["error"].as_str().unwrap();
    assert!(error.contains("Unauthorized: Status code '401'"), "{error}");
}

#[tokio::test]
async fn the_server_closes_with_and_without_a_way_back() {
    for (transport, protocol) in WAYS {
        let stage = Stage::new().await;
        let found = run("closes", way(&stage, transport, protocol)).await;
        assert_eq!(
            found,
            json!({
                "error": "Error: Server returned an error on close: enough",
                "again": "Connected",
                "another": true,
            }),
            "{transport:?} {protocol}"
        );
    }
}

#[tokio::test]
async fn a_client_that_negotiates_nothing_needs_one_request() {
    let stage = Stage::new().await;
    let found = run("skips", way(&stage, Transport::WebSockets, "json")).await;
    assert_eq!(found, json!({"sum": 5}));
}

#[tokio::test]
async fn a_redirection_is_followed_with_its_token() {
    let target = Stage::with(|builder| builder.authenticate(by_token)).await;
    let url = url(&target);
    let first = Stage::with(|builder| {
        builder.redirect(move |_| {
            let token = outgate_signalr_server::Token::new("user-ada".to_owned());
            let url = url.clone();
            let access_token = Some(token);
            Some(outgate_signalr_server::Redirection { url, access_token })
        })
    })
    .await;
    let found = run("whoami", way(&first, Transport::WebSockets, "json")).await;
    assert_eq!(found, json!({"user": "ada"}));
}
