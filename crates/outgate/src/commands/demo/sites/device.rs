//! A device of a demo: an agent as a process, and the device's own software, which speaks to it over
//! its socket.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::Stage;
use crate::commands::agent::local::no_tls;
use crate::commands::demo::cloud::private;
use crate::commands::demo::day::furnish;

/// How often it is looked how the agent is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long the device's software waits for a call, in seconds.
const WAIT: u32 = 20;

/// What an agent is told that is to be heard on no network of the machine's own.
pub(super) const UNHEARD: &str = "[names]\nmdns = false\n[clock]\ndhcp = false\n";

/// A device.
pub(super) struct Device {
    pub(super) id: &'static str,
    http: reqwest::Client,
    _agent: Child,
}

impl Device {
    /// Has the vendor make the device, and starts its agent. `more` is added to its configuration.
    pub(super) async fn start(
        stage: &Stage<'_>,
        site: &str,
        id: &'static str,
        more: &str,
    ) -> anyhow::Result<Self> {
        stage.vendor.create_device(id, site, None).await?;
        Self::join(stage, site, id, more).await
    }

    /// As [`Device::start`], where the vendor has the device already.
    pub(super) async fn join(
        stage: &Stage<'_>,
        site: &str,
        id: &'static str,
        more: &str,
    ) -> anyhow::Result<Self> {
        let token = furnish(stage.vendor, id).await?;
        let folder = stage.folder.join(id);
        fs::create_dir(&folder).context("no folder for a device")?;
        private(&folder.join("token"), token.expose())?;
        let hub = stage.ground.way(site, stage.hub).await?;
        let (socket, config) = (folder.join("agent.sock"), folder.join("agent.toml"));
        fs::write(&config, configuration(&folder, &stage.authority, hub, more))?;
        let mut agent = Command::from(stage.ground.program(site, id)?);
        let mut agent = agent
            .args(["agent", "run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("agent.log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("failed to start an agent")?;
        listens(&mut agent, &folder).await?;
        Ok(Self {
            id,
            http: client()?.unix_socket(socket).build()?,
            _agent: agent,
        })
    }

    /// Asks the agent.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("http://agent{path}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.context("the agent does not answer")?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).context("the agent did not answer in JSON")
    }

    /// Says something to the hub.
    pub(super) async fn says(&self, name: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("/device/events/{name}");
        self.ask(Method::POST, &path, Some(body)).await?;
        Ok(())
    }

    /// Looks whether the page there shows this.
    pub(super) async fn shows(&self, address: &str, what: &str) -> anyhow::Result<()> {
        let client = client()?.build()?;
        let page = client.get(format!("http://{address}/")).send().await?;
        let text = page.error_for_status()?.text().await?;
        ensure!(text.contains(what), "{what} is not on the page: {text}");
        Ok(())
    }

    /// Waits until the agent is like that.
    pub(super) async fn is(&self, like: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        loop {
            let status = self.ask(Method::GET, "/status", None).await?;
            if like(&status) {
                return Ok(status);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sets a field of what the site shares.
    pub(super) async fn shares(&self, of: &str, field: &str, what: &Value) -> anyhow::Result<()> {
        let path = format!("/site/state/{of}/{field}");
        self.ask(Method::PUT, &path, Some(what)).await?;
        Ok(())
    }

    /// Waits until it reads that in a field of what the site shares.
    pub(super) async fn reads(&self, of: &str, field: &str, what: &Value) -> anyhow::Result<()> {
        let path = format!("/site/state?of={of}");
        loop {
            let shared = self.ask(Method::GET, &path, None).await?;
            if shared["state"][of]["fields"][field]["payload"] == *what {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the agent is connected, and gives the transport over which it is.
    pub(super) async fn is_connected(&self) -> anyhow::Result<String> {
        let status = self.is(|status| status["link"]["state"] == "connected");
        let status = status.await?;
        let mut rungs = status["link"]["ladder"].as_array().into_iter().flatten();
        let used = rungs.find(|rung| rung["state"] == "in-use");
        let used = used.and_then(|rung| rung["transport"].as_str());
        Ok(used.unwrap_or("no rung").to_owned())
    }

    /// Waits for what somebody asks, and answers it.
    pub(super) async fn answers(&self, name: &str, answer: &Value) -> anyhow::Result<()> {
        let path = format!("/device/calls?wait={WAIT}");
        let calls = self.ask(Method::GET, &path, None).await?;
        let call = &calls["calls"][0];
        ensure!(call["method"] == name, "asked {calls}");
        let id = call["id"].as_str().context("a call without an id")?;
        let path = format!("/device/calls/{id}/answer");
        self.ask(Method::POST, &path, Some(answer)).await?;
        Ok(())
    }

    /// Waits for the next command, completes it, and gives its payload.
    pub(super) async fn does(&self, name: &str) -> anyhow::Result<Value> {
        let path = format!("/device/commands?wait={WAIT}");
        let commands = self.ask(Method::GET, &path, None).await?;
        let command = &commands["commands"][0];
        ensure!(command["name"] == name, "told {commands}");
        let id = command["id"].as_str().context("a command without an id")?;
        let path = format!("/device/commands/{id}/complete");
        self.ask(Method::POST, &path, None).await?;
        Ok(command["payload"].clone())
    }
}

/// The agent's configuration.
fn configuration(folder: &Path, authority: &Path, hub: std::net::SocketAddr, more: &str) -> String {
    let (folder, authority) = (folder.display(), authority.display());
    format!(
        "hub = 'https://{hub}'\nauthority = '{authority}'\ntoken-file = '{folder}/token'\n\
         data = '{folder}/data'\n[proxy]\nurl = 'none'\n[local]\nsocket = '{folder}/agent.sock'\n\
         {more}"
    )
}

/// Waits until it listens.
async fn listens(agent: &mut Child, folder: &Path) -> anyhow::Result<()> {
    let out = agent.stdout.take().context("an agent without an output")?;
    let mut lines = BufReader::new(out).lines();
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("listening on") {
            return Ok(());
        }
    }
    let log = fs::read_to_string(folder.join("agent.log")).unwrap_or_default();
    bail!("an agent did not start: {}", log.trim())
}

/// HTTP that has no TLS and goes by no proxy: to a socket, or on this machine.
fn client() -> anyhow::Result<reqwest::ClientBuilder> {
    let client = reqwest::Client::builder();
    Ok(client.tls_backend_preconfigured(no_tls()?).no_proxy())
}
