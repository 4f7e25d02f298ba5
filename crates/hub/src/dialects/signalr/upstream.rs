//! What a back end is told by requests of the hub's own, as Azure SignalR Service tells it in its
//! serverless mode: that clients come and go, and what they invoke.
//!
//! Neither holds up anybody else. Who has come or gone waits in one of a few lanes, each of which
//! has a bound; an invocation waits with its client, and for so long only as a back end may take.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outgate_signalr_server::{Arguments, HubError};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::guest::Guest;
use super::values::told;
use crate::metrics::{Asked, Metrics};
use crate::webhooks::{self, Timer};

mod request;
#[cfg(test)]
mod tests;

pub(super) use request::To;
use request::{About, Failed};

/// The most invocations of one hub that are with its back end; further ones wait for those.
const MAX_UNDER_WAY: usize = 256;

/// The most bytes of a method's name that is told to a back end: it goes into a header.
const MAX_TARGET: usize = 1_024;

/// How many requests about clients that come and go are under way at a time. Those about one
/// connection are told one after the other.
const LANES: usize = 8;

/// The most of those that wait, each lane; further ones are dropped and counted.
const MAX_WAITING: usize = 1_000;

/// How long is waited before each further try to tell that a client has come or gone.
const WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// The kind of a completion in SignalR's JSON, in which Azure's libraries answer.
const COMPLETION: u64 = 3;

/// A back end.
#[derive(Debug)]
pub(super) struct Upstream {
    to: Arc<To>,
    under_way: Semaphore,
    answer_within: Duration,
    lanes: Vec<mpsc::Sender<Notice>>,
    metrics: Metrics,
}

/// That a client has come or gone.
#[derive(Debug)]
struct Notice {
    about: About,
    body: Bytes,
}

impl Upstream {
    /// A back end that is asked as webhooks are told. Requests about clients that come and go are
    /// sent from tasks of the runtime that this is called in, which end with this.
    pub(super) fn new(to: To, metrics: Metrics, settings: &webhooks::Settings) -> Self {
        let to = Arc::new(to);
        let lanes = (0..LANES).map(|_| {
            let (lane, notices) = mpsc::channel(MAX_WAITING);
            let (metrics, timer) = (metrics.clone(), settings.timer.clone());
            tokio::spawn(tell(Arc::clone(&to), notices, metrics, timer));
            lane
        });
        Self {
            lanes: lanes.collect(),
            to,
            under_way: Semaphore::new(MAX_UNDER_WAY),
            answer_within: settings.answer_within,
            metrics,
        }
    }

    /// Tells that a client has come.
    pub(super) fn connected(&self, connection: &str, guest: &Guest) {
        self.notice(connection, guest, "connected", &json!({}));
    }

    /// Tells that a client has gone.
    pub(super) fn disconnected(&self, connection: &str, guest: &Guest, error: Option<String>) {
        let body = json!({ "Error": error });
        self.notice(connection, guest, "disconnected", &body);
    }

    fn notice(&self, connection: &str, guest: &Guest, event: &'static str, body: &Value) {
        let notice = Notice {
            about: self.to.about(connection, guest, ("connections", event)),
            body: body.to_string().into(),
        };
        let mut hasher = DefaultHasher::new();
        connection.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        let lane = self.lanes.get(lane);
        if lane.is_none_or(|lane| lane.try_send(notice).is_err()) {
            self.metrics.signalr_upstream(&self.to.hub, Asked::Dropped);
        }
    }

    /// Passes on what a client invokes, and gives the result. It is tried once: nobody knows
    /// whether what was not answered was done.
    ///
    /// # Errors
    /// What the back end has said, or that it could not be asked; [`Refusal::Revoked`] in words.
    ///
    /// [`Refusal::Revoked`]: outgate_core::Refusal::Revoked
    pub(super) async fn invoke(
        &self,
        connection: &str,
        guest: &Guest,
        (id, target): (Option<String>, &str),
        arguments: Arguments,
    ) -> Result<Value, HubError> {
        if target.len() > MAX_TARGET {
            return Err(failed("the method's name is too long"));
        }
        let arguments = arguments.into_iter().map(|it| it.to_json());
        let arguments: Vec<Value> = arguments.collect();
        let body = json!({ "InvocationId": id, "Target": target, "Arguments": arguments });
        let about = self.to.about(connection, guest, ("messages", target));
        let answer = async {
            let _place = self.under_way.acquire().await;
            // Nobody who was revoked while they waited is heard.
            let session = guest.session().map_err(told)?;
            session.pass().check().map_err(told)?;
            let sent = self.to.send(&about, body.to_string().into()).await;
            sent.map_err(|failed| failed.told())
        };
        let answer = tokio::time::timeout(self.answer_within, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(failed("the back end does not answer")));
        let result = answer.and_then(|answer| result(&answer));
        let outcome = match &result {
            Ok(_) => Asked::Answered,
            Err(_) => Asked::Failed,
        };
        self.metrics.signalr_upstream(&self.to.hub, outcome);
        result
    }
}

/// Tells of clients that come and go, one after the other.
async fn tell(to: Arc<To>, mut notices: mpsc::Receiver<Notice>, metrics: Metrics, timer: Timer) {
    while let Some(Notice { about, body }) = notices.recv().await {
        let mut waits = WAITS.into_iter();
        let outcome = loop {
            let why = match to.send(&about, body.clone()).await {
                Ok(_) => break Asked::Told,
                Err(Failed::Away(why)) => why,
                Err(Failed::Refused(status)) => {
                    let status = status.as_u16();
                    tracing::debug!(status, "a back end of SignalR does not want to be told");
                    break Asked::Refused;
                }
                // It has taken what it was told, whatever else it says.
                Err(Failed::TooMuch) => break Asked::Told,
            };
            let Some(wait) = waits.next() else {
                tracing::warn!(why, "a back end was not told of a client's coming or going");
                break Asked::Dropped;
            };
            timer.wait(wait).await;
        };
        metrics.signalr_upstream(&to.hub, outcome);
    }
}

impl Failed {
    /// What the client is told. Where the back end stands is not its business.
    fn told(&self) -> HubError {
        match self {
            Self::Away(why) => {
                tracing::debug!(why, "a back end of SignalR cannot be asked");
                failed("the back end cannot be reached")
            }
            Self::Refused(status) => failed(&format!("status code {}", status.as_u16())),
            Self::TooMuch => failed("the back end's answer is too large"),
        }
    }
}

fn failed(why: &str) -> HubError {
    HubError::new(format!("Invocation failed, {why}"))
}

/// The result that an answer gives: none, a completion as Azure's libraries write it, or the
/// result itself in JSON.
fn result(answer: &[u8]) -> Result<Value, HubError> {
    let text = answer.strip_suffix(b"\x1e").unwrap_or(answer);
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let read: Result<Value, _> = serde_json::from_slice(text);
    let mut read = read.map_err(|_| failed("the back end's answer is not JSON"))?;
    if read["type"] != COMPLETION {
        return Ok(read);
    }
    match read["error"].as_str() {
        Some(error) => Err(HubError::new(error)),
        None => Ok(read["result"].take()),
    }
}
