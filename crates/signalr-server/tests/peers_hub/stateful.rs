//! Connections that outlive their WebSockets.

use serde_json::json;

use crate::hub::{Stage, Told};
use crate::microsoft::run;
use crate::relay::Relay;

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
        let all = json!({
            "sums": true,
            "counted": true,
            "same": true,
            "heard": true,
            "sockets": true,
            "trouble": [],
        });
        assert_eq!(found, all, "{protocol}");
        assert_eq!(stage.told().await, Told::Connected);
        let reason = stage.disconnected().await;
        assert!(reason.starts_with("the client closed"), "{reason}");
    }
}
