//! Events as they come, for the script of a page.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use outgate_core::Refusal;
use outgate_core::events::{Event, EventFilter};
use outgate_core::id::DeviceId;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use super::Console;
use super::preview::preview;
use super::trouble::Trouble;
use super::visits::Visit;

/// The most events that are sent at once: as many as a page shows.
const BATCH: u32 = 50;

/// Nobody reads faster, and a browser should not have to.
const BETWEEN: Duration = Duration::from_millis(250);

/// How many events a page may be behind before it is taken to the newest.
const BEHIND: u64 = 1_000;

/// How often something is sent, so that everybody in between sees that it lives.
const BEAT: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    after: u64,
    device: Option<DeviceId>,
}

/// An event for the script.
#[derive(Serialize)]
struct Shown<'a> {
    received: String,
    device: &'a str,
    site: &'a str,
    name: &'a str,
    content_type: &'a str,
    payload: String,
}

/// A page's stream.
struct Reader {
    console: Arc<Console>,
    visit: Visit,
    filter: EventFilter,
    place: u64,
    _permit: OwnedSemaphorePermit,
}

/// `GET /console/live`.
pub(super) async fn stream(
    State(console): State<Arc<Console>>,
    visit: Result<Visit, Response>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Trouble> {
    // A redirection to the login page would be followed and tell the script nothing.
    let Ok(visit) = visit else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let actor = visit.actor()?;
    if let Some(device) = &wanted.device {
        console.state.core.identity.device(&actor, device).await?;
    }
    let permit = Arc::clone(&visit.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Refusal::Limited {
        what: "live pages at once",
        retry_after: BEAT,
    })?;
    let last = headers
        .get("last-event-id")
        .and_then(|place| place.to_str().ok()?.parse().ok());
    let reader = Reader {
        filter: EventFilter {
            scope: actor.scope,
            device: wanted.device,
            prefix: None,
        },
        place: last.unwrap_or(wanted.after),
        console,
        visit,
        _permit: permit,
    };
    let beat = KeepAlive::new().interval(BEAT);
    Ok(Sse::new(batches(reader)).keep_alive(beat).into_response())
}

fn batches(reader: Reader) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    use futures_util::StreamExt as _;
    stream::unfold(reader, |mut reader| async move {
        let over = reader.visit.over.clone();
        let batch = tokio::select! {
            () = over.cancelled() => return None,
            batch = reader.next() => batch?,
        };
        Some((stream::iter(batch.into_iter().map(Ok)), reader))
    })
    .flatten()
}

impl Reader {
    /// What comes next; nothing when the stream cannot go on.
    async fn next(&mut self) -> Option<Vec<sse::Event>> {
        let mut newest = self.console.state.core.events.newest();
        loop {
            let latest = *newest.borrow_and_update();
            if latest <= self.place {
                newest.changed().await.ok()?;
                tokio::time::sleep(BETWEEN).await;
                continue;
            }
            let mut batch = Vec::new();
            if latest - self.place > BEHIND {
                let skipped = latest - u64::from(BATCH) - self.place;
                self.place += skipped;
                batch.push(
                    sse::Event::default()
                        .event("skipped")
                        .data(skipped.to_string()),
                );
            }
            let events = &self.console.state.core.events;
            let taken = events.after(&self.filter, self.place, BATCH).await;
            match taken {
                Ok(taken) => {
                    self.place = taken.next.max(self.place);
                    batch.extend(taken.events.iter().map(shown));
                }
                Err(Refusal::Expired { oldest }) => {
                    self.place = oldest.saturating_sub(1).max(self.place);
                }
                Err(error) => {
                    tracing::error!(?error, "a live page of the console failed");
                    return None;
                }
            }
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }
}

fn shown(event: &Event) -> sse::Event {
    let shown = Shown {
        received: event.received.to_string(),
        device: event.device.as_str(),
        site: event.site.as_str(),
        name: &event.name,
        content_type: &event.content_type,
        payload: preview(&event.payload),
    };
    // A line of JSON has no line ends, which is all that an event may not have.
    let data = serde_json::to_string(&shown).unwrap_or_default();
    sse::Event::default().id(event.seq.to_string()).data(data)
}
