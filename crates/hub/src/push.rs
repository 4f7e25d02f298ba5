//! Devices reached by push, also when they are not connected: messages handed to Firebase Cloud
//! Messaging (HTTP v1), which alone can deliver them to the registrations that it gave out.
//!
//! A message is handed over within a deadline, tried again as long as that lasts, and what came of
//! it is told to whoever sent it: nothing waits in the hub for longer. Nothing but the message and
//! the registration is sent to Google; where the configuration names a relay, it goes there.
//!
//! - 404 `UNREGISTERED` and 403 `SENDER_ID_MISMATCH`: nobody is reached there, and the registration
//!   is to be forgotten.
//! - 408, 429, 5xx, no answer: tried again after [`SHORTEST_WAIT`] at the least, which doubles, a
//!   fifth more or less at random; `Retry-After` is heeded where it asks for longer.
//! - 401: once with a new token.

mod account;
mod fcm;
mod grant;
mod reminders;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use outgate_core::id::DeviceId;
use outgate_core::registrations::Registration;
use outgate_core::{Clock, Core, Refusal};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::Fcm;
use crate::metrics::Metrics;
use crate::webhooks::{
    self, Chain, SenderError, Timer, Unread, Ways, backoff, chance, read_answer, retry_after,
};

pub use account::AccountError;
pub(crate) use reminders::run as remind;

pub use fcm::{MAX_BYTES, MAX_COLLAPSE, MAX_LASTS, Message};

use account::Account;
use fcm::{Verdict, judge};
use grant::Grants;

/// The shortest wait before a message is tried again, as Google asks for.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for a quota that has been used up, when nothing is said, as Google asks for.
const QUOTA_WAIT: Duration = Duration::from_secs(60);

/// How long a request may take: as long as Google asks for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The most requests at a time.
const MAX_UNDER_WAY: usize = 64;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends to devices, if it is set up; by default it is not.
#[derive(Clone, Debug, Default)]
pub struct Push(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    address: String,
    ways: Ways,
    grants: Grants,
    under_way: Semaphore,
    clock: Clock,
    timer: Timer,
    metrics: Metrics,
}

/// Why nobody can be reached by push.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The service account cannot be used.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Nothing can be sent.
    #[error("nothing can be sent by push")]
    Sender(#[from] SenderError),
}

/// What came of a message to one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Google has it.
    Sent,
    /// Nobody is reached there any more.
    Gone,
    /// It was not sent, and why.
    Failed(String),
    /// It was not sent in time, and why; later it might be.
    Late(String),
}

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    why: String,
    /// Whether it may work later.
    passes: bool,
    /// How long is asked to wait.
    wait: Option<Duration>,
}

impl Push {
    /// As it is configured: devices are not reached when it is not.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn new(
        fcm: Option<&Fcm>,
        metrics: Metrics,
        clock: Clock,
        timer: Timer,
    ) -> Result<Self, PushError> {
        let Some(fcm) = fcm else {
            return Ok(Self(None));
        };
        let account = Account::read(&fcm.account)?;
        let settings = webhooks::Settings {
            // The configuration says where to; nobody else does.
            trusted: ["0.0.0.0/0", "::/0"]
                .iter()
                .filter_map(|net| net.parse().ok())
                .collect(),
            authority: fcm.authority.clone(),
            answer_within: ANSWER_WITHIN,
            timer: timer.clone(),
        };
        let ways = Ways::new(&settings)?;
        let address = format!(
            "{}/v1/projects/{}/messages:send",
            fcm.endpoint, account.project
        );
        let token_endpoint = fcm.token_endpoint.clone();
        Ok(Self(Some(Arc::new(Inner {
            address,
            grants: Grants::new(account, token_endpoint, ways.clone(), clock.clone()),
            ways,
            under_way: Semaphore::new(MAX_UNDER_WAY),
            clock,
            timer,
            metrics,
        }))))
    }

    /// Whether it is set up.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Sends a message to each of these registrations, and tries again until the deadline. Gives
    /// what came of each, in their order.
    pub async fn send(
        &self,
        message: &Message,
        to: &[Registration],
        deadline: Duration,
    ) -> Vec<Outcome> {
        let until = Instant::now() + deadline;
        let each = to.iter().map(|registration| async move {
            let Some(inner) = &self.0 else {
                return Outcome::Failed("push is not set up".to_owned());
            };
            let outcome = inner.send(message, registration, until).await;
            inner.metrics.pushed(match outcome {
                Outcome::Sent => "sent",
                Outcome::Gone => "gone",
                Outcome::Failed(_) | Outcome::Late(_) => "failed",
            });
            outcome
        });
        join_all(each).await
    }
}

