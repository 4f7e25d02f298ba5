//! Clients in Python.

use outgate_signalr_server::Transport;
use outgate_testbed::python;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::hub::{Stage, by_token};

const REFUSED: &str =
    "An unexpected error occurred invoking 'Refuse' on the server. HubException: not today";

async fn run(script: &str, arguments: &[&str]) -> Value {
    let mut command = Command::new(python().unwrap());
    let ran = outgate_testbed::run(command.arg("-c").arg(script).args(arguments)).await;
    let (_, text) = ran.unwrap();
    let last = text.lines().find(|line| line.starts_with('{'));
    let found = last.and_then(|line| serde_json::from_str(line).ok());
    found.unwrap_or_else(|| panic!("{arguments:?}: {text}"))
}

/// It negotiates in version 0.
#[tokio::test]
async fn pysignalr_is_served_in_both_protocols() {
    for protocol in ["json", "messagepack"] {
        let stage = Stage::with(|builder| builder.authenticate(by_token)).await;
        let url = format!("http://{}/hub", stage.address);
        let found = run(include_str!("pysignalr.py"), &[&url, protocol]).await;
        let expected = json!({
            "echoed": true,
            "user": "ada",
            "answered": "you said yes, ready?",
            "counted": true,
            "summed": ["sum", "5050"],
            "refused": REFUSED,
        });
        assert_eq!(found, expected, "{protocol}");
    }
}

/// It posts before its first poll. What it cannot do itself is left out: polling in MessagePack,
/// showing its token in polls, reading more than one message of a poll.
#[tokio::test]
async fn signalrcore_is_served_over_every_transport() {
    for (transport, protocol) in [
        (Transport::WebSockets, "json"),
        (Transport::WebSockets, "messagepack"),
        (Transport::ServerSentEvents, "json"),
        (Transport::LongPolling, "json"),
    ] {
        let polls = transport == Transport::LongPolling;
        let stage = if polls {
            Stage::new().await
        } else {
            Stage::with(|builder| builder.authenticate(by_token)).await
        };
        let url = format!("http://{}/hub", stage.address);
        let arguments = [&*url, transport.as_str(), protocol];
        let found = run(include_str!("signalrcore.py"), &arguments).await;
        let mut expected = json!({
            "echoed": true,
            "user": (!polls).then_some("ada"),
            "transport": transport.as_str(),
            "refused": REFUSED,
        });
        if !polls {
            expected["counted"] = json!(true);
        }
        if protocol == "json" {
            expected["summed"] = json!(["sum", "5050"]);
        }
        assert_eq!(found, expected, "{transport:?} {protocol}");
    }
}
