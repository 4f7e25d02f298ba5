//! Events pushed to back ends over HTTPS, signed, tried again, and set aside when nobody takes them.
//!
//! Requests follow Standard Webhooks 1.0.0: `webhook-id` stays the same however often a message is
//! tried, `webhook-timestamp` is that of the attempt, `webhook-signature` is HMAC-SHA256 with the
//! webhook's secret (and with the one before, as long as that overlaps). The body is an object
//! `{"type": "event", "timestamp": …, "data": {…}}`, or an array of such objects where the webhook
//! takes more than one event a request; `data` is an event as `GET /api/events` shows it.
//!
//! A webhook gets its events in order, one request at a time. Any status from 200 to 299 takes a
//! message. What comes otherwise decides who is to blame:
//!
//! - The receiver is not there, too slow or overloaded (no connection, a time-out, 408, 425, 429,
//!   502, 503, 504): tried again until it is there. After [`STOP_AFTER`] the webhook is stopped.
//! - The receiver turns the message down (any other status; redirections are not followed): after
//!   [`MAX_REJECTIONS`] the message is set aside and the next one follows.
//! - 410 (Gone): the webhook is stopped at once.
//!
//! Waits double from [`FIRST_WAIT`] to [`LONGEST_WAIT`], a fifth more or less at random;
//! `Retry-After` is heeded where it asks for longer.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use outgate_core::Core;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::metrics::Metrics;

mod destination;
mod message;
mod schedule;
mod sender;
mod timer;
mod worker;

pub use message::MAX_BODY;
pub use schedule::{FIRST_WAIT, LONGEST_RETRY_AFTER, LONGEST_WAIT, MAX_REJECTIONS, STOP_AFTER};
pub use sender::SenderError;
pub use timer::{Timer, Wait};

use sender::Sender;
use worker::Worker;

/// How long a request may take (Standard Webhooks recommends 15 to 30 seconds).
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long requests under way may take once the hub goes down. What was not answered by then is
/// sent again later.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait before asking a store again that failed.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// What sending needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Networks that may be sent to without TLS, and to addresses of this machine and this link.
    pub trusted: Vec<IpNet>,
    /// Authorities in PEM that are trusted beside the system's.
    pub authority: Option<PathBuf>,
    /// How long a request may take in all.
    pub answer_within: Duration,
    /// How waiting is done.
    pub timer: Timer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            authority: None,
            answer_within: ANSWER_WITHIN,
            timer: Timer::default(),
        }
    }
}

impl Settings {
    /// As a hub is configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            trusted: config.plain_webhooks_to.clone(),
            authority: config.webhook_authority.clone(),
            ..Self::default()
        }
    }
}

/// Whether the authorities of `settings` can be read.
///
/// # Errors
/// [`SenderError`].
pub(crate) fn check(settings: &Settings) -> Result<(), SenderError> {
    Sender::new(settings).map(drop)
}

/// Sends to webhooks until `draining` says that the hub goes down.
///
/// # Errors
/// [`SenderError`] when the authorities cannot be read.
pub async fn run(
    core: Core,
    metrics: Metrics,
    settings: Settings,
    mut draining: watch::Receiver<bool>,
) -> Result<(), SenderError> {
    let timer = settings.timer.clone();
    let mut changes = core.webhooks.changes();
    let mut sender = None;
    let mut running = HashSet::new();
    let mut workers = JoinSet::new();
    while !*draining.borrow_and_update() {
        changes.borrow_and_update();
        for id in active(&core).await {
            let sender = match &sender {
                Some(sender) => Sender::clone(sender),
                None => sender.insert(Sender::new(&settings)?).clone(),
            };
            if running.insert(id.clone()) {
                let worker = Worker::new(id, core.clone(), metrics.clone(), sender, timer.clone());
                workers.spawn(worker.run(draining.clone()));
            }
        }
        tokio::select! {
            Some(ended) = workers.join_next() => {
                match ended {
                    Ok(id) => {
                        running.remove(&id);
                        metrics.webhook_removed(id.as_str());
                    }
                    Err(error) => tracing::error!(%error, "sending to a webhook stopped"),
                }
            }
            // An error means that nobody can change webhooks any more.
            _ = changes.changed() => {}
            _ = draining.changed() => {}
        }
    }
    let all = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WITHIN, all).await.is_err() {
        tracing::warn!("some webhooks had not answered when the hub went down");
    }
    Ok(())
}

/// Whom to send to; nobody for now when the store fails.
async fn active(core: &Core) -> Vec<outgate_core::id::WebhookId> {
    core.webhooks.active().await.unwrap_or_else(|refusal| {
        tracing::error!(error = %refusal, "webhooks cannot be read");
        Vec::new()
    })
}