impl Inner {
    async fn send(&self, message: &Message, to: &Registration, until: Instant) -> Outcome {
        let mut failures = 0;
        loop {
            let tried = tokio::time::timeout_at(until, self.try_once(message, to)).await;
            let trouble = match tried {
                Ok(Ok(outcome)) => return outcome,
                Ok(Err(trouble)) => trouble,
                Err(_) => Trouble::passing("not in time".to_owned(), None),
            };
            failures += 1;
            let wait = match chance() {
                Ok(chance) => backoff(failures, chance, trouble.wait).max(SHORTEST_WAIT),
                Err(refusal) => return Outcome::Failed(refusal.to_string()),
            };
            if !trouble.passes || Instant::now() + wait >= until {
                tracing::info!(failures, why = trouble.why, "a push failed");
                return if trouble.passes {
                    Outcome::Late(trouble.why)
                } else {
                    Outcome::Failed(trouble.why)
                };
            }
            self.metrics.push_tried_again();
            self.timer.wait(wait).await;
        }
    }

    /// Tries once; twice when the token is not accepted.
    async fn try_once(&self, message: &Message, to: &Registration) -> Result<Outcome, Trouble> {
        let closed = |_| Trouble::lasting("the hub goes down".to_owned());
        let _permit = self.under_way.acquire().await.map_err(closed)?;
        let token = std::str::from_utf8(to.token.expose());
        let token =
            token.map_err(|_| Trouble::lasting("a registration that is none".to_owned()))?;
        let body = message.to(token, self.clock.now()).to_string();
        let mut refused = None;
        loop {
            let grant = self.grants.token(refused.as_ref()).await?;
            let (verdict, wait) = self.hand_over(&body, grant.expose()).await?;
            return match verdict {
                Verdict::Taken => Ok(Outcome::Sent),
                Verdict::Gone => Ok(Outcome::Gone),
                Verdict::Later(why) => Err(Trouble::passing(why, wait)),
                Verdict::Refused(why) => Err(Trouble::lasting(why)),
                Verdict::Unauthenticated if refused.is_none() => {
                    refused = Some(grant);
                    continue;
                }
                Verdict::Unauthenticated => {
                    Err(Trouble::lasting("HTTP 401 with a new token too".to_owned()))
                }
            };
        }
    }

    async fn hand_over(
        &self,
        body: &str,
        grant: &[u8],
    ) -> Result<(Verdict, Option<Duration>), Trouble> {
        let mut bearer = HeaderValue::from_bytes(&[b"Bearer ", grant].concat())
            .map_err(|_| Trouble::lasting("a token that is none".to_owned()))?;
        bearer.set_sensitive(true);
        let post = self.ways.post(&self.address);
        let post = post.map_err(|why| Trouble::lasting(why.to_string()))?;
        let sent = post
            .header(AUTHORIZATION, bearer)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body.to_owned())
            .send()
            .await;
        let mut answer = sent.map_err(Trouble::unreachable)?;
        let status = answer.status();
        let wait = retry_after(answer.headers(), self.clock.now());
        let wait = wait.or((status == StatusCode::TOO_MANY_REQUESTS).then_some(QUOTA_WAIT));
        let body = whole(&mut answer).await?;
        Ok((judge(status, &body), wait))
    }
}

impl Trouble {
    /// What may work later.
    fn passing(why: String, wait: Option<Duration>) -> Self {
        Self {
            why,
            passes: true,
            wait,
        }
    }

    /// What will not work.
    fn lasting(why: String) -> Self {
        Self {
            why,
            passes: false,
            wait: None,
        }
    }

    fn unreachable(error: reqwest::Error) -> Self {
        Self::passing(Chain(&error.without_url()).to_string(), None)
    }
}

/// Forgets the registrations of a device at which nobody is reached any more.
///
/// # Errors
/// As the store.
pub(crate) async fn forget_gone(
    core: &Core,
    device: &DeviceId,
    to: Vec<Registration>,
    outcomes: &[Outcome],
) -> Result<(), Refusal> {
    for (registration, outcome) in to.into_iter().zip(outcomes) {
        if *outcome == Outcome::Gone {
            core.registrations.gone(device, registration.token).await?;
        }
    }
    Ok(())
}

/// All of an answer, if it is not too long.
async fn whole(answer: &mut Response) -> Result<Vec<u8>, Trouble> {
    let read = read_answer(answer, MAX_ANSWER).await;
    read.map_err(|unread| match unread {
        Unread::Lost(error) => Trouble::unreachable(error),
        Unread::TooLong => Trouble::passing("an answer that is too long".to_owned(), None),
    })
}
