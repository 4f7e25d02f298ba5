use std::net::SocketAddr;

use outgate_standin::{HttpFault, Place, TlsFault};
use outgate_testbed::{packages, python};

use crate::{Ended, https, path, run, stage};

#[tokio::test]
async fn python_hears_its_own_words() {
    let (mut stage, authority) = stage();
    let secure = https(&mut stage, TlsFault::None).await;
    let plain = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    for (scheme, address) in [("wss", secure), ("ws", plain)] {
        let ended = in_python("echo", scheme, address, path(&authority)).await;
        assert_eq!(ended.text, "heard, ponged, closed 1000\n");
    }
}

#[tokio::test]
async fn python_is_told_that_a_message_is_too_long() {
    let (mut stage, authority) = stage();
    let address = https(&mut stage, TlsFault::None).await;
    let ended = in_python("flood", "wss", address, path(&authority)).await;
    assert_eq!(ended.text, "closed 1009\n");
}

#[tokio::test]
async fn python_sees_a_websocket_accepted_and_dropped() {
    let (mut stage, authority) = stage();
    let fault = TlsFault::Http(HttpFault::WebSocketDropped);
    let address = https(&mut stage, fault).await;
    let ended = in_python("echo", "wss", address, path(&authority)).await;
    assert_eq!(ended.text, "closed 1006\n");
}

#[tokio::test]
async fn node_hears_its_own_words() {
    let (mut stage, authority) = stage();
    let secure = https(&mut stage, TlsFault::None).await;
    let plain = stage.http(Place::v4(), HttpFault::None).await.unwrap();
    for (scheme, address) in [("wss", secure), ("ws", plain)] {
        let url = format!("{scheme}://a.example:{}/any/path", address.port());
        let modules = packages().unwrap().join("node/node_modules/ws");
        let script = include_str!("websocket.js");
        let arguments = [
            "-e",
            script,
            modules.to_str().unwrap(),
            &url,
            path(&authority),
        ];
        let ended = run("node", &arguments).await;
        assert_eq!(ended.text, "heard, ponged, closed 1000\n");
    }
}

async fn in_python(what: &str, scheme: &str, address: SocketAddr, authority: &str) -> Ended {
    let script = include_str!("websocket.py");
    let url = format!("{scheme}://a.example/any/path");
    let port = address.port().to_string();
    let python = python().unwrap();
    let arguments = ["-c", script, what, &url, &port, authority];
    run(python.to_str().unwrap(), &arguments).await
}
