//! A core with two devices, and MQTT for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use outgate_core::happening::Hook;
use outgate_core::id::{DeviceId, ServiceId, SiteId};
use outgate_core::identity::{Actor, Scope};
use outgate_core::{Clock, Core, Settings, Timestamp};
use outgate_door::Facts;
use outgate_hub::dialects::mqtt::methods::Methods;
use outgate_hub::dialects::mqtt::{self, Entrance, Mqtt};
use outgate_hub::metrics::Metrics;
use outgate_mqtt::packet::{Connect, ReasonCode, Version};
use tokio::net::TcpStream;

use crate::client::{Client, connect, kept, text};
use crate::of_running::token;

/// The name of Azure's hub for which it stands.
pub(crate) const HUB: &str = "hub.example";

/// A site with the devices `one` and `two`, which may talk below `talk`, and the service `back`.
pub(crate) struct Site {
    pub(crate) core: Core,
    pub(crate) mqtt: Mqtt,
    pub(crate) metrics: Metrics,
    tokens: Tokens,
    folder: PathBuf,
}

#[derive(Clone)]
struct Tokens {
    one: String,
    two: String,
    back: String,
}

impl Site {
    pub(crate) async fn new(folder: &Path) -> Self {
        let metrics = Metrics::default();
        let core = core(folder, &metrics);
        let hub = Actor::hub();
        let site: SiteId = "s".parse().unwrap();
        core.identity
            .create_site(&hub, site.clone(), "S".to_owned())
            .await
            .unwrap();
        let mut tokens = Vec::new();
        for name in ["one", "two"] {
            let id: DeviceId = name.parse().unwrap();
            let policy = Some("talk".to_owned());
            core.identity
                .create_device(&hub, id.clone(), site.clone(), policy)
                .await
                .unwrap();
            let issued = core
                .identity
                .add_token(&hub, &id, "t".to_owned(), None)
                .await
                .unwrap();
            tokens.push(token(issued));
        }
        let id: ServiceId = "back".parse().unwrap();
        let (_, issued) = core
            .identity
            .create_service(&hub, id, Scope::All)
            .await
            .unwrap();
        let [one, two] = <[String; 2]>::try_from(tokens).unwrap();
        let tokens = Tokens {
            one,
            two,
            back: token(issued),
        };
        Self {
            mqtt: mqtt(&core, &metrics, Methods::new()).await,
            metrics,
            core,
            tokens,
            folder: folder.to_owned(),
        }
    }

    /// What a hub finds that starts in `folder` after this one was killed at this moment.
    pub(crate) async fn killed(&self, folder: &Path) -> Self {
        // Whatever was handed in before is on the disk after this.
        self.core.store.write(|_| Ok(())).await.unwrap();
        for file in std::fs::read_dir(&self.folder).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
        let metrics = Metrics::default();
        let (core, tokens) = (core(folder, &metrics), self.tokens.clone());
        Self {
            mqtt: mqtt(&core, &metrics, Methods::new()).await,
            metrics,
            core,
            tokens,
            folder: folder.to_owned(),
        }
    }

    /// Takes up methods of enhanced authentication.
    pub(crate) async fn speak(&mut self, methods: Methods) {
        self.mqtt = mqtt(&self.core, &self.metrics, methods).await;
    }

    /// A device's token.
    pub(crate) fn token(&self, name: &str) -> &str {
        if name == "one" {
            &self.tokens.one
        } else {
            &self.tokens.two
        }
    }

    /// A connection that has said nothing yet.
    pub(crate) fn dial(&self, version: Version) -> Client {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, peer) = listener.accept().unwrap();
        for stream in [&ours, &theirs] {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
        }
        self.serve(TcpStream::from_std(theirs).unwrap(), peer);
        Client::new(TcpStream::from_std(ours).unwrap(), version)
    }

    /// A device that is connected with a clean session.
    pub(crate) async fn device(&self, version: Version, name: &str) -> Client {
        let mut client = self.dial(version);
        let answer = client.connect(self.connect(version, name)).await;
        assert_eq!(answer.reason, ReasonCode::Success);
        client
    }

    /// A CONNECT of a device.
    pub(crate) fn connect(&self, version: Version, name: &str) -> Connect {
        connect(version, name, self.token(name))
    }

    /// A CONNECT of the service, with a session that is kept.
    pub(crate) fn connect_service(&self, clean: bool) -> Connect {
        let mut connect = connect(Version::V5, "service/back", &self.tokens.back);
        connect.client_id = text("consumer-1");
        kept(connect, clean)
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr) {
        let facts = Facts {
            peer,
            local: stream.local_addr().unwrap(),
            tls: None,
        };
        let mqtt = self.mqtt.clone();
        tokio::spawn(async move { mqtt.serve(stream, &facts).await });
    }
}

fn core(folder: &Path, metrics: &Metrics) -> Core {
    let mut settings = Settings::new(folder);
    let metrics = metrics.clone();
    settings.hook = Hook::new(move |happening| metrics.happened(happening));
    settings.clock = Clock::held(Timestamp::from_millis(1_800_000_000_000));
    Core::open(&settings).unwrap()
}

async fn mqtt(core: &Core, metrics: &Metrics, methods: Methods) -> Mqtt {
    let talk = outgate_hub::config::Policy {
        publish: vec!["talk/#".to_owned(), "devices/{device}/#".to_owned()],
        subscribe: vec!["talk/#".to_owned(), "devices/{device}/#".to_owned()],
    };
    let settings = mqtt::Settings {
        policies: [("talk".to_owned(), talk)].into(),
        entrance: Arc::new(Entrance {
            names: [HUB.to_owned()].into(),
            ..Entrance::default()
        }),
        ..mqtt::Settings::default()
    };
    Mqtt::open_with(core.clone(), metrics.clone(), settings, methods)
        .await
        .unwrap()
}

/// How long tests let commands last.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// The disk, held up until this is dropped.
pub(crate) async fn hold_up(core: &Core) -> Sender<()> {
    let (release, held) = channel::<()>();
    let (tell, reached) = tokio::sync::oneshot::channel();
    let store = core.store.clone();
    tokio::spawn(async move {
        store
            .write(move |_| {
                let _ = tell.send(());
                let _ = held.recv();
                Ok(())
            })
            .await
    });
    reached.await.unwrap();
    release
}
