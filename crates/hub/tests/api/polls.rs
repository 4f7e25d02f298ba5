//! Polls of devices that hang, at a whole hub: how they end when nothing has come.

use std::time::Duration;

use http::StatusCode;
use outgate_core::identity::Actor;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::running::Running;

/// What must come comes within this, which is less than any of the polls would wait.
const SOON: Duration = Duration::from_secs(40);

/// A whole hub over plain HTTP with the SignalR hub `pos`, its device `till`, and who asks for it.
struct Shop {
    running: Running,
    token: String,
    client: Client,
}

impl Shop {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n\
                    [[signalr.hubs]]\nname = 'pos'\npath = '/pos'\n";
        let running = Running::on(tempfile::tempdir().unwrap(), text).await;
        running.furnish().await;
        let token = running.device("till").await;
        // All over one connection, so that what is asked later is read later.
        let client = Client::builder().http2_prior_knowledge().build().unwrap();
        Self {
            running,
            token,
            client,
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(&self.token)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth(&self.token)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.hub.listening()[0].address)
    }

    /// A poll that hangs: what was asked after it has been answered.
    async fn hanging(&self, poll: RequestBuilder) -> JoinHandle<Response> {
        let (sent, is_sent) = tokio::sync::oneshot::channel();
        let poll = tokio::spawn(async move {
            let mut answer = std::pin::pin!(poll.send());
            // Once polled, the request is with the connection.
            let at_once = futures_util::poll!(answer.as_mut());
            assert!(at_once.is_pending());
            sent.send(()).unwrap();
            answer.await.unwrap()
        });
        is_sent.await.unwrap();
        let after = self.get("/whoami").send().await.unwrap();
        assert_eq!(after.status(), StatusCode::OK);
        assert!(!poll.is_finished());
        poll
    }

    /// Connects by long polling, and polls.
    async fn hanging_at_signalr(&self) -> JoinHandle<Response> {
        let negotiate = self.post("/pos/negotiate?negotiateVersion=1");
        let negotiated: Value = negotiate.send().await.unwrap().json().await.unwrap();
        let id = negotiated["connectionToken"].as_str().unwrap();
        let path = format!("/pos?id={id}");
        let first = self.get(&path).send().await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let handshake = "{\"protocol\":\"json\",\"version\":1}\u{1e}";
        let sent = self.post(&path).body(handshake).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        let agreed = self.get(&path).send().await.unwrap();
        assert_eq!(agreed.text().await.unwrap(), "{}\u{1e}");
        self.hanging(self.get(&path)).await
    }
}

async fn soon(poll: JoinHandle<Response>) -> (StatusCode, String) {
    let answer = tokio::time::timeout(SOON, async {
        let answer = poll.await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    });
    answer.await.expect("the poll ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_hang_are_answered_when_the_hub_goes_down() {
    let shop = Shop::new().await;
    let twin = shop.get("/device/twin").send().await.unwrap();
    let tag = twin.headers()["etag"].clone();
    let commands = shop.hanging(shop.get("/device/commands?wait=50")).await;
    let twin = shop
        .get("/device/twin?wait=50")
        .header("if-none-match", tag);
    let twin = shop.hanging(twin).await;
    let signalr = shop.hanging_at_signalr().await;
    shop.running.hub.drain();
    let (status, body) = soon(commands).await;
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, told), (StatusCode::OK, json!({"commands": []})));
    assert_eq!(soon(twin).await.0, StatusCode::NOT_MODIFIED);
    // Told to come again.
    let (status, body) = soon(signalr).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let close: Value = serde_json::from_str(body.trim_end_matches('\u{1e}')).unwrap();
    assert_eq!(
        (&close["type"], &close["allowReconnect"]),
        (&json!(7), &json!(true)),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_that_hang_are_over_when_their_device_is_revoked() {
    let shop = Shop::new().await;
    let commands = shop.hanging(shop.get("/device/commands?wait=50")).await;
    let signalr = shop.hanging_at_signalr().await;
    let (hub, till) = (Actor::hub(), "till".parse().unwrap());
    let identity = &shop.running.core().identity;
    let revoked = identity.revoke_device(&hub, &till).await.unwrap();
    let ended = revoked.connections;
    assert_eq!((ended.ended, ended.lingering), (2, 0));
    assert_eq!(soon(commands).await.0, StatusCode::UNAUTHORIZED);
    let (_, body) = soon(signalr).await;
    assert!(!body.contains("\"allowReconnect\":true"), "{body}");
    assert!(body.contains("\"type\":7"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_when_answers_about_users_do_not_hold_any_more() {
    let shop = Shop::new().await;
    let first = shop.get("/device/spaces").send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    assert_eq!(first.json::<Value>().await.unwrap(), json!({"version": 0}));
    let same = shop.get("/device/spaces").header("if-none-match", &tag);
    let same = same.send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let poll = shop.get("/device/spaces?wait=50");
    let poll = shop.hanging(poll.header("if-none-match", tag)).await;
    let signalr = shop.hanging_at_signalr().await;
    let (hub, spaces) = (Actor::hub(), &shop.running.core().spaces);
    let place = ("s".parse().unwrap(), "sales".parse().unwrap());
    let roles = serde_json::from_value(json!({"viewer": ["read"]})).unwrap();
    let put = spaces.put(&hub, place, "Sales".to_owned(), roles);
    put.await.unwrap();
    let (status, body) = soon(poll).await;
    let told: Value = serde_json::from_str(&body).unwrap();
    let version = &told["version"];
    assert!(
        status == StatusCode::OK && version.as_u64() > Some(0),
        "{body}"
    );
    let (_, body) = soon(signalr).await;
    let told: Value = serde_json::from_str(body.trim_end_matches('\u{1e}')).unwrap();
    assert_eq!(
        (&told["target"], &told["arguments"]),
        (&json!("Spaces"), &json!([version])),
        "{body}"
    );
}
