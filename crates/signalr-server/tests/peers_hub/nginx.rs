//! Microsoft's client through nginx, set up as it comes and as it should be.

use std::net::SocketAddr;

use outgate_testbed::{Program, free, nginx};
use serde_json::json;
use tempfile::TempDir;

use crate::hub::Stage;
use crate::microsoft::run;

/// What lets WebSockets through.
pub(crate) const UPGRADE: &str = "proxy_http_version 1.1; \
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";

/// nginx before a hub, with these directives.
pub(crate) async fn before(hub: SocketAddr, directives: &str) -> (Program, SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let address = free().unwrap();
    let server = format!(
        "server {{ listen {address}; location / {{ proxy_pass http://{hub}; {directives} }} }}"
    );
    let mut command = nginx(folder.path(), &server).unwrap();
    let program = Program::start(&mut command, folder.path(), address).await;
    (program.unwrap(), address, folder)
}

async fn chosen(directives: &str, protocol: &str) -> String {
    let stage = Stage::new().await;
    let (_nginx, address, _folder) = before(stage.address, directives).await;
    let url = format!("http://{address}/hub");
    let options = json!({"url": url, "transport": "WebSockets", "protocol": protocol});
    let found = run("chosen", options).await;
    let (heard, counted) = (&found["heard"], &found["counted"]);
    assert_eq!((heard, counted), (&json!("hello"), &json!(100)), "{found}");
    found["transport"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_proxy_that_strips_the_upgrade_and_buffers_leaves_events_and_polls() {
    assert_eq!(chosen("", "json").await, "ServerSentEvents");
    assert_eq!(chosen("", "messagepack").await, "LongPolling");
}

#[tokio::test]
async fn a_proxy_that_passes_the_upgrade_on_leaves_websockets() {
    assert_eq!(chosen(UPGRADE, "json").await, "WebSockets");
    assert_eq!(chosen(UPGRADE, "messagepack").await, "WebSockets");
}
