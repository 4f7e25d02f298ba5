//! Answers that go on: long polls, and server-sent events (HTML standard, section 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use http::header::ACCEPT;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use outgate_core::Refusal;
use outgate_core::events::{EventFilter, Taken};
use outgate_core::sessions::Ending;

use crate::api::bounds::Place;
use crate::api::caller::{Caller, ended};
use crate::api::problem::Problem;
use crate::api::{Api, view};
use crate::http::{Cut, begun, watched};

/// How often a silent stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many events a stream reads at a time.
const BATCH: u32 = 64;

/// After so many places without an event of interest a stream tells its place all the same, so
/// that whoever comes again need not begin far back.
const TOLD_EVERY: u64 = 1_000;

/// The least time between two looks for events: when many come in, they are taken together.
const PAUSE: Duration = Duration::from_millis(10);

/// Whether a stream is asked for.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// A stream of `messages` that ends with the caller's session or when the hub goes down, at the
/// latest by having its connection cut, and holds a place among the open streams as long.
pub(crate) fn stream_of(
    api: &Api,
    caller: Caller,
    cut: Cut,
    place: Place,
    messages: impl Stream<Item = Event> + Send + Unpin + 'static,
) -> Response {
    let held = caller.clone();
    let down = begun(api.state.draining.clone());
    let over = async move {
        let ending = tokio::select! {
            ending = held.ended() => ending,
            () = down => Ending::Draining,
        };
        problem(ended(ending))
    };
    let begun = (messages, Box::pin(over));
    let messages = stream::unfold(Some(begun), |going_on| async {
        let (mut messages, mut over) = going_on?;
        tokio::select! {
            biased;
            last = over.as_mut() => Some((last, None)),
            message = messages.next() => message.map(|message| (message, Some((messages, over)))),
        }
    });
    let held = caller.clone();
    let messages = watched(messages, cut, async move {
        held.ended().await;
    });
    let messages = messages.map(move |message| {
        let _held = (&place, &caller);
        Ok::<_, Infallible>(message)
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Sse::new(messages).keep_alive(heartbeat).into_response()
}

/// A message with a body in JSON.
pub(crate) fn message(body: &impl Serialize) -> Event {
    let json = serde_json::to_string(body).unwrap_or_default();
    // Line ends can only stand between the parts of JSON, and would end the line of the stream.
    Event::default().data(json.replace(['\r', '\n'], " "))
}

/// The last message of a stream that went wrong.
pub(crate) fn problem(problem: Problem) -> Event {
    message(&problem.written()).event("problem")
}

/// What comes in an order of places, and can be followed.
pub(crate) trait Feed: Send + 'static {
    /// What is told of each.
    type Item: Serialize + Send;

    /// The newest place, and news of newer ones.
    fn newest(&self) -> watch::Receiver<u64>;

    /// Up to `limit` of them after a place.
    fn after(
        &self,
        after: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Portion<Self::Item>, Refusal>> + Send;
}

/// A part of a feed.
pub(crate) struct Portion<T> {
    /// What is in it, each with its place.
    pub(crate) items: Vec<(u64, T)>,
    /// The place up to which all has been looked at.
    pub(crate) next: u64,
}

/// Events.
struct Events {
    api: Arc<Api>,
    filter: EventFilter,
}

impl Feed for Events {
    type Item = view::Event;

    fn newest(&self) -> watch::Receiver<u64> {
        self.api.state.core.events.newest()
    }

    async fn after(&self, after: u64, limit: u32) -> Result<Portion<view::Event>, Refusal> {
        let events = &self.api.state.core.events;
        let taken = events.after(&self.filter, after, limit).await?;
        let items = taken.events.into_iter();
        let items = items.map(|event| (event.seq, view::Event::from(event)));
        Ok(Portion {
            items: items.collect(),
            next: taken.next,
        })
    }
}

/// Who follows a feed, and how far they are.
struct Following<F: Feed> {
    feed: F,
    after: u64,
    told: u64,
    waiting: VecDeque<(u64, F::Item)>,
    newest: watch::Receiver<u64>,
}

/// All events after the place `after`, as they come.
pub(crate) fn events(
    api: Arc<Api>,
    filter: EventFilter,
    after: u64,
) -> impl Stream<Item = Event> + Send + 'static {
    feed(Events { api, filter }, after)
}

/// All of a feed after the place `after`, as it comes.
pub(crate) fn feed<F: Feed>(feed: F, after: u64) -> impl Stream<Item = Event> + Send + 'static {
    let following = Following {
        newest: feed.newest(),
        feed,
        after,
        told: after,
        waiting: VecDeque::new(),
    };
    stream::unfold(Some(following), |following| async {
        let mut following = following?;
        match following.next().await {
            Ok(message) => Some((message, Some(following))),
            Err(refusal) => Some((problem(refusal.into()), None)),
        }
    })
}

impl<F: Feed> Following<F> {
    async fn next(&mut self) -> Result<Event, Refusal> {
        loop {
            if let Some((place, item)) = self.waiting.pop_front() {
                self.told = place;
                return Ok(message(&item).id(place.to_string()));
            }
            if self.after >= self.told.saturating_add(TOLD_EVERY) {
                self.told = self.after;
                return Ok(Event::default().id(self.after.to_string()));
            }
            let newest = *self.newest.borrow_and_update();
            let portion = self.feed.after(self.after, BATCH).await?;
            self.after = portion.next;
            self.waiting = portion.items.into();
            if self.waiting.is_empty() && self.after >= newest {
                self.newest.changed().await.map_err(|_| Refusal::Draining)?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Takes with `take` until there is something, or `wait` is over, or the hub goes down.
pub(crate) async fn poll<T, F>(api: &Api, wait: Duration, mut take: T) -> Result<Taken, Refusal>
where
    T: FnMut() -> F,
    F: Future<Output = Result<Taken, Refusal>>,
{
    let until = Instant::now() + wait;
    let mut newest = api.state.core.events.newest();
    let down = begun(api.state.draining.clone());
    tokio::pin!(down);
    loop {
        let seen = *newest.borrow_and_update();
        let taken = take().await?;
        if !taken.events.is_empty() || wait.is_zero() {
            return Ok(taken);
        }
        if taken.next < seen && Instant::now() < until {
            // Only a stretch has been looked at; whoever asks next goes on behind it.
            return Ok(taken);
        }
        let changed = tokio::select! {
            changed = tokio::time::timeout_at(until, newest.changed()) => changed,
            () = down.as_mut() => return Ok(taken),
        };
        match changed {
            Err(_) => return Ok(taken),
            Ok(Err(_)) => return Err(Refusal::Draining),
            Ok(Ok(())) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_by_its_type() {
        let asked = |accept: &'static str| {
            let accept = http::HeaderValue::from_static(accept);
            wants_stream(&HeaderMap::from_iter([(ACCEPT, accept)]))
        };
        assert!(asked("text/event-stream"));
        assert!(asked("application/json;q=0.1, Text/Event-Stream; q=1"));
        assert!(!asked("application/json"));
        assert!(!asked("*/*"));
        assert!(!wants_stream(&HeaderMap::new()));
    }
}
