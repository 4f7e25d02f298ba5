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

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use outgate_core::Core;
use outgate_core::id::WebhookId;
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};

use crate::config::Config;
use crate::metrics::Metrics;

mod destination;
mod message;
mod schedule;
mod sender;
mod timer;
mod worker;

pub use message::MAX_BODY;
pub(crate) use schedule::wait as backoff;
pub use schedule::{
    FIRST_WAIT, LONGEST_RETRY_AFTER, LONGEST_WAIT, MAX_REJECTIONS, STOP_AFTER, STOP_AFTER_ATTEMPTS,
};
pub use sender::SenderError;
pub(crate) use sender::{Chain, Unread, Ways, is_away, read_answer, retry_after, tls_config};
pub use timer::{Timer, Wait};
pub(crate) use worker::chance;

use sender::Sender;
use worker::Worker;

/// How long a request may take (Standard Webhooks recommends 15 to 30 seconds).
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long requests under way may take once the hub goes down. What was not answered by then is
/// sent again later.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// How long to wait before asking a store again that failed.
pub(crate) const STORE_WAIT: Duration = Duration::from_secs(5);

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
    let mut workers = Workers::default();
    while !*draining.borrow_and_update() {
        changes.borrow_and_update();
        for id in active(&core).await {
            let sender = match &sender {
                Some(sender) => Sender::clone(sender),
                None => sender.insert(Sender::new(&settings)?).clone(),
            };
            if !workers.is_running(&id) {
                let (core, metrics) = (core.clone(), metrics.clone());
                let worker = Worker::new(id.clone(), core, metrics, sender, timer.clone());
                workers.start(id, worker.run(draining.clone()));
            }
        }
        tokio::select! {
            Some(ended) = workers.ended() => match ended {
                Ended::Done(id) => metrics.webhook_removed(id.as_str()),
                Ended::Broken(id) => {
                    // After a pause, so that one that breaks at once does not spin.
                    let (timer, mut draining) = (timer.clone(), draining.clone());
                    workers.start(id.clone(), async move {
                        tokio::select! {
                            () = timer.wait(STORE_WAIT) => {}
                            _ = draining.changed() => {}
                        }
                        id
                    });
                }
            },
            // An error means that nobody can change webhooks any more.
            _ = changes.changed() => {}
            _ = draining.changed() => {}
        }
    }
    let all = async { while workers.ended().await.is_some() {} };
    if tokio::time::timeout(DRAIN_WITHIN, all).await.is_err() {
        tracing::warn!("some webhooks had not answered when the hub went down");
    }
    Ok(())
}

/// Those who send, each to one webhook.
#[derive(Default)]
struct Workers {
    running: HashMap<task::Id, WebhookId>,
    tasks: JoinSet<WebhookId>,
}

/// How one of them ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The webhook is no longer sent to.
    Done(WebhookId),
    /// By a fault of ours: somebody has to begin again.
    Broken(WebhookId),
}

impl Workers {
    fn is_running(&self, id: &WebhookId) -> bool {
        self.running.values().any(|running| running == id)
    }

    fn start(&mut self, id: WebhookId, work: impl Future<Output = WebhookId> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.running.insert(task.id(), id);
    }

    /// The next that ends; `None` when none is running.
    async fn ended(&mut self) -> Option<Ended> {
        let ended = self.tasks.join_next_with_id().await?;
        let task = ended.as_ref().map_or_else(JoinError::id, |(task, _)| *task);
        let id = self.running.remove(&task)?;
        Some(match ended {
            Ok(_) => Ended::Done(id),
            Err(error) => {
                tracing::error!(webhook = %id, %error, "sending to a webhook stopped");
                Ended::Broken(id)
            }
        })
    }
}

/// Whom to send to; nobody for now when the store fails.
async fn active(core: &Core) -> Vec<WebhookId> {
    core.webhooks.active().await.unwrap_or_else(|refusal| {
        tracing::error!(error = %refusal, "webhooks cannot be read");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_breaks_is_told_by_name_and_runs_no_more() {
        let (good, bad): (WebhookId, WebhookId) = ("good".parse().unwrap(), "bad".parse().unwrap());
        let mut workers = Workers::default();
        workers.start(bad.clone(), fault());
        assert!(workers.is_running(&bad));
        assert_eq!(workers.ended().await, Some(Ended::Broken(bad.clone())));
        assert!(!workers.is_running(&bad));
        let done = good.clone();
        workers.start(good.clone(), async { done });
        assert_eq!(workers.ended().await, Some(Ended::Done(good)));
        assert_eq!(workers.ended().await, None);
    }

    fn fault() -> impl Future<Output = WebhookId> {
        std::future::poll_fn(|_| panic!("a fault of ours"))
    }
}
