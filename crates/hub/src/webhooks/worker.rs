//! One webhook: its events in order, one request at a time.

use std::time::{Duration, Instant};

use outgate_core::id::WebhookId;
use outgate_core::secret::Secret;
use outgate_core::webhooks::{Due, Letter};
use outgate_core::{Core, Refusal, Timestamp};
use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::webhooks::message::Message;
use crate::webhooks::schedule::{self, MAX_REJECTIONS, STOP_AFTER, STOP_AFTER_ATTEMPTS};
use crate::webhooks::sender::{Outcome, Request, Sender, Trouble};
use crate::webhooks::{STORE_WAIT, Timer};

/// How many places of events that are not wanted may be passed over before that is noted: to note
/// each would be a write an event and webhook.
const PASSED_OVER: u64 = 256;

/// One webhook.
#[derive(Debug)]
pub(super) struct Worker {
    id: WebhookId,
    core: Core,
    metrics: Metrics,
    sender: Sender,
    timer: Timer,
}

/// What to do after a step.
enum Next {
    /// The next one.
    Step,
    /// Wait for events.
    Events,
    /// Wait for so long.
    Wait(Duration),
    /// It is no longer sent to.
    End,
}

impl Worker {
    pub(super) fn new(
        id: WebhookId,
        core: Core,
        metrics: Metrics,
        sender: Sender,
        timer: Timer,
    ) -> Self {
        Self {
            id,
            core,
            metrics,
            sender,
            timer,
        }
    }

    /// Sends until the webhook is no longer sent to or the hub goes down. Returns whose it was.
    pub(super) async fn run(self, mut draining: watch::Receiver<bool>) -> WebhookId {
        let mut changes = self.core.webhooks.changes();
        let mut newest = self.core.events.newest();
        while !*draining.borrow_and_update() {
            // Noted before the store is asked, so that nothing falls in between.
            changes.borrow_and_update();
            newest.borrow_and_update();
            let next = self.step().await.unwrap_or_else(|refusal| {
                tracing::error!(webhook = %self.id, error = %refusal, "a webhook must wait");
                Next::Wait(STORE_WAIT)
            });
            // Errors of these mean that there will be no more news.
            match next {
                Next::Step => {}
                Next::End => break,
                Next::Events => tokio::select! {
                    _ = newest.changed() => {}
                    _ = changes.changed() => {}
                    _ = draining.changed() => {}
                },
                Next::Wait(length) => tokio::select! {
                    () = self.timer.wait(length) => {}
                    _ = changes.changed() => {}
                    _ = draining.changed() => {}
                },
            }
        }
        self.id
    }

    async fn step(&self) -> Result<Next, Refusal> {
        let Some(due) = self.core.webhooks.due(&self.id).await? else {
            return Ok(Next::End);
        };
        if let Some(letter) = &due.letter {
            self.send_again(&due, letter).await?;
            return Ok(Next::Step);
        }
        let behind = due.newest.saturating_sub(match due.events.is_empty() {
            true => due.next,
            false => due.place,
        });
        self.metrics.webhook_behind(self.id.as_str(), behind);
        let tried_last = due.webhook.failure.as_ref();
        if let Some(next_try) = tried_last.and_then(|failure| failure.next_try) {
            let wait = schedule::left(next_try, self.core.clock.now());
            if !wait.is_zero() {
                return Ok(Next::Wait(wait));
            }
        }
        let events = due.events.clone();
        match Message::of(&self.id, due.webhook.batch, events) {
            Some(message) => self.deliver(&due, message).await,
            None => self.pass_over(&due).await,
        }
    }

    /// Goes on past events that are not wanted.
    async fn pass_over(&self, due: &Due) -> Result<Next, Refusal> {
        let more = due.next < due.newest;
        if more || due.next.saturating_sub(due.place) >= PASSED_OVER {
            self.core.webhooks.delivered(&self.id, due.next).await?;
        }
        Ok(if more { Next::Step } else { Next::Events })
    }

