//! What a run asks of the hub's API.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

/// What a revocation was answered with, and when.
pub(crate) struct Revoked {
    pub(crate) answered: Instant,
    /// How many connections it ended, and how many of those had not closed by then.
    pub(crate) ended: u64,
    pub(crate) lingering: u64,
}

/// A fleet's key.
pub(crate) struct FleetKey {
    pub(crate) id: String,
    pub(crate) key: Vec<u8>,
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

    /// Makes a pair of keys for a device. Returns the first.
    pub(crate) async fn make_keys(&self, device: &str) -> anyhow::Result<Vec<u8>> {
        let body = json!({"kind": "keys"});
        let path = format!("/devices/{device}/credentials");
        let made = self.post(&path, &body).await?;
        let key = made.pointer("/items/0/given/key").and_then(Value::as_str);
        Ok(STANDARD.decode(key.context("no key")?)?)
    }

    /// Revokes a device.
    pub(crate) async fn revoke(&self, device: &str) -> anyhow::Result<Revoked> {
        let path = format!("/devices/{device}/revoke");
        let told = self.post(&path, &json!({})).await?;
        let answered = Instant::now();
        let count = |name: &str| told.get(name).and_then(Value::as_u64).context("no count");
        Ok(Revoked {
            answered,
            ended: count("ended")?,
            lingering: count("lingering")?,
        })
    }

    /// Grants the use of a device's file for `verb`. Returns the path with the key in it.
    pub(crate) async fn grant(
        &self,
        device: &str,
        file: &str,
        verb: &str,
    ) -> anyhow::Result<String> {
        let body = json!({"name": file, "verb": verb});
        let path = format!("/devices/{device}/grants");
        let granted = self.post(&path, &body).await?;
        let url = granted.get("url").and_then(Value::as_str);
        let path = url.and_then(|url| url.split_once("/files/"));
        let (_, path) = path.context("no address")?;
        Ok(format!("/files/{path}"))
    }

    /// Puts a file into a device's folder.
    pub(crate) async fn put_file(
        &self,
        device: &str,
        file: &str,
        content: bytes::Bytes,
    ) -> anyhow::Result<()> {
        let put = self.client.put(self.of_file(device, file)).body(content);
        let answer = put.bearer_auth(&self.token).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    /// Removes it.
    pub(crate) async fn remove_file(&self, device: &str, file: &str) -> anyhow::Result<()> {
        let remove = self.client.delete(self.of_file(device, file));
        let answer = remove.bearer_auth(&self.token).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    fn of_file(&self, device: &str, file: &str) -> String {
        format!("{}/devices/{device}/files/{file}", self.base)
    }

    /// Makes a fleet key of the site `bench` for devices whose names `ids` means.
    pub(crate) async fn make_fleet_key(&self, ids: &str) -> anyhow::Result<FleetKey> {
        let body = json!({"site": "bench", "ids": ids, "uses": 1, "lasts": 86_400});
        let made = self.post("/fleet-keys", &body).await?;
        let text = |at: &str| made.pointer(at).and_then(Value::as_str).context("no key");
        Ok(FleetKey {
            id: text("/fleet_key/id")?.to_owned(),
            key: STANDARD.decode(text("/key")?)?,
        })
    }

    /// Sends bytes.
    pub(crate) async fn post_bytes(&self, path: &str, content: Vec<u8>) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.base);
        let post = self.client.post(url).bearer_auth(&self.token);
        let kind = ("content-type", "application/octet-stream");
        let answer = post.header(kind.0, kind.1).body(content).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
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
