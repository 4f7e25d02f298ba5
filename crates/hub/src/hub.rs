//! All parts of a running hub.

mod ending;
mod reception;
mod start;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use outgate_core::{Core, Refusal};
use outgate_door::{CertificateError, Door, Keeper, Listening, OpenError};
use tokio::sync::watch;

use crate::config::{Config, changed};
use crate::dialects::azure::login::Entrance;
use crate::dialects::mqtt::{self, Mqtt};
use crate::echo::Echo;
use crate::forwarding::{ForwardError, Forwarding};
use crate::metrics::Metrics;
use crate::push::{Push, PushError};
use reception::Receptionist;

pub use crate::echo::EchoError;
pub use ending::{FINISHED_WITHIN, GONE_WITHIN};

/// What every part of the hub may need.
#[derive(Clone, Debug)]
pub struct State {
    /// The device model.
    pub core: Core,
    /// What is counted.
    pub metrics: Metrics,
    /// As it was configured, or configured anew.
    pub config: Arc<ArcSwap<Config>>,
    /// Whom programs of Azure's may take the hub for, and by whose tokens they come in.
    pub entrance: Arc<ArcSwap<Entrance>>,
    /// What reaches devices that are away.
    pub push: Push,
    /// Whether the hub is going down.
    pub draining: watch::Receiver<bool>,
}

/// A running hub.
#[derive(Debug)]
pub struct Hub {
    state: State,
    mqtt: Mqtt,
    door: Door,
    keeper: Keeper,
    receptionist: Receptionist,
    echo: Echo,
    draining: watch::Sender<bool>,
    pushing: crate::webhooks::Settings,
    forwarding: Option<Forwarding>,
    first_token: Option<PathBuf>,
}

