//! All parts of a running hub.

mod reception;
mod start;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use outgate_core::sessions::{Ending, Selector};
use outgate_core::{Core, Refusal};
use outgate_door::{CertificateError, Door, Keeper, Listening, OpenError};
use tokio::sync::watch;

use crate::config::Config;
use crate::dialects::mqtt::Mqtt;
use crate::metrics::Metrics;
use reception::Receptionist;

/// How long connections may take to go once the hub goes down.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// What every part of the hub may need.
#[derive(Clone, Debug)]
pub struct State {
    /// The device model.
    pub core: Core,
    /// What is counted.
    pub metrics: Metrics,
    /// As it was configured, or configured anew.
    pub config: Arc<ArcSwap<Config>>,
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
    draining: watch::Sender<bool>,
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
    /// What MQTT needs is not there.
    #[error("MQTT cannot be served")]
    Mqtt(#[from] crate::dialects::mqtt::OpenError),
    /// It has no certificate.
    #[error("the hub has no certificate")]
    Certificate(#[from] CertificateError),
    /// It cannot listen.
    #[error("the hub cannot listen")]
    Door(#[from] OpenError),
    /// What it may only be told at its start has changed.
    #[error("{what} can only be changed by starting the hub anew")]
    NotWhileRunning {
        /// Which.
        what: &'static str,
    },
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

    /// Serves until [`Hub::drain`] is called.
    pub async fn serve(&self) {
        let mut upkeep = upkeep::start(&self.state);
        tokio::select! {
            () = self.door.serve(self.receptionist.clone(), std::future::pending()) => {}
            () = self.keeper.keep(&self.door) => {}
            () = self.mqtt.look_after() => {}
            () = watchdog() => {}
        }
        while upkeep.join_next().await.is_some() {}
    }

    /// Stops listening, tells everybody to go elsewhere, and waits until they have gone, but not
    /// for ever. What has been acknowledged is on the disk at any time.
    pub async fn drain(&self) {
        self.draining.send_replace(true);
        self.door.drain();
        let sessions = &self.state.core.sessions;
        let gone = async {
            sessions
                .end(&Selector::All, Ending::Draining, DRAIN_WITHIN)
                .await;
            self.door.emptied().await;
        };
        if tokio::time::timeout(DRAIN_WITHIN, gone).await.is_err() {
            let left = self.door.connections();
            tracing::warn!(left, "some connections had not gone in time");
        }
    }

    /// Takes up a configuration anew, and reads the certificates again. Where it listens and where
    /// it keeps its data stay as they are.
    ///
    /// # Errors
    /// [`StartError`]; the hub then goes on as it was.
    pub fn reload(&self, config: Config) -> Result<(), StartError> {
        let before = self.state.config.load_full();
        for (what, same) in [
            ("where the data lies", before.data == config.data),
            ("where the hub listens", before.listen == config.listen),
            ("a topic policy", before.policies == config.policies),
            ("a limit of MQTT", before.mqtt == config.mqtt),
            (
                "where the certificate comes from",
                before.certificate == config.certificate && before.names == config.names,
            ),
        ] {
            if !same {
                return Err(StartError::NotWhileRunning { what });
            }
        }
        self.keeper.reload(&self.door)?;
        self.state.config.store(Arc::new(config));
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
