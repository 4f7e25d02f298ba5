//! MQTT with plain topics: events, commands, calls and twins under `devices/NAME/`, and messages
//! between devices within what their policies allow.
//!
//! A connection is read by [`outgate_mqtt`]'s state machine, driven by a `conversation`, which
//! hands events and the like to the core and messages between devices to the `broker`. Which
//! topic means what is in `topics`; who may connect, in the dialects' `login`.
//!
//! What is acknowledged is on the disk: an event, a retained message, a message for a session that
//! is kept. Acknowledgements leave in the order of the messages, and many messages wait for one
//! commit.

mod broker;
mod conversation;
mod events;
mod io;
pub mod methods;
mod policies;
mod posted;
pub(in crate::dialects) mod reasons;
mod registering;
mod rules;
mod settings;
pub(in crate::dialects) mod tongue;
mod topics;
mod websocket;
mod welcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use outgate_azure::device::WEBSOCKET;
use outgate_azure::provisioning::WEBSOCKET as PROVISIONING;
use outgate_core::Core;
use outgate_core::identity::Identified;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::policies::PolicyError;
pub(in crate::dialects) use self::posted::Posted;
pub use self::rules::Rules;
pub use self::settings::{DEFAULT_POLICY, MAX_FIRST_PACKET, Settings};
pub use super::azure::login::Entrance;

use super::aws::http::refused;
use super::aws::login::{Asked, DEVICE_GATEWAY, For, by_signature};

use self::broker::Broker;
use self::methods::Methods;
use self::rules::Current;
use self::websocket::{Carrier, SUBPROTOCOLS};
use crate::http::websocket::accept;
use crate::metrics::Metrics;

/// What sessions of this dialect are called.
pub(crate) const VIA: &str = "mqtt";

/// How often it is looked after what time brings: wills, ends of sessions.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The most bytes that one WebSocket message has beside MQTT packets of the largest size. Clients
/// may put several packets into a message.
const WEBSOCKET_SLACK: usize = 64 * 1024;

/// MQTT for all connections of a hub.
#[derive(Clone, Debug)]
pub struct Mqtt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    core: Core,
    metrics: Metrics,
    rules: Current,
    broker: Arc<Broker>,
    methods: Methods,
    /// Whether the hub is going down.
    draining: AtomicBool,
}

impl Inner {
    /// Whether the hub is going down.
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Why MQTT cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A policy cannot be used.
    #[error("a topic policy cannot be used")]
    Policy(#[from] PolicyError),
    /// The store does not give what was kept.
    #[error("MQTT sessions cannot be read")]
    Store(#[from] Refusal),
}

/// Whether the policies of `settings` can be used, without touching anything.
///
/// # Errors
/// The first mistake.
pub(crate) fn check(settings: &Settings) -> Result<(), PolicyError> {
    policies::Policies::new(&settings.policies, &settings.aws.policies).map(drop)
}

impl Mqtt {
    /// Finds sessions, retained messages and wills again.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(core: Core, metrics: Metrics, settings: Settings) -> Result<Self, OpenError> {
        Self::open_with(core, metrics, settings, Methods::new()).await
    }

    /// As [`Mqtt::open`], with methods of enhanced authentication.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        core: Core,
        metrics: Metrics,
        settings: Settings,
        methods: Methods,
    ) -> Result<Self, OpenError> {
        let rules = Arc::new(ArcSwap::from_pointee(Rules::new(settings)?));
        let broker = Broker::load(core.clone(), metrics.clone(), Arc::clone(&rules)).await?;
        Ok(Self(Arc::new(Inner {
            broker: Arc::new(broker),
            methods,
            draining: AtomicBool::new(false),
            core,
            metrics,
            rules,
        })))
    }

    /// Takes up other rules. Whoever is connected keeps what its CONNACK said, and is held to all
    /// else from its next act on; a subscription that its policy no longer allows is ended now.
    pub fn take_up(&self, rules: Rules) {
        self.0.rules.store(Arc::new(rules));
        self.0.broker.heed_rules();
    }

    /// Lets nobody in from now on: the hub is going down, and who comes is told where else to go.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Publishes wills that are due, ends sessions whose time is over, and forgets what has
    /// expired, once a second for ever. To be run beside everything else.
    pub async fn look_after(&self) {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep().await;
        }
    }

    /// Does once what [`Mqtt::look_after`] does every second.
    pub async fn sweep(&self) {
        self.0.broker.sweep().await;
    }

    /// Serves one connection to its end. Ends at once when its session is ended, whatever the
    /// other end does.
    pub async fn serve<S>(&self, stream: S, facts: &Facts)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        welcome::serve(&self.0, stream, facts, None).await;
    }

    /// Takes a request for MQTT over WebSocket and serves it on a task of its own. The request has
    /// the connection's [`Facts`] among its extensions.
    pub async fn upgrade(&self, mut request: Request) -> Response {
        let Some(facts) = request.extensions().get::<Facts>().cloned() else {
            return http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let signed = match Asked::by_address(&request) {
            None => None,
            Some(asked) => match self.signed(asked, &facts).await {
                Ok(identified) => Some(Box::new(identified)),
                Err(refusal) => return refused(&refusal),
            },
        };
        let accepted = match accept(&mut request, &SUBPROTOCOLS) {
            Ok(accepted) => accepted,
            Err(not_ours) => return not_ours.into_response(),
        };
        let mqtt = self.clone();
        tokio::spawn(async move {
            let max = mqtt.0.rules.load().limits.packet_size as usize + WEBSOCKET_SLACK;
            match accepted.upgrade.await {
                Ok(upgraded) => {
                    let carrier = Carrier::new(upgraded, max).await;
                    welcome::serve(&mqtt.0, carrier, &facts, signed).await;
                }
                Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
            }
        });
        accepted.response
    }

    /// Who has signed the address of a WebSocket.
    async fn signed(&self, asked: Asked, facts: &Facts) -> Result<Identified, Refusal> {
        let rules = self.0.rules.load_full();
        let whom = For {
            entrance: &rules.settings.entrance,
            region: rules.settings.aws.region.as_deref(),
            services: &[DEVICE_GATEWAY],
        };
        let identified = by_signature(&self.0.core, whom, asked, facts).await;
        if let Err(refusal) = &identified {
            // Anybody may bring this about as often as they like.
            tracing::debug!(error = %refusal, peer = %facts.peer.ip(), "a signed WebSocket is refused");
            self.0.metrics.login_refused(super::aws::mqtt::VIA);
        }
        identified
    }

    /// The routes `/mqtt`, and Azure's.
    pub fn router(&self) -> axum::Router {
        let mqtt = self.clone();
        let upgrade = move |request: Request| {
            let mqtt = mqtt.clone();
            async move { mqtt.upgrade(request).await }
        };
        let upgrade = axum::routing::get(upgrade);
        axum::Router::new()
            .route("/mqtt", upgrade.clone())
            .route(WEBSOCKET, upgrade.clone())
            .route(PROVISIONING, upgrade)
    }
}
