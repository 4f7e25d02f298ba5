//! A hub, a device of it, and the device's link.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outgate_agent::link::Settings;
use outgate_agent::link::beat::Bounds;
use outgate_agent::link::driver::{Driven, Plan, start};
use outgate_agent::link::memory::Network;
use outgate_agent::proof::Shown;
use outgate_agent::status::{Board, LinkState, RungState, Status};
use outgate_core::identity::Actor;
use outgate_probe::{PathConfig, ResolverChoice};
use outgate_signalr_client::{Client, Token};
use outgate_wire::agent::PATH;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::running::Running;

/// The longest that anything may take which must come: proxies of others, each with a connection that
/// has to fail first, are slow on a busy machine.
const LONGEST: Duration = Duration::from_secs(300);

/// The device.
pub(crate) const TILL: &str = "till";

const OPEN: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
";

/// A hub with one device.
pub(crate) struct Stage {
    pub(crate) running: Running,
    pub(crate) token: Arc<Mutex<String>>,
    pub(crate) board: Board,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(OPEN).await
    }

    pub(crate) async fn with(config: &str) -> Self {
        let running = Running::on(tempfile::tempdir().unwrap(), config).await;
        running.furnish().await;
        let token = running.device(TILL).await;
        Self {
            running,
            token: Arc::new(Mutex::new(token)),
            board: Board::new(None),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Where the hub listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.running.hub.listening()[0].address
    }

    /// A link's plan: short times, nobody asked for names.
    pub(crate) fn plan(&self, at: SocketAddr) -> Plan {
        let token = self.token.clone();
        Plan {
            hub: format!("http://{at}{PATH}"),
            way: PathConfig {
                resolver: ResolverChoice::At(Vec::new()),
                ..PathConfig::default()
            },
            shows: Arc::new(move || {
                let token = Token::new(token.lock().unwrap().clone());
                Ok(Shown::Token(token))
            }),
            settings: Settings {
                hold: Duration::from_millis(200),
                answer: Duration::from_secs(4),
                silence: Bounds {
                    least: Duration::from_millis(100),
                    first: Duration::from_secs(3),
                    ..Bounds::default()
                },
                spread: Duration::from_millis(500),
                again: Duration::from_millis(600),
                ..Settings::default()
            },
            prepare: Arc::new(|_| {}),
            network: Arc::new(|| Network::behind(None, None, None)),
            memory: Some(self.folder.path().join("networks.json")),
            board: self.board.clone(),
            clock: None,
        }
    }

    /// A link to the hub by way of another place.
    pub(crate) fn link(&self, at: SocketAddr) -> Driven {
        start(self.plan(at)).unwrap()
    }

    /// Waits until the board shows it.
    pub(crate) async fn shown(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        let mut watch = self.board.watch();
        let seen = timeout(LONGEST, watch.wait_for(wanted)).await;
        let seen = seen.unwrap_or_else(|_| panic!("{:#?}", self.board.status()));
        seen.unwrap().clone()
    }

    /// Waits until the link is in this state.
    pub(crate) async fn is(&self, state: LinkState) -> Status {
        self.shown(|status| status.link.state == state).await
    }

    /// Waits until the board shows a trouble with this cause, and gives its text. On a busy machine
    /// there may be others.
    #[cfg(feature = "peers")]
    pub(crate) async fn is_told(&self, cause: &str) -> String {
        let mut text = None;
        let found = |status: &Status| {
            let mut troubles = status.troubles.iter();
            let trouble = troubles.find(|it| it.cause.as_deref() == Some(cause));
            text = trouble.map(|trouble| trouble.text.clone());
            text.is_some()
        };
        self.shown(found).await;
        text.unwrap()
    }

    /// Whether the hub has the device.
    pub(crate) fn present(&self) -> bool {
        let core = self.running.core();
        core.sessions.is_present(&TILL.parse().unwrap())
    }

    /// Another token of the device's.
    pub(crate) async fn another_token(&self) -> String {
        let (hub, identity) = (Actor::hub(), &self.running.core().identity);
        let device = TILL.parse().unwrap();
        let issued = identity.add_token(&hub, &device, "u".to_owned(), None);
        crate::site::token(issued.await.unwrap())
    }
}

/// Waits until a connection carries everything.
pub(crate) async fn client(current: &mut watch::Receiver<Option<Client>>) -> Client {
    let seen = timeout(LONGEST, current.wait_for(Option::is_some)).await;
    seen.unwrap().unwrap().clone().unwrap()
}

/// Asks the hub something over the connection.
pub(crate) async fn exercise(client: &Client) {
    let twin = client.invoke::<Value>(outgate_wire::agent::TWIN, ()).await;
    assert!(twin.unwrap()["desired"]["version"].is_number());
}

/// How each rung is, the best first.
pub(crate) fn rungs(status: &Status) -> Vec<RungState> {
    status.link.ladder.iter().map(|rung| rung.state).collect()
}
