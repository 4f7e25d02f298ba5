//! Pages on loopback for one test, of a device to which something has happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use super::*;
use crate::inbox::Inbox;
use crate::queue::{Limits, Queue};
use crate::status::{Board, Claim, Limit, LinkState, Neighbours, Rung, RungState, Trouble};
use crate::twin::Twin;

/// What would run if any of it became an element.
pub(super) const NASTY: &str =
    "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">";

pub(super) struct Stage {
    pub(super) device: Device,
    addresses: Vec<(PageKind, SocketAddr)>,
    client: reqwest::Client,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stage {
    pub(super) fn new() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::at(anywhere, anywhere)
    }

    pub(super) fn at(diagnostics: SocketAddr, connector: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let text = format!(
            "hub = 'https://hub.example'\ntoken-file = 'token'\ndata = '{}'\n[page]\n\
             listen = ['{diagnostics}']\nconnector-listen = ['{connector}']\n\
             hosts = ['cube.factory.example']\n",
            folder.path().display()
        );
        let config = Config::parse(&text).unwrap();
        let device = device(folder.path());
        happen(&device);
        let clock = Arc::new(MachineClock::new().unwrap());
        let way: Way = Arc::new(|| Err("there is no way".to_owned()));
        let pages = Pages::open(&config, None, way, &device, &clock);
        let addresses = pages.addresses();
        let serving = tokio::spawn(pages.serve(None));
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Self {
            device,
            addresses,
            client: client.build().unwrap(),
            serving,
            _folder: folder,
        }
    }

    pub(super) fn address(&self, page: PageKind) -> SocketAddr {
        let mut found = self.addresses.iter();
        found.find(|(kind, _)| *kind == page).unwrap().1
    }

    pub(super) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let address = self.address(PageKind::Diagnostics);
        self.client
            .request(method, format!("http://{address}{path}"))
    }

    pub(super) async fn read(&self, path: &str, language: &str) -> String {
        self.of(PageKind::Diagnostics, path, language).await
    }

    pub(super) async fn of(&self, page: PageKind, path: &str, language: &str) -> String {
        let url = format!("http://{}{path}", self.address(page));
        let request = self.client.get(url).header("accept-language", language);
        request.send().await.unwrap().text().await.unwrap()
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
    let board = Board::new(Some("homag-cube 0.130.0".to_owned()));
    Device::new(queue, Inbox::default(), twin, board)
}

fn happen(device: &Device) {
    let rung = |transport: &str, state, reason: Option<&str>| Rung {
        transport: transport.to_owned(),
        state,
        reason: reason.map(str::to_owned),
    };
    device.board.write(|status| {
        status.link.hub = "https://hub.example/agent".to_owned();
        status.link.state = LinkState::Waiting;
        status.link.heartbeat_seconds = Some(15);
        let why = Some("the proxy takes no WebSockets");
        status.link.ladder = vec![
            rung("WebSockets", RungState::Failed, why),
            rung("ServerSentEvents", RungState::Worked, None),
            rung("LongPolling", RungState::Untried, None),
        ];
        status.clock.source = Some("dhcp 192.0.2.123".to_owned());
        status.clock.offset_millis = Some(250);
        status.network.name_servers = vec!["192.0.2.53".to_owned()];
        status.network.proxy = Some("http://proxy:3128".to_owned());
        status.network.names = vec!["cube-7.local".to_owned()];
        status.network.naming.wanted = Some("cube".to_owned());
        status.network.naming.mdns = Claim::Renamed;
        status.network.ping.limit = Limit::On;
        status.network.ping.rate = Some("1/second".to_owned());
        status.neighbours = Some(Neighbours {
            roster: 4,
            there: vec!["till-2".to_owned()],
            coordinator: Some("till-2".to_owned()),
            refused: BTreeMap::from([("foreign-key".to_owned(), 3)]),
            ..Neighbours::default()
        });
    });
    device.board.trouble(Trouble {
        at: OffsetDateTime::UNIX_EPOCH,
        part: "link",
        text: "the hub said nothing".to_owned(),
        cause: Some("proxy-strips-upgrade".to_owned()),
    });
}
