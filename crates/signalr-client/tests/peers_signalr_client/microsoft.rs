//! Beside Microsoft's client in JavaScript, on the same hub.

use std::net::SocketAddr;

use futures_util::StreamExt;
use outgate_testbed::{packages, run};
use tokio::process::Command;

use crate::hub::Stage;
use crate::nginx::Nginx;

/// What it says, a line each. `transports` is what it may choose from, as `HttpTransportType` adds
/// them up.
async fn microsoft(address: SocketAddr, transports: &str) -> String {
    let modules = packages().unwrap().join("node/node_modules");
    let url = format!("http://{address}/hub");
    let mut command = Command::new("node");
    command.args(["-e", include_str!("microsoft.js")]);
    command.arg(modules).args([&url, transports]);
    run(&mut command).await.unwrap().1
}

#[tokio::test]
async fn the_hubs_errors_are_told_in_the_same_words() {
    let stage = Stage::new().await;
    let client = stage.client().build().unwrap();
    client.start().await.unwrap();
    let mut words = Vec::new();
    for (method, argument) in [
        ("Refuse", None),
        ("Nope", None),
        ("Echo", None),
        ("Count", Some("1")),
        ("AskMe", Some("why")),
    ] {
        let call = client.call(method);
        let call = match argument {
            Some("1") => call.arguments((1,)),
            Some(text) => call.arguments((text,)),
            None => call,
        };
        words.push(call.invoke::<()>().await.unwrap_err().to_string());
    }
    let mut broken = client.stream::<u32>("Broken", ()).await.unwrap();
    broken.next().await.unwrap().unwrap();
    words.push(broken.next().await.unwrap().unwrap_err().to_string());
    let theirs = microsoft(stage.address, "1").await;
    let theirs: Vec<&str> = theirs.lines().collect();
    assert_eq!(words, theirs);
}

/// What makes a client of its own worth while: see `nginx.rs` for what this one does there.
#[tokio::test]
async fn microsofts_client_does_not_reach_polling_where_events_are_kept() {
    let patience = std::time::Duration::from_secs(2);
    let stage = Stage::with(|builder| builder.handshake_timeout(patience)).await;
    let location = "proxy_ignore_headers X-Accel-Buffering;";
    let nginx = Nginx::start(stage.address, location, "").await;
    let theirs = microsoft(nginx.address, "7").await;
    // Nothing of its calls; what it says in their place depends on what comes first when the hub
    // has waited for long enough.
    assert!(!theirs.contains("HubException"), "{theirs}");
    assert!(
        theirs.contains("Error") || theirs.contains("failed"),
        "{theirs}"
    );
}
