//! What devices log, sent on to a collector by OTLP over HTTP, in protobuf.
//!
//! It is taken from the store, in the order in which it came, one request at a time; how far it is
//! is kept there too. So nothing is lost while the collector is away, until what is kept of logs
//! has an end. A request that was not answered is sent again, so a record may come twice.
//!
//! Which device logged, and where it stood, is told in the resource: `outgate.device` and
//! `outgate.site`.

use std::path::PathBuf;
use std::time::Duration;

use outgate_core::logs::{Log, LogFilter};
use outgate_core::{Core, Refusal};
use outgate_wire::otlp::{Batch, Malformed, Resource, Scope, Value};
use tokio::sync::watch;

use crate::config::{Config, Forward};
use crate::metrics::Metrics;
use crate::webhooks::{SenderError, Timer, backoff, chance};

mod sender;

use sender::{Outcome, Sender};

/// The most records of a request, as the SDKs send.
const MAX_RECORDS: u32 = 512;

/// After so many failures in a row waits get no longer: some five minutes.
const LONGEST_AFTER: u32 = 7;

/// How long to wait for more when some have come, so that they go together.
const GATHER: Duration = Duration::from_millis(200);

/// How long to wait before asking a store again that failed.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// Why nothing can be sent on.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The file with headers cannot be used.
    #[error("the headers for the collector of logs in {file:?} cannot be used: {why}")]
    Headers {
        /// The file.
        file: PathBuf,
        /// What is wrong; nothing of what is in it.
        why: String,
    },
    /// Whom to trust is not known.
    #[error("no connection to the collector of logs can be made")]
    Client(#[from] SenderError),
}

/// Sends logs on.
#[derive(Clone, Debug)]
pub struct Forwarding {
    sender: Sender,
    timer: Timer,
}

/// How it goes.
#[derive(Default)]
struct Progress {
    /// The place up to which all has been sent on.
    place: u64,
    /// Failures in a row.
    failures: u32,
    /// How many times the number of records of a request has been halved.
    halved: u32,
}

/// What to do after a step.
enum Next {
    /// The next one.
    Step,
    /// Wait for records.
    Records,
    /// Wait for so long.
    Wait(Duration),
}

