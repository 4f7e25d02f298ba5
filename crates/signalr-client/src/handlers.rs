//! What the hub may call at the client.

use std::collections::{HashMap, VecDeque};
use std::fmt::Display;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use outgate_signalr::payload::Payload;
use outgate_signalr::{Call, Completed, Headers, Message, Protocol};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::warn;

use crate::arguments::{FromArguments, Values};
use crate::error::Cause;
use crate::http::locked;
use crate::settings::ANSWERS_MAX;
use crate::value;

/// What Microsoft's clients answer for a method that they have no handler for.
const NO_RESULT: &str = "Client didn't provide a result.";
/// What the hub learns of a handler that panics.
const PANICKED: &str = "the client's handler failed";
const BUSY: &str = "the client handles too many calls at a time";

type Listening = dyn Fn(Values) -> BoxFuture<'static, ()> + Send + Sync;
type Answering = dyn Fn(Values) -> BoxFuture<'static, Result<Payload, String>> + Send + Sync;

/// The handlers of a client, by their targets in small letters: names of methods are compared
/// without regard to case.
#[derive(Default)]
pub(crate) struct Handlers {
    targets: Mutex<HashMap<String, Target>>,
    /// Calls with a result that are being handled.
    answering: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Target {
    listeners: Vec<Arc<Listener>>,
    answerer: Option<Arc<Answering>>,
}

/// A handler, and the calls that wait for it. They are handled one after the other.
struct Listener {
    handle: Box<Listening>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Values>,
    /// Whether a task takes from it.
    running: bool,
}

impl Handlers {
    pub(crate) fn listen<A, F, Fut>(&self, target: &str, handler: F) -> Registration
    where
        A: FromArguments,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let name = target.to_owned();
        let handle = move |values| -> BoxFuture<'static, ()> {
            match A::read(values) {
                Ok(arguments) => Box::pin(handler(arguments)),
                Err(error) => {
                    warn!(target = name, %error, "the hub called a handler with other arguments");
                    Box::pin(std::future::ready(()))
                }
            }
        };
        let listener = Arc::new(Listener {
            handle: Box::new(handle),
            queue: Mutex::default(),
        });
        let mut targets = locked(&self.targets);
        let entry = targets.entry(target.to_lowercase()).or_default();
        entry.listeners.push(listener.clone());
        Registration {
            target: target.to_lowercase(),
            listener,
        }
    }

    pub(crate) fn answer<A, R, E, F, Fut>(&self, target: &str, protocol: Protocol, handler: F)
    where
        A: FromArguments,
        R: Serialize + 'static,
        E: Display + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        let handle = move |values| -> BoxFuture<'static, Result<Payload, String>> {
            match A::read(values) {
                Ok(arguments) => Box::pin(handler(arguments).map(move |answer| {
                    let result = answer.map_err(|error| error.to_string())?;
                    value::of(protocol, &result).map_err(|error| error.to_string())
                })),
                Err(error) => Box::pin(std::future::ready(Err(error.to_string()))),
            }
        };
        let mut targets = locked(&self.targets);
        let entry = targets.entry(target.to_lowercase()).or_default();
        entry.answerer = Some(Arc::new(handle));
    }

    pub(crate) fn remove(&self, registration: &Registration) {
        if let Some(target) = locked(&self.targets).get_mut(&registration.target) {
            target
                .listeners
                .retain(|listener| !Arc::ptr_eq(listener, &registration.listener));
        }
    }

    pub(crate) fn remove_all(&self, target: &str) {
        locked(&self.targets).remove(&target.to_lowercase());
    }

    /// Has a call handled, without waiting for that.
    ///
    /// # Errors
    /// As many calls as `waiting_max` wait for a handler already.
    pub(crate) fn handle(
        &self,
        call: Call<Payload>,
        answer: Option<Answer>,
        waiting_max: usize,
    ) -> Result<(), Cause> {
        let (listeners, answerer) = {
            let targets = locked(&self.targets);
            match targets.get(&call.target.to_lowercase()) {
                Some(target) => (target.listeners.clone(), target.answerer.clone()),
                None => Default::default(),
            }
        };
        if listeners.is_empty() && answerer.is_none() {
            warn!("the hub called what there is no handler for");
        }
        let values = Values(call.arguments);
        for listener in listeners {
            if !push(&listener, values.clone(), waiting_max) {
                return Err(Cause::SlowHandler {
                    target: call.target,
                    limit: waiting_max,
                });
            }
        }
        match (answer, answerer) {
            (Some(answer), Some(answerer)) => self.handle_for_result(&*answerer, values, answer),
            (Some(answer), None) => answer.send(Err(NO_RESULT.to_owned())),
            (None, Some(answerer)) => {
                // Nobody waits for the result.
                tokio::spawn(answerer(values).map(|_| ()));
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn handle_for_result(&self, answerer: &Answering, values: Values, answer: Answer) {
        let Some(seat) = Seat::take(&self.answering) else {
            return answer.send(Err(BUSY.to_owned()));
        };
        let handling = AssertUnwindSafe(answerer(values)).catch_unwind();
        tokio::spawn(async move {
            let result = handling.await;
            answer.send(result.unwrap_or_else(|_| Err(PANICKED.to_owned())));
            drop(seat);
        });
    }
}

/// One of the calls with a result that are handled at a time.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(taken.clone());
        // Dropped when there is none, it is given back.
        (taken.fetch_add(1, Ordering::Relaxed) < ANSWERS_MAX).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Puts a call behind those that wait; false when there are too many.
fn push(listener: &Arc<Listener>, values: Values, waiting_max: usize) -> bool {
    let mut queue = locked(&listener.queue);
    if queue.waiting.len() >= waiting_max {
        return false;
    }
    queue.waiting.push_back(values);
    if !std::mem::replace(&mut queue.running, true) {
        tokio::spawn(run(listener.clone()));
    }
    true
}

async fn run(listener: Arc<Listener>) {
    loop {
        let values = {
            let mut queue = locked(&listener.queue);
            let Some(values) = queue.waiting.pop_front() else {
                queue.running = false;
                return;
            };
            values
        };
        let handling = AssertUnwindSafe(async { (listener.handle)(values).await });
        if handling.catch_unwind().await.is_err() {
            warn!("a handler panicked");
        }
    }
}

/// Names a handler, to remove it. Dropping it does not.
pub struct Registration {
    target: String,
    listener: Arc<Listener>,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Where the result of a call goes: to the connection that it came over, or nowhere when that has
/// ended.
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) outgoing: mpsc::Sender<Bytes>,
}

impl Answer {
    fn send(self, result: Result<Payload, String>) {
        let completion = Message::Completion {
            headers: Headers::new(),
            id: self.id,
            completed: match result {
                Ok(value) => Completed::Result(value),
                Err(error) => Completed::Error(error),
            },
        };
        let record = value::write(self.protocol, completion).into();
        send_soon(&self.outgoing, record);
    }
}

/// Sends a record as soon as there is room, without waiting for that. Who calls it sees to it that
/// not too many wait.
pub(crate) fn send_soon(outgoing: &mpsc::Sender<Bytes>, record: Bytes) {
    let Err(mpsc::error::TrySendError::Full(record)) = outgoing.try_send(record) else {
        return;
    };
    let outgoing = outgoing.clone();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { outgoing.send(record).await });
    }
}
