//! What happens, as it happens, for the script of a page.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::{Core, Refusal};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::Console;
use super::devices::Search;
use super::trouble::Trouble;
use super::visits::Visit;
use crate::http::{Cut, begun, watched};

mod of_devices;
mod of_events;
mod of_model;

use of_devices::{Devices, Watched};
use of_events::Events;
use of_model::Model;

/// Nobody reads faster, and a browser should not have to.
const BETWEEN: Duration = Duration::from_millis(250);

/// How often something is sent, so that everybody in between sees that it lives.
const BEAT: Duration = Duration::from_secs(15);

/// Which events are asked for. With those of one device comes how that device is, its twin and its
/// commands.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    after: u64,
    device: Option<DeviceId>,
}

/// A page's stream.
struct Reader {
    console: Arc<Console>,
    visit: Visit,
    page: Page,
    next_at: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What a page shows of what happens.
struct Page {
    events: Option<Events>,
    devices: Option<Devices>,
    model: Option<Model>,
}

/// `GET /console/live`.
pub(super) async fn events(
    State(console): State<Arc<Console>>,
    cut: Cut,
    visit: Result<Visit, Response>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Trouble> {
    let Ok(visit) = visit else {
        return Ok(thrown_out());
    };
    let actor = visit.actor()?;
    let core = &console.state.core;
    if let Some(device) = &wanted.device {
        core.identity.device(&actor, device).await?;
    }
    let last = headers
        .get("last-event-id")
        .and_then(|place| place.to_str().ok()?.parse().ok());
    let filter = EventFilter {
        scope: actor.scope,
        device: wanted.device.clone(),
        prefix: None,
    };
    let events = Events::new(core, filter, last.unwrap_or(wanted.after));
    let model = wanted.device.clone();
    let page = Page {
        events: Some(events),
        model: model.map(|device| Model::new(core, device)),
        devices: wanted
            .device
            .map(|device| Devices::new(core, Watched::One(device))),
    };
    begin(Arc::clone(&console), (visit, cut), page)
}

/// `GET /console/live/devices`.
pub(super) async fn devices(
    State(console): State<Arc<Console>>,
    cut: Cut,
    visit: Result<Visit, Response>,
    Query(search): Query<Search>,
) -> Result<Response, Trouble> {
    let Ok(visit) = visit else {
        return Ok(thrown_out());
    };
    let devices = Devices::new(&console.state.core, Watched::List(search));
    let page = Page {
        events: None,
        devices: Some(devices),
        model: None,
    };
    begin(Arc::clone(&console), (visit, cut), page)
}

/// A redirection to the login page would be followed and tell the script nothing.
fn thrown_out() -> Response {
    StatusCode::UNAUTHORIZED.into_response()
}

fn begin(
    console: Arc<Console>,
    (visit, cut): (Visit, Cut),
    page: Page,
) -> Result<Response, Trouble> {
    let permit = Arc::clone(&visit.streams).try_acquire_owned();
    let permit = permit.map_err(|_| Refusal::Limited {
        what: "live pages at once",
        retry_after: BEAT,
    })?;
    let reader = Reader {
        console,
        visit,
        page,
        next_at: Instant::now(),
        _permit: permit,
    };
    let beat = KeepAlive::new().interval(BEAT);
    let over = reader.visit.over.clone().cancelled_owned();
    let batches = watched(batches(reader), cut, over);
    Ok(Sse::new(batches).keep_alive(beat).into_response())
}

fn batches(reader: Reader) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    use futures_util::StreamExt as _;
    stream::unfold(reader, |mut reader| async move {
        let over = reader.visit.over.clone();
        let down = begun(reader.console.state.draining.clone());
        let batch = tokio::select! {
            () = over.cancelled() => return None,
            () = down => return None,
            batch = reader.next() => batch?,
        };
        Some((stream::iter(batch.into_iter().map(Ok)), reader))
    })
    .flatten()
}

impl Reader {
    /// What comes next; nothing when the stream cannot go on.
    async fn next(&mut self) -> Option<Vec<sse::Event>> {
        loop {
            sleep_until(self.next_at).await;
            self.next_at = Instant::now() + BETWEEN;
            let mut batch = Vec::new();
            if let Err(error) = self.take(&mut batch).await {
                tracing::error!(?error, "a live page of the console failed");
                return None;
            }
            if !batch.is_empty() {
                return Some(batch);
            }
            let page = &mut self.page;
            tokio::select! {
                news = either(page.events.as_mut().map(Events::changed)) => news?,
                news = either(page.devices.as_mut().map(Devices::changed)) => news?,
                news = either(page.model.as_mut().map(Model::changed)) => news?,
            }
        }
    }

    async fn take(&mut self, batch: &mut Vec<sse::Event>) -> Result<(), Refusal> {
        let core: &Core = &self.console.state.core;
        let page = &mut self.page;
        if let Some(events) = &mut page.events {
            events.take(core, batch).await?;
        }
        if let Some(devices) = &mut page.devices {
            devices.take(core, &self.visit.actor()?, batch).await?;
        }
        if let Some(model) = &mut page.model {
            model.take(core, &self.visit.actor()?, batch).await?;
        }
        Ok(())
    }
}

/// Waits for news, for ever where there is nothing to have news of.
async fn either<T>(news: Option<impl Future<Output = T>>) -> T {
    match news {
        Some(news) => news.await,
        None => pending().await,
    }
}

/// A message for the script.
fn message(name: &str, data: String) -> sse::Event {
    // A line of JSON has no line ends, which is all that a message may not have.
    sse::Event::default().event(name).data(data)
}
