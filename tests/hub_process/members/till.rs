//! One till: its agent, and the software that sells.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use outgate_lab::Town;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value as Json;

use super::book::Book;
use super::shop::{LONGEST, SITE, folder};
use crate::agent::Agent;

/// A device of the shop.
pub(super) struct Till {
    pub(super) name: String,
    folder: tempfile::TempDir,
    token: String,
    /// Where the hub is and what it is trusted by, and everything else that is configured.
    hub: String,
    more: String,
    /// None while it is killed.
    agent: Mutex<Option<Agent>>,
    client: Client,
}

/// What is configured for each till, apart from its address.
pub(super) struct Common {
    /// Where the hub is and what it is trusted by.
    pub(super) hub: String,
    /// Where each till listens.
    pub(super) all: Vec<String>,
}

/// Where all listen: each has a machine of its own.
pub(super) const PORT: u16 = 7400;

impl Till {
    pub(super) fn new(name: String, own: &str, token: String, common: &Common) -> Self {
        let folder = folder();
        let known = common.all.iter().filter(|address| *address != own);
        let known: Vec<String> = known.map(|address| format!("'{address}'")).collect();
        let more = format!(
            "[names]\nmdns = false\n[clock]\ndhcp = false\n\
             [neighbours]\nlisten = '{own}:{PORT}'\nknown = [{}]\n",
            known.join(", ")
        );
        // Another till may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(LONGEST);
        let client = client.pool_max_idle_per_host(0);
        let client = client.unix_socket(folder.path().join("agent.sock"));
        Self {
            name,
            token,
            hub: common.hub.clone(),
            more,
            agent: Mutex::new(None),
            client: client.build().unwrap(),
            folder,
        }
    }

    /// Starts the agent if it does not run, and waits until it listens.
    pub(super) fn start(&self, town: &Town) {
        let mut agent = self.agent.lock().unwrap();
        if agent.is_none() {
            let program: Command = town.run(SITE, &self.name, env!("CARGO_BIN_EXE_outgate"));
            let folder: &Path = self.folder.path();
            let started = Agent::start_as(program, folder, &self.hub, &self.token, &self.more);
            assert_eq!(started.socket(), folder.join("agent.sock"));
            *agent = Some(started);
        }
    }

    /// Ends the agent without a word.
    pub(super) fn kill(&self) {
        if let Some(agent) = self.agent.lock().unwrap().take() {
            agent.kill();
        }
    }

    /// Whether the agent runs.
    pub(super) fn is_on(&self) -> bool {
        self.agent.lock().unwrap().is_some()
    }

    /// Asks the agent something; nothing is answered by one that is killed meanwhile.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Option<(StatusCode, Json)> {
        let (status, _, answer) = self.ask_by(method, path, body, "").await?;
        Some((status, answer))
    }

    async fn ask_by(
        &self,
        method: Method,
        path: &str,
        body: &str,
        tag: &str,
    ) -> Option<(StatusCode, String, Json)> {
        let request = self.client.request(method, format!("http://agent{path}"));
        let request = request.header("if-none-match", tag).body(body.to_owned());
        let answer = request.send().await.ok()?;
        let (status, tag) = (answer.status(), answer.headers().get("etag").cloned());
        let tag = tag.map_or_else(String::new, |tag| tag.to_str().unwrap().to_owned());
        let text = answer.text().await.ok()?;
        Some((status, tag, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// As [`Till::ask`], for what is acknowledged if it is answered at all: the agent has only just
    /// been started otherwise.
    async fn told(&self, method: Method, path: &str, body: &str) -> Option<Json> {
        let (status, answer) = self.ask(method, path, body).await?;
        let right = status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE;
        assert!(right, "{} {path}: {status} {answer}", self.name);
        status.is_success().then_some(answer)
    }

    /// Sells something: a sale with a receipt, a ticket, and an order that is opened or closed. Nothing
    /// more comes of it once the agent does not answer.
    pub(super) async fn sell(self: Arc<Self>, book: Arc<Book>) -> Option<()> {
        let receipt = self.told(Method::POST, "/site/numbers/receipt", "").await?;
        let receipt = receipt["text"].as_str().unwrap().to_owned();
        book.number(&receipt);
        let sale = format!("\"{receipt}\"");
        self.told(Method::POST, "/site/state/sales", &sale).await?;
        book.sold(&receipt);
        let ticket = self.told(Method::POST, "/site/numbers/ticket", "").await?;
        book.number(ticket["text"].as_str().unwrap());
        let table = "/site/state/order:17/table";
        self.told(Method::PUT, table, &sale).await?;
        let orders = self.told(Method::GET, "/site/state?of=orders", "").await?;
        let open = orders["state"]["orders"]["items"].as_array();
        if let Some(order) = open.and_then(|open| open.get(2)) {
            let id = order["id"].as_str().unwrap();
            let path = format!("/site/state/orders?id={id}");
            self.told(Method::DELETE, &path, "").await?;
            book.taken_away(id);
        } else {
            self.told(Method::POST, "/site/state/orders", &sale).await?;
        }
        Some(())
    }

    /// Everything that is shared, as far as it knows.
    pub(super) async fn state(&self) -> Json {
        let all = self.told(Method::GET, "/site/state", "").await;
        all.unwrap()["state"].take()
    }

    /// Tells with each change how far the till knows what is shared, until the agent is gone.
    pub(super) async fn tell(self: Arc<Self>, tell: impl Fn(String)) {
        let mut known = String::new();
        loop {
            let path = "/site/state?of=nothing&wait=20";
            match self.ask_by(Method::GET, path, "", &known).await {
                Some((StatusCode::OK, tag, _)) => {
                    known.clone_from(&tag);
                    tell(tag);
                }
                Some((StatusCode::NOT_MODIFIED, ..)) => {}
                other => panic!("{}: {other:?}", self.name),
            }
        }
    }

    /// The column of the neighbours.
    pub(super) async fn neighbours(&self) -> Json {
        let status = self.told(Method::GET, "/status", "").await;
        status.map_or(Json::Null, |mut status| status["neighbours"].take())
    }
}
