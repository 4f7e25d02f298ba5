//! A device of the site, with its agent.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use outgate_agent::agent::Agent;
use outgate_agent::config::Config;
use outgate_agent::status::{LinkState, Neighbours, Status};
use outgate_probe::{ProxyChoice, Proxying};
use outgate_testbed::PATIENCE;
use reqwest::Method;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cut::Way;
use crate::running::Running;

const OPEN: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

/// A hub with the site.
pub(crate) async fn hub() -> Running {
    let running = Running::on(tempfile::tempdir().unwrap(), OPEN).await;
    running.furnish().await;
    running
}

/// What a device has on its disk.
pub(crate) struct Folder {
    folder: TempDir,
    hub: SocketAddr,
}

impl Folder {
    pub(crate) fn new(hub: &Running, token: &str) -> Self {
        let mut new = Self {
            folder: tempfile::tempdir().unwrap(),
            hub: hub.hub.listening()[0].address,
        };
        new.turn_to(hub, token);
        new
    }

    /// Has the device go to another hub from its next start on.
    pub(crate) fn turn_to(&mut self, hub: &Running, token: &str) {
        self.hub = hub.hub.listening()[0].address;
        fs::write(self.folder.path().join("token"), token).unwrap();
    }

    /// Has the device go to the hub by a way that can be cut.
    pub(crate) async fn by_a_way(&mut self) -> Way {
        let way = Way::to(self.hub).await;
        self.hub = way.address;
        way
    }

    /// Writes something else into a file that the device keeps.
    pub(crate) fn spoil(&self, digest: &str) {
        let kept = self.folder.path().join("agent/assets").join(digest);
        assert!(kept.is_file());
        fs::write(kept, "something else").unwrap();
    }

    /// Loses a file that the device keeps.
    pub(crate) fn lose(&self, digest: &str) {
        let kept = self.folder.path().join("agent/assets").join(digest);
        fs::remove_file(kept).unwrap();
    }

    /// Starts the agent, which finds others at these addresses, and waits until it listens for them.
    pub(crate) async fn start(&self, known: &[SocketAddr]) -> Till {
        let text = format!(
            "hub = 'http://{}'\ntoken-file = '{1}/token'\ndata = '{1}/agent'\n\
             [local]\nsocket = '{1}/sock'\n[names]\nmdns = false\n[neighbours]\nlisten = '127.0.0.1:0'\nknown = {known:?}\n",
            self.hub,
            self.folder.path().display(),
            known = known.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        let direct = Proxying {
            choice: ProxyChoice::None,
            ..Proxying::default()
        };
        let no_manifest = Arc::new(|| Err("there is none".to_owned()));
        let agent = Agent::start(&Config::parse(&text).unwrap(), direct, no_manifest).await;
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Nothing is left open that would keep the agent's parts when it stops.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0);
        let client = client.unix_socket(self.folder.path().join("sock"));
        let mut till = Till {
            agent: agent.unwrap(),
            address: ([127, 0, 0, 1], 0).into(),
            client: client.build().unwrap(),
        };
        let column = till.shows(|column| column.address.is_some()).await;
        till.address = column.address.unwrap().parse().unwrap();
        till
    }

    pub(crate) fn mode_of_key(&self) -> u32 {
        let key = self.folder.path().join("agent/neighbours/key");
        fs::metadata(key).unwrap().permissions().mode() & 0o777
    }
}

/// An agent that runs.
pub(crate) struct Till {
    agent: Agent,
    address: SocketAddr,
    /// The device's software.
    client: reqwest::Client,
}

impl Till {
    /// Where it listens for the others.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the device's software asks for, and is answered.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Json) {
        let request = self.client.request(method, format!("http://agent{path}"));
        let answer = request.body(body.to_owned()).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Says something.
    pub(crate) async fn says(&self, name: &str) {
        let said = self
            .ask(Method::POST, &format!("/device/events/{name}"), "x")
            .await;
        assert_eq!(said.0, 204);
    }

    /// A file that the device should hold, as its software gets it.
    pub(crate) async fn file(&self, url: &str) -> (u16, Vec<u8>) {
        let answer = self
            .client
            .get(format!("http://agent{url}"))
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.bytes().await.unwrap().to_vec(),
        )
    }

    /// How many files came from the hub, and from neighbours.
    pub(crate) fn fetched(&self) -> (u64, u64) {
        let assets = self.agent.device().status().assets;
        (assets.from_hub, assets.from_neighbours)
    }

    /// What the site shares of this, as soon as it is what is wanted.
    pub(crate) async fn shares(&self, of: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let mut tag = String::new();
        loop {
            let url = format!("http://agent/site/state?of={of}&wait=50");
            let request = self.client.get(url).header("if-none-match", &tag);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            tag = answer.headers()["etag"].to_str().unwrap().to_owned();
            let shared = answer.json::<Json>().await.unwrap()["state"][of].take();
            if wanted(&shared) {
                return shared;
            }
        }
    }

    /// Waits until its status shows it.
    pub(crate) async fn shows(&self, what: impl Fn(&Neighbours) -> bool) -> Neighbours {
        let shown = |status: &Status| status.neighbours.as_ref().is_some_and(&what);
        self.status(shown).await.neighbours.unwrap()
    }

    /// Waits until something went wrong.
    pub(crate) async fn has_trouble(&self, text: &str) {
        let shown = |status: &Status| status.troubles.iter().any(|it| it.text.contains(text));
        self.status(shown).await;
    }

    /// Waits until the hub has answered.
    pub(crate) async fn is_linked(&self) {
        let up = |status: &Status| status.link.state == LinkState::Connected;
        self.status(up).await;
    }

    /// Waits until it is noticed that the hub is away.
    pub(crate) async fn is_cut_off(&self) {
        let down = |status: &Status| status.link.state != LinkState::Connected;
        self.status(down).await;
    }

    async fn status(&self, shown: impl Fn(&Status) -> bool) -> Status {
        let mut statuses = self.agent.device().watch();
        let seen = timeout(PATIENCE, statuses.wait_for(|status| shown(status))).await;
        let seen = seen.map(|status| status.unwrap().clone());
        seen.unwrap_or_else(|_| panic!("{:#?}", self.agent.device().status()))
    }

    pub(crate) async fn stop(self) {
        self.agent.stop().await;
    }
}
