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
use tracing::warn;

use crate::arguments::{FromArguments, Values};
use crate::error::Cause;
use crate::http::locked;
use crate::outgoing::Outgoing;
use crate::room::{Room, Taken};
use crate::settings::{ANSWERS_MAX, Settings};
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
pub(crate) struct Handlers {
    protocol: Protocol,
    /// How many calls may wait for one of them, and how many bytes of calls.
    queue_max: usize,
    queue_bytes_max: usize,
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
    room: Room,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Values, Taken)>,
    /// Whether a task takes from it.
    running: bool,
}

impl Handlers {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            protocol: settings.protocol,
            queue_max: settings.handler_queue_max,
            queue_bytes_max: settings.handler_queue_bytes_max,
            targets: Mutex::default(),
            answering: Arc::default(),
        }
    }

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
            room: Room::new(self.queue_bytes_max),
        });
        let mut targets = locked(&self.targets);
        let entry = targets.entry(target.to_lowercase()).or_default();
        entry.listeners.push(listener.clone());
        Registration {
            target: target.to_lowercase(),
            listener,
        }
    }

    pub(crate) fn answer<A, R, E, F, Fut>(&self, target: &str, handler: F)
    where
        A: FromArguments,
        R: Serialize + 'static,
        E: Display + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
    {
        let protocol = self.protocol;
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

    /// Has a call of so many bytes handled, without waiting for that.
    ///
    /// # Errors
    /// As many calls as may be wait for a handler already, or answers for the hub.
    pub(crate) fn handle(
        &self,
        call: Call<Payload>,
        length: usize,
        answer: Option<Answer>,
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
            let pushed = push(&listener, values.clone(), length, self.queue_max);
            pushed.map_err(|calls| Cause::SlowHandler {
                target: call.target.clone(),
                calls,
                bytes: listener.room.taken(),
            })?;
        }
        match (answer, answerer) {
            (Some(answer), Some(answerer)) => {
                return self.handle_for_result(&*answerer, values, answer);
            }
            (Some(answer), None) => return answer.refuse(NO_RESULT),
            (None, Some(answerer)) => {
                // Nobody waits for the result.
                tokio::spawn(answerer(values).map(|_| ()));
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn handle_for_result(
        &self,
        answerer: &Answering,
        values: Values,
        answer: Answer,
    ) -> Result<(), Cause> {
        let Some(seat) = Seat::take(&self.answering) else {
            return answer.refuse(BUSY);
        };
        let handling = AssertUnwindSafe(answerer(values)).catch_unwind();
        tokio::spawn(async move {
            let result = handling.await;
            let record = answer.record(result.unwrap_or_else(|_| Err(PANICKED.to_owned())));
            // Without a connection nobody waits for it.
            let _ = answer.outgoing.send(record).await;
            drop(seat);
        });
        Ok(())
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

/// Puts a call behind those that wait; where they are too many or too long, says how many.
fn push(
    listener: &Arc<Listener>,
    values: Values,
    length: usize,
    waiting_max: usize,
) -> Result<(), usize> {
    let mut queue = locked(&listener.queue);
    let waiting = queue.waiting.len();
    let room = Some(()).filter(|()| waiting < waiting_max);
    let room = room.and_then(|()| listener.room.try_take(length));
    queue.waiting.push_back((values, room.ok_or(waiting)?));
    if !std::mem::replace(&mut queue.running, true) {
        tokio::spawn(run(listener.clone()));
    }
    Ok(())
}

async fn run(listener: Arc<Listener>) {
    loop {
        let values = {
            let mut queue = locked(&listener.queue);
            let Some((values, _room)) = queue.waiting.pop_front() else {
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
    pub(crate) outgoing: Outgoing,
}

impl Answer {
    fn record(&self, result: Result<Payload, String>) -> Bytes {
        let completion = Message::Completion {
            headers: Headers::new(),
            id: self.id.clone(),
            completed: match result {
                Ok(value) => Completed::Result(value),
                Err(error) => Completed::Error(error),
            },
        };
        value::write(self.protocol, completion).into()
    }

    /// Answers at once, without a result.
    fn refuse(self, error: &str) -> Result<(), Cause> {
        self.outgoing.answer(self.record(Err(error.to_owned())))
    }
}
