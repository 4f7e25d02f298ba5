#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use outgate_wire::agent::{Blob, Call, Command, Settlement};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::inbox::Inbox;
use crate::queue::{Limits, MachineClock, Queue};
use crate::status::Board;
use crate::twin::Twin;

/// An agent's local places for one test, and a client of them.
struct Bench {
    device: Device,
    at: String,
    token: String,
    client: reqwest::Client,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn device(folder: &Path) -> Device {
    let limits = Limits {
        bytes: 4 << 20,
        keep: Duration::from_secs(3_600),
        reserve: 0,
    };
    let clock = Arc::new(MachineClock::new().unwrap());
    let queue = Queue::open(folder, limits, clock).unwrap();
    let twin = Twin::open(folder).unwrap();
    Device::new(queue, Inbox::default(), twin, Board::new(None))
}

impl Bench {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let device = device(folder.path());
        let config = config::Local {
            socket: None,
            listen: Some(([127, 0, 0, 1], 0).into()),
        };
        let local = Local::listen(&config, folder.path()).await.unwrap();
        let at = format!("http://{}", local.address().unwrap());
        let token = fs::read_to_string(folder.path().join(TOKEN_FILE)).unwrap();
        let serving = tokio::spawn(local.serve(device.clone()));
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            device,
            at,
            token,
            client,
            serving,
            _folder: folder,
        }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.at));
        request.bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str) -> StatusCode {
        self.ask(Method::POST, path).send().await.unwrap().status()
    }
}

fn command(id: &str) -> Command {
    Command {
        id: id.to_owned(),
        name: "print".to_owned(),
        content_type: "application/json".to_owned(),
        properties: BTreeMap::new(),
        payload: Blob(b"{\"copies\":2}".to_vec()),
        deliveries: 1,
        expires: "2030-01-01T00:00:00Z".to_owned(),
    }
}

#[tokio::test]
async fn what_is_said_is_on_disk_when_it_is_answered() {
    let bench = Bench::new().await;
    let said = bench.ask(Method::POST, "/device/events/sale/closed?desk=2");
    let said = said
        .header("priority", "important")
        .body("250")
        .send()
        .await
        .unwrap();
    assert_eq!(said.status(), StatusCode::NO_CONTENT);
    let logged = bench
        .ask(Method::POST, "/v1/logs")
        .json(&json!({"resourceLogs": []}));
    let logged = logged.send().await.unwrap();
    assert_eq!(logged.text().await.unwrap(), "{}");
    let waiting = bench.device.queue.batch(10).await.unwrap();
    let event = &waiting[0].entry;
    assert_eq!(
        (event.name.as_str(), event.payload.as_ref()),
        ("sale/closed", &b"250"[..])
    );
    assert_eq!(event.properties["desk"], "2");
    assert_eq!(waiting.len(), 2);
}

