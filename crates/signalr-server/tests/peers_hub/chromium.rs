//! Microsoft's client in a browser.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::extract::Path;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};
use outgate_testbed::{Ends, packages};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::hub::{PATIENCE, Stage, by_token};
use crate::nginx::{UPGRADE, before};

/// How it is started; nothing leaves this machine.
const ARGUMENTS: [&str; 9] = [
    "--headless=new",
    // As root there is no sandbox; what is shown is our own.
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// A browser that shows a page, without a screen.
fn browse(url: &str, profile: &TempDir) -> Ends {
    let child: Child = Command::new("chromium")
        .args(ARGUMENTS)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        // Its sockets, which it leaves behind when it is killed.
        .env("TMPDIR", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium is installed: run `cargo xtask peers`");
    Ends(child)
}

/// Microsoft's scripts for browsers.
async fn script(Path(name): Path<String>) -> Response {
    let folder = match &*name {
        "signalr.js" => "signalr",
        "signalr-protocol-msgpack.js" => "signalr-protocol-msgpack",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let modules = packages().unwrap().join("node/node_modules/@microsoft");
    let path = modules.join(folder).join("dist/browser").join(name);
    let kind = [(header::CONTENT_TYPE, "text/javascript")];
    (kind, std::fs::read(path).unwrap()).into_response()
}

/// A hub beside a page that talks to it, and what the page finds.
async fn page() -> (Stage, mpsc::UnboundedReceiver<String>) {
    let (sender, found) = mpsc::unbounded_channel();
    let page = async || Html(include_str!("chromium.html"));
    let others = Router::new()
        .route("/", get(page))
        .route("/script/{name}", get(script))
        .route(
            "/found",
            post(async move |text: String| {
                let _ = sender.send(text);
            }),
        );
    let stage = Stage::beside(|builder| builder.authenticate(by_token), others).await;
    (stage, found)
}

async fn check(address: SocketAddr, mut found: mpsc::UnboundedReceiver<String>) {
    let profile = tempfile::tempdir().unwrap();
    let _browser = browse(&format!("http://{address}/"), &profile);
    let text = tokio::time::timeout(PATIENCE, found.recv()).await;
    let text = text.expect("the page says what it found").unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    let all = |transport: &str| {
        json!({
            "me": ["ada", transport],
            "echoed": true,
            "counted": 100,
            "sum": 6,
            "answered": "you said yes, ready?",
            "heard": "hello",
        })
    };
    let expected = json!({
        "WebSockets json": all("WebSockets"),
        "WebSockets messagepack": all("WebSockets"),
        "ServerSentEvents json": all("ServerSentEvents"),
        "LongPolling json": all("LongPolling"),
        "LongPolling messagepack": all("LongPolling"),
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_browser_hears_its_own_words_over_every_transport_in_both_protocols() {
    let (stage, found) = page().await;
    check(stage.address, found).await;
}

#[tokio::test]
async fn a_browser_behind_nginx_hears_its_own_words_over_every_transport() {
    let (stage, found) = page().await;
    let (_nginx, address, _folder) = before(stage.address, UPGRADE).await;
    check(address, found).await;
}