impl Forwarding {
    /// As a hub is configured; none when it sends nothing on.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub(crate) fn of(config: &Config) -> Result<Option<Self>, ForwardError> {
        let forward = config.device_logs.forward.as_ref();
        forward
            .map(|forward| Self::new(forward, Timer::default()))
            .transpose()
    }

    /// Sends on as `forward` says.
    ///
    /// # Errors
    /// [`ForwardError`].
    pub fn new(forward: &Forward, timer: Timer) -> Result<Self, ForwardError> {
        let sender = Sender::new(forward)?;
        Ok(Self { sender, timer })
    }

    /// Sends on until `draining` says that the hub goes down.
    pub async fn run(self, core: Core, metrics: Metrics, mut draining: watch::Receiver<bool>) {
        let mut newest = core.logs.newest();
        let mut progress = Progress::default();
        while !*draining.borrow_and_update() {
            // Noted before the store is asked, so that nothing falls in between.
            newest.borrow_and_update();
            let step = self.step(&core, &metrics, &mut progress);
            let next = tokio::select! {
                next = step => next,
                // A request under way is broken off, and sent again by the next start.
                _ = draining.changed() => continue,
            };
            let next = next.unwrap_or_else(|refusal| {
                tracing::error!(error = %refusal, "logs cannot be read to be sent on");
                Next::Wait(STORE_WAIT)
            });
            match next {
                Next::Step => {}
                Next::Records => tokio::select! {
                    _ = newest.changed() => tokio::time::sleep(GATHER).await,
                    _ = draining.changed() => {}
                },
                Next::Wait(length) => tokio::select! {
                    () = self.timer.wait(length) => {}
                    _ = draining.changed() => {}
                },
            }
        }
    }

    async fn step(
        &self,
        core: &Core,
        metrics: &Metrics,
        progress: &mut Progress,
    ) -> Result<Next, Refusal> {
        if progress.place == 0 {
            progress.place = core.logs.forwarded().await?;
        }
        let limit = (MAX_RECORDS >> progress.halved).max(1);
        let all = LogFilter::default();
        let taken = core.logs.after(&all, progress.place, limit).await?;
        metrics.logs_behind(taken.newest.saturating_sub(progress.place));
        let Some(first) = taken.logs.first() else {
            return Ok(Next::Records);
        };
        // Places have no holes, but what is kept has an end. Nothing is known to be lost of what
        // came before logs were sent on for the first time.
        let lost = first.seq.saturating_sub(progress.place + 1);
        if progress.place > 0 && lost > 0 {
            tracing::warn!(
                lost,
                "log records were cleared away before they could be sent on"
            );
            metrics.logs_forwarded("lost", lost);
            progress.place = first.seq.saturating_sub(1);
        }
        let outcome = self
            .sender
            .send(request(&taken.logs)?, core.clock.now())
            .await;
        metrics.logs_tried(outcome.label());
        let records = u64::try_from(taken.logs.len()).unwrap_or(u64::MAX);
        let rejected = match outcome {
            Outcome::Taken { rejected } => {
                progress.halved = progress.halved.saturating_sub(1);
                rejected.min(records)
            }
            Outcome::Unwanted { why } if records > 1 => {
                tracing::debug!(why, records, "logs are sent on in smaller parts");
                progress.halved = (progress.halved + 1).min(MAX_RECORDS.ilog2());
                return Ok(Next::Step);
            }
            Outcome::Unwanted { why } => {
                tracing::warn!(why, "the collector does not want a log record");
                records
            }
            Outcome::Away { why, retry_after } => {
                return Ok(Next::Wait(progress.failed(&why, retry_after)?));
            }
        };
        if progress.failures > 0 {
            tracing::info!("logs are sent on again");
        }
        progress.failures = 0;
        metrics.logs_forwarded("taken", records.saturating_sub(rejected));
        metrics.logs_forwarded("rejected", rejected);
        metrics.logs_behind(taken.newest.saturating_sub(taken.next));
        progress.place = taken.next;
        // On a full disk it goes on all the same; only after a new start would some come again.
        if let Err(refusal) = core.logs.note_forwarded(taken.next).await {
            tracing::warn!(error = %refusal, "how far logs were sent on is not noted");
        }
        Ok(Next::Step)
    }
}

impl Progress {
    /// How long to wait after one more failure.
    fn failed(&mut self, why: &str, asked: Option<Duration>) -> Result<Duration, Refusal> {
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::warn!(why, "logs cannot be sent on");
        } else {
            tracing::debug!(why, failures = self.failures, "logs cannot be sent on yet");
        }
        Ok(backoff(self.failures.min(LONGEST_AFTER), chance()?, asked))
    }
}

/// A request with these records, those of the same device, resource and scope together.
fn request(logs: &[Log]) -> Result<Vec<u8>, Refusal> {
    let unreadable = |_: Malformed| Refusal::Internal("a log record's context cannot be read");
    let same = |one: &Log, other: &Log| {
        (&one.device, &one.site, &one.resource, &one.scope)
            == (&other.device, &other.site, &other.resource, &other.scope)
    };
    let mut batch = Batch::default();
    for group in logs.chunk_by(same) {
        let Some(first) = group.first() else { continue };
        let mut resource = Resource::from_bytes(&first.resource).map_err(unreadable)?;
        for (name, value) in [
            ("outgate.device", first.device.as_str()),
            ("outgate.site", first.site.as_str()),
        ] {
            let value = Value::Text(value.to_owned());
            resource.attributes.push((name.to_owned(), value));
        }
        let scope = Scope::from_bytes(&first.scope).map_err(unreadable)?;
        batch.add(&resource, &scope, group.iter().map(|log| &log.record[..]));
    }
    Ok(batch.into_bytes())
}

#[cfg(test)]
mod tests;
