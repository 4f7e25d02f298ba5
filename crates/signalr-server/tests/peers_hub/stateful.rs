//! Connections that outlive their WebSockets.

use serde_json::{Value, json};

use crate::hub::{Stage, Told};
use crate::microsoft::run;
use crate::relay::Relay;

/// What it finds of a connection that is cut now and then.
pub(crate) fn stateful() -> Value {
    json!({
        "sums": true,
        "counted": true,
        "same": true,
        "heard": true,
        "sockets": true,
        "trouble": [],
    })
}

#[tokio::test]
async fn microsofts_client_loses_nothing_and_hears_nothing_twice_when_its_sockets_break() {
    for protocol in ["json", "messagepack"] {
        let mut stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
        let relay = Relay::to(stage.address).await;
        let options = json!({
            "url": format!("http://{}/hub", relay.address),
            "transport": "WebSockets",
            "protocol": protocol,
            "cutter": relay.cutter.to_string(),
        });
        let found = run("stateful", options).await;
        assert_eq!(found, stateful(), "{protocol}");
        assert_eq!(stage.told().await, Told::Connected);
        let reason = stage.disconnected().await;
        assert!(reason.starts_with("the client closed"), "{reason}");
    }
}

#[tokio::test]
async fn a_client_in_a_hurry_hears_soon_what_has_come() {
    for protocol in ["json", "messagepack"] {
        let stage = Stage::with(|builder| builder.stateful_reconnect(true)).await;
        let url = format!("http://{}/hub", stage.address);
        let options = json!({"url": url, "transport": "WebSockets", "protocol": protocol});
        let found = run("hurries", options).await;
        // Ten kilobytes each. It keeps a hundred of them and then waits.
        assert_eq!(found, json!({"widest": 3, "most": true}), "{protocol}");
    }
}