/// Why a hub could not be started, or not be configured anew.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What it keeps could not be opened.
    #[error("the hub's data cannot be opened")]
    Open(#[from] outgate_core::store::OpenError),
    /// It has no operator and cannot make one.
    #[error("the first operator cannot be made")]
    FirstOperator(#[source] Refusal),
    /// A topic policy cannot be used.
    #[error("a topic policy cannot be used")]
    Policy(#[from] mqtt::PolicyError),
    /// What MQTT kept is not there.
    #[error("MQTT cannot be served")]
    Mqtt(#[from] mqtt::OpenError),
    /// What Firebase's clients kept is not there.
    #[error("the Realtime Database cannot be served")]
    Firebase(#[source] Refusal),
    /// What webhooks need is not there.
    #[error("webhooks cannot be sent")]
    Webhooks(#[from] crate::webhooks::SenderError),
    /// What reaches devices by push is not there.
    #[error("devices cannot be reached by push")]
    Push(#[from] PushError),
    /// What should keep the bytes of files is not there.
    #[error("the files of devices cannot be kept where they should")]
    Depot(#[from] crate::DepotError),
    /// Whom to remind of commands is not to be read.
    #[error("devices cannot be reminded of commands")]
    Reminders(#[source] Refusal),
    /// What is needed to send on what devices log is not there.
    #[error("logs cannot be sent on")]
    Forwarding(#[from] ForwardError),
    /// An API that devices look things up at cannot be asked.
    #[error("live look-ups cannot be served")]
    Live(#[from] crate::dialects::live::UpstreamError),
    /// The files with its certificate, as they are configured, cannot be used.
    #[error("the hub's certificate cannot be used")]
    CertificateFiles(#[source] CertificateError),
    /// It has no certificate.
    #[error("the hub has no certificate")]
    Certificate(#[from] CertificateError),
    /// It cannot listen.
    #[error("the hub cannot listen")]
    Door(#[from] OpenError),
    /// It cannot echo.
    #[error("the hub cannot echo")]
    Echo(#[from] EchoError),
    /// What it may only be told at its start has changed.
    #[error("only a new start of the hub can change {keys}")]
    NotWhileRunning {
        /// The keys of the configuration, with commas between.
        keys: String,
    },
}

impl StartError {
    /// Whether what was asked for is wrong, rather than this machine or what lies on its disk.
    #[must_use]
    pub fn is_of_configuration(&self) -> bool {
        match self {
            Self::Policy(_)
            | Self::Webhooks(_)
            | Self::Push(_)
            | Self::Depot(_)
            | Self::Forwarding(_)
            | Self::Live(_)
            | Self::CertificateFiles(_)
            | Self::NotWhileRunning { .. } => true,
            Self::Open(_)
            | Self::FirstOperator(_)
            | Self::Mqtt(_)
            | Self::Firebase(_)
            | Self::Reminders(_)
            | Self::Certificate(_)
            | Self::Door(_)
            | Self::Echo(_) => false,
        }
    }
}

/// Tells the service manager that the hub lives, for ever.
async fn watchdog() {
    outgate_door::systemd::keep_watchdog().await;
    // There is none.
    std::future::pending().await
}

impl Hub {
    /// Opens what the hub keeps, and listens. Nobody is let in before [`Hub::serve`].
    ///
    /// # Errors
    /// [`StartError`], which says what is in the way.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        start::start(config).await
    }

    /// Serves until [`Hub::drain`] is called and everybody has gone: at most [`GONE_WITHIN`] and
    /// [`FINISHED_WITHIN`] later. What is acknowledged is on the disk at any time.
    pub async fn serve(&self) {
        let mut upkeep = upkeep::start(&self.state, self.pushing.clone());
        if let Some(forwarding) = self.forwarding.clone() {
            let (core, metrics) = (self.state.core.clone(), self.state.metrics.clone());
            upkeep.spawn(forwarding.run(core, metrics, self.state.draining.clone()));
        }
        let (clock, metrics) = (&self.state.core.clock, &self.state.metrics);
        self.echo
            .start(&mut upkeep, clock, metrics, &self.state.draining);
        let to_its_end = async {
            let never = std::future::pending();
            self.door.serve(self.receptionist.clone(), never).await;
            ending::let_go(&self.state.core.sessions, &self.door).await;
            ending::finish(&mut upkeep, &self.state.core).await;
        };
        tokio::select! {
            () = to_its_end => {}
            () = self.keeper.keep(&self.door) => {}
            () = self.mqtt.look_after() => {}
            () = watchdog() => {}
        }
    }

    /// Stops listening and has [`Hub::serve`] end: devices and services are told to go elsewhere,
    /// streams of the API end, requests under way get their answers.
    pub fn drain(&self) {
        self.draining.send_replace(true);
        self.mqtt.drain();
        self.door.drain();
    }

    /// Takes up a configuration anew, and reads the certificates again: limits, and the policies
    /// of MQTT, hold from now on.
    ///
    /// # Errors
    /// [`StartError::NotWhileRunning`] names every key that has changed and cannot; the hub then
    /// goes on as it was, as with any other error.
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let keys = changed::only_at_start(&self.state.config.load(), &config).join(", ");
        if !keys.is_empty() {
            tracing::warn!(keys, "a new configuration needs a new start of the hub");
            return Err(StartError::NotWhileRunning { keys });
        }
        let mut settings = mqtt::Settings::of(&config);
        mqtt::check(&settings)?;
        self.keeper.reload(&self.door)?;
        let entrance = Arc::new(Entrance::of(&config, self.keeper.names()));
        settings.entrance = Arc::clone(&entrance);
        let rules = mqtt::Rules::new(settings)?;
        self.mqtt.take_up(rules);
        self.door.limit(&start::connections(&config));
        self.state.core.limit(&start::limits(&config));
        self.state.config.store(Arc::new(config));
        self.state.entrance.store(entrance);
        Ok(())
    }

    /// What its parts share.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where it listens.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        self.door.listening()
    }

    /// Where it echoes SIP, over UDP and TCP, if it does.
    #[must_use]
    pub fn echoes_sip_at(&self) -> Option<SocketAddr> {
        self.echo.sip()
    }

    /// The certificate, in PEM, that clients have to trust, if it is one of the hub's own.
    #[must_use]
    pub fn own_authority(&self) -> Option<PathBuf> {
        self.keeper.authority()
    }

    /// The file that the first operator's token was written to, if that was just now.
    #[must_use]
    pub fn first_token(&self) -> Option<&Path> {
        self.first_token.as_deref()
    }
}