    async fn deliver(&self, due: &Due, message: Message) -> Result<Next, Refusal> {
        let outcome = self
            .send(&due.webhook.url, &due.secrets, &message.id, &message.body)
            .await;
        let webhooks = &self.core.webhooks;
        match outcome {
            Outcome::Taken => {
                let whole = due
                    .events
                    .last()
                    .is_some_and(|event| event.seq == message.last);
                let place = if whole { due.next } else { message.last };
                webhooks.delivered(&self.id, place).await?;
                self.metrics.webhook_delivered(message.events);
                Ok(Next::Step)
            }
            Outcome::Gone => {
                self.stop("the receiver is gone (HTTP 410)").await?;
                Ok(Next::End)
            }
            Outcome::Rejected(trouble) if due.rejections + 1 >= MAX_REJECTIONS => {
                tracing::warn!(webhook = %self.id, why = trouble.why, "a message was set aside");
                let letter = self.letter(due, message.clone(), trouble.why.clone());
                match webhooks.set_aside(&self.id, letter).await {
                    Ok(()) => self.metrics.webhook_set_aside(),
                    // It stays first in line until there is room for it elsewhere.
                    Err(Refusal::Full) => return self.fail(due, &message, true, trouble).await,
                    Err(refusal) => return Err(refusal),
                }
                Ok(Next::Step)
            }
            Outcome::Rejected(trouble) => self.fail(due, &message, true, trouble).await,
            Outcome::Unreachable(trouble) => {
                let now = self.core.clock.now();
                let since = due.webhook.failure.as_ref().map(|failure| failure.since);
                let long = since.is_some_and(|since| now.since(since) >= STOP_AFTER);
                if long && due.attempts() + 1 >= STOP_AFTER_ATTEMPTS {
                    self.stop("the receiver could not be reached for 7 days")
                        .await?;
                    return Ok(Next::End);
                }
                self.fail(due, &message, false, trouble).await
            }
        }
    }

    async fn fail(
        &self,
        due: &Due,
        message: &Message,
        rejected: bool,
        trouble: Trouble,
    ) -> Result<Next, Refusal> {
        let failures = due.attempts() + 1;
        let wait = schedule::wait(failures, chance()?, trouble.retry_after);
        let next_try = self.core.clock.now().after(wait);
        tracing::info!(webhook = %self.id, failures, why = trouble.why, "a webhook failed");
        self.core
            .webhooks
            .failed(&self.id, message.last, rejected, (trouble.why, next_try))
            .await?;
        Ok(Next::Step)
    }

    async fn stop(&self, why: &str) -> Result<(), Refusal> {
        tracing::warn!(webhook = %self.id, why, "a webhook was stopped");
        self.core.webhooks.stop(&self.id, why.to_owned()).await
    }

    async fn send_again(&self, due: &Due, letter: &Letter) -> Result<(), Refusal> {
        let outcome = self
            .send(
                &due.webhook.url,
                &due.secrets,
                &letter.message,
                &letter.body,
            )
            .await;
        let why = match outcome {
            Outcome::Taken => None,
            Outcome::Rejected(trouble) | Outcome::Unreachable(trouble) => Some(trouble.why),
            Outcome::Gone => Some("HTTP 410".to_owned()),
        };
        let webhooks = &self.core.webhooks;
        webhooks.sent_again(&self.id, letter.seq, why).await
    }

    async fn send(&self, url: &str, secrets: &[Secret], id: &str, body: &bytes::Bytes) -> Outcome {
        let began = Instant::now();
        let at = self.core.clock.now();
        let request = Request {
            url,
            secrets,
            id,
            body,
            at,
        };
        let outcome = self.sender.send(request).await;
        let word = match &outcome {
            Outcome::Taken => "delivered",
            Outcome::Rejected(_) => "rejected",
            Outcome::Unreachable(_) => "unreachable",
            Outcome::Gone => "gone",
        };
        self.metrics.webhook_tried(word, began.elapsed());
        outcome
    }

    fn letter(&self, due: &Due, message: Message, why: String) -> Letter {
        let at: Timestamp = self.core.clock.now();
        Letter {
            // The store gives it its place.
            seq: 0,
            message: message.id,
            first_place: message.first,
            last_place: message.last,
            body: message.body,
            at,
            attempts: due.attempts() + 1,
            why,
            again: false,
        }
    }
}

/// A random byte.
pub(crate) fn chance() -> Result<u8, Refusal> {
    Ok(Secret::random(1)?.expose().first().copied().unwrap_or(128))
}