#[tokio::test]
async fn commands_are_told_until_they_are_settled_and_a_poll_ends_when_one_comes() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("/device/commands").await, json!({"commands": []}));
    // The poll is answered by what comes, whenever that is.
    let polling = bench.get("/device/commands?wait=50");
    let coming = std::future::ready(()).map(|()| bench.device.inbox.command(command("c1")));
    let (told, mut settled) = tokio::join!(polling, coming);
    assert_eq!(told["commands"][0]["payload"], json!({"copies": 2}));
    assert_eq!(
        bench.post("/device/commands/c1/complete").await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(settled.try_recv(), Ok(Settlement::Completed));
    assert_eq!(
        bench.post("/device/commands/c1/complete").await,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        bench.post("/device/commands/c1/reject").await,
        StatusCode::CONFLICT
    );
    assert_eq!(
        bench.post("/device/commands/c2/complete").await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        bench.post("/device/commands/c2/forget").await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn who_calls_gets_the_answer() {
    let bench = Bench::new().await;
    let mut answered = bench.device.inbox.call(Call {
        id: "1".to_owned(),
        method: "price".to_owned(),
        content_type: "text/plain".to_owned(),
        payload: Blob(b"coffee".to_vec()),
    });
    let told = bench.get("/device/calls").await;
    assert_eq!(told["calls"][0]["payload_base64"], "Y29mZmVl");
    let answer = bench.ask(Method::POST, "/device/calls/1/answer?status=404");
    let answer = answer.body("none").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let answer = answered.try_recv().unwrap();
    assert_eq!((answer.status, answer.payload.0), (404, b"none".to_vec()));
}

#[tokio::test]
async fn the_twin_is_read_and_reported_and_a_poll_ends_when_it_changes() {
    let bench = Bench::new().await;
    let first = bench.ask(Method::GET, "/device/twin").send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let known = |wait: &str| {
        let ask = bench.ask(Method::GET, &format!("/device/twin{wait}"));
        ask.header("if-none-match", tag.clone()).send()
    };
    assert_eq!(known("").await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let report = bench
        .ask(Method::PATCH, "/device/twin/reported")
        .json(&json!({"a": 1}));
    let (changed, reported) = tokio::join!(known("?wait=50"), report.send());
    assert_eq!(reported.unwrap().status(), StatusCode::NO_CONTENT);
    let changed: Value = changed.unwrap().json().await.unwrap();
    assert_eq!(
        changed["reported"],
        json!({"version": 0, "document": {"a": 1}})
    );
    let bad = bench
        .ask(Method::PATCH, "/device/twin/reported")
        .json(&json!([]));
    assert_eq!(
        bad.send().await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn without_the_token_nothing_is_told_on_loopback() {
    let bench = Bench::new().await;
    let document = bench.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 9);
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for token in [None, Some("wrong"), Some("")] {
                let mut asked = bench
                    .client
                    .request(method.clone(), format!("{}{path}", bench.at));
                if let Some(token) = token {
                    asked = asked.bearer_auth(token);
                }
                let answer = asked.send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_much_or_no_request_is_turned_down() {
    let bench = Bench::new().await;
    let large = bench
        .ask(Method::POST, "/device/events/x")
        .body(vec![0; 300_000]);
    assert_eq!(
        large.send().await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for (path, status) in [
        ("/device/commands?wait=56", StatusCode::UNPROCESSABLE_ENTITY),
        ("/device/commands?wait=x", StatusCode::UNPROCESSABLE_ENTITY),
        ("/device/commands?until=1", StatusCode::UNPROCESSABLE_ENTITY),
        ("/nothing", StatusCode::NOT_FOUND),
    ] {
        let answer = bench.ask(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    let kind = bench.ask(Method::POST, "/v1/logs").body("x");
    assert_eq!(
        kind.send().await.unwrap().status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn a_socket_is_for_its_group_and_replaces_only_one_that_was_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("agent.sock");
    let config = config::Local {
        socket: Some(path.clone()),
        listen: None,
    };
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let local = Local::listen(&config, folder.path()).await.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        MODE
    );
    assert!(!folder.path().join(TOKEN_FILE).exists());
    Local::listen(&config, folder.path()).await.unwrap_err();
    drop(local);
    assert!(!path.exists());
    fs::write(&path, "mine").unwrap();
    Local::listen(&config, folder.path()).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn over_the_socket_curl_asks_without_a_token() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("agent.sock");
    let config = config::Local {
        socket: Some(path.clone()),
        listen: None,
    };
    let local = Local::listen(&config, folder.path()).await.unwrap();
    let serving = tokio::spawn(local.serve(device(folder.path())));
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["--silent", "--max-time", "30", "--unix-socket"])
        .arg(&path);
    let answer = curl.arg("http://agent/status").output().await.unwrap();
    let status: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(status["link"]["state"], "idle");
    serving.abort();
}

#[test]
fn a_token_that_is_none_is_not_taken() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(TOKEN_FILE);
    fs::write(&path, "\n").unwrap();
    Token::read_or_make(&path).unwrap_err();
    fs::remove_file(&path).unwrap();
    Token::read_or_make(&path).unwrap();
    let made = fs::metadata(&path).unwrap();
    assert_eq!((made.len(), made.permissions().mode() & 0o777), (43, 0o600));
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi-agent.json");
    let committed = fs::read_to_string(committed).unwrap();
    let served = document_text();
    assert!(committed == served, "run `cargo xtask openapi`");
}
