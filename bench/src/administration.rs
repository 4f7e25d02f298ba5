//! What a run asks of the hub's API.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The hub's API, as its first operator.
#[derive(Clone)]
pub(crate) struct Administration {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Administration {
    /// Acts as the first operator, whose token is in the file `token`.
    pub(crate) fn new(port: u16, token: &Path, certificate: &Path) -> anyhow::Result<Self> {
        let token =
            std::fs::read_to_string(token).context("failed to read the first operator's token")?;
        let pem = std::fs::read(certificate)?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem)?])
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self {
            client,
            base: format!("https://localhost:{port}/api"),
            token: token.trim().to_owned(),
        })
    }

    /// Makes the site `bench` and a device in it. Returns the device's token.
    pub(crate) async fn make_site_and_device(&self, device: &str) -> anyhow::Result<String> {
        self.post("/sites", &json!({"id": "bench", "title": "Bench"}))
            .await?;
        self.make_device(device).await
    }

    /// Makes a device with the policy `bench`. Returns its token.
    pub(crate) async fn make_device(&self, device: &str) -> anyhow::Result<String> {
        let body = json!({"id": device, "site": "bench", "policy": "bench"});
        self.post("/devices", &body).await?;
        let body = json!({"kind": "token", "label": "bench"});
        let made = self
            .post(&format!("/devices/{device}/credentials"), &body)
            .await?;
        let token = made.pointer("/items/0/given/token");
        let token = token.and_then(Value::as_str).context("no token")?;
        Ok(token.to_owned())
    }

    /// Revokes a device. Returns when the answer was there.
    pub(crate) async fn revoke(&self, device: &str) -> anyhow::Result<Instant> {
        self.post(&format!("/devices/{device}/revoke"), &json!({}))
            .await?;
        Ok(Instant::now())
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self
            .client
            .post(format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .json(body)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }
}
