//! A door with a reception that answers in a way a test can see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outgate_door::{
    Arrival, At, Carries, ClientCertificates, Door, Facts, Happening, Hook, Keeper, Limits,
    Listener, Protocol, Reception, Security, Settings, Source,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Tells of each arrival, then sends back what it gets.
#[derive(Clone)]
pub(crate) struct Echo(mpsc::UnboundedSender<(Protocol, Facts)>);

impl Reception for Echo {
    async fn receive(&self, arrival: Arrival) {
        let Arrival {
            protocol,
            mut connection,
        } = arrival;
        // A test that has seen enough no longer listens.
        let _ = self.0.send((protocol, connection.facts().clone()));
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = connection.read(&mut bytes).await {
            if connection.write_all(&bytes[..length]).await.is_err()
                || connection.flush().await.is_err()
            {
                break;
            }
        }
        // The other end may be gone already.
        let _ = connection.shutdown().await;
    }
}

/// A door that is being served.
pub(crate) struct Place {
    pub(crate) door: Door,
    pub(crate) address: SocketAddr,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) folder: tempfile::TempDir,
    arrivals: mpsc::UnboundedReceiver<(Protocol, Facts)>,
    happenings: mpsc::UnboundedReceiver<Happening>,
    serving: Option<JoinHandle<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

impl Place {
    /// One listener on IPv4 with TLS that carries everything.
    pub(crate) fn open() -> Self {
        Self::with(tls(), patient())
    }

    pub(crate) fn with(listener: Listener, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::Private {
            folder: folder.path().to_owned(),
            names: ["localhost", "127.0.0.1"].map(str::to_owned).to_vec(),
        };
        let keeper = Keeper::open(source, Arc::new(std::time::SystemTime::now)).unwrap();
        let (told, happenings) = mpsc::unbounded_channel();
        let hook: Hook = Arc::new(move |happening: &Happening| {
            let _ = told.send(happening.clone());
        });
        let settings = Settings {
            listeners: vec![listener],
            limits,
        };
        let door = Door::open(settings, keeper.tls(), hook).unwrap();
        let (echo, arrivals) = mpsc::unbounded_channel();
        let serving = tokio::spawn({
            let door = door.clone();
            async move { door.serve(Echo(echo), std::future::pending()).await }
        });
        Self {
            address: door.listening()[0].address,
            door,
            keeper: Arc::new(keeper),
            folder,
            arrivals,
            happenings,
            serving: Some(serving),
        }
    }

    /// What the next connection speaks, and what is known of it.
    pub(crate) async fn arrival(&mut self) -> (Protocol, Facts) {
        self.arrivals.recv().await.unwrap()
    }

    /// The next happening that is `wanted`; others are passed over.
    pub(crate) async fn happening<T>(&mut self, wanted: impl Fn(&Happening) -> Option<T>) -> T {
        loop {
            let happening = self.happenings.recv().await.unwrap();
            if let Some(found) = wanted(&happening) {
                return found;
            }
        }
    }

    /// Why the next connection that is refused is refused.
    pub(crate) async fn refused(&mut self) -> outgate_door::Refused {
        self.happening(|happening| {
            if let Happening::Refused { why, .. } = happening {
                Some(*why)
            } else {
                None
            }
        })
        .await
    }

    /// Waits until `serve` has returned.
    pub(crate) async fn served(&mut self) {
        self.serving.take().unwrap().await.unwrap();
    }

    /// The certificate of its authority, in PEM.
    pub(crate) fn authority(&self) -> std::path::PathBuf {
        self.keeper.authority().unwrap()
    }
}

/// A listener with TLS.
pub(crate) fn tls() -> Listener {
    Listener {
        at: At::Address("127.0.0.1:0".parse().unwrap()),
        security: Security::Tls(ClientCertificates::Asked),
        carries: Carries::Everything,
        proxies: Vec::new(),
    }
}

/// A listener without.
pub(crate) fn plain() -> Listener {
    Listener {
        security: Security::Plain,
        ..tls()
    }
}

/// Limits that no test reaches by being slow.
pub(crate) fn patient() -> Limits {
    let long = Duration::from_secs(600);
    Limits {
        proxy_header: long,
        first_byte: long,
        handshake: long,
        opened_within: long,
        ..Limits::default()
    }
}
