//! `/api/events`, and the places of those who take them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::events::{EventFilter, Taken};
use outgate_core::id::DeviceId;

use crate::api::bounds::{self, MAX_WAIT};
use crate::api::caller::Caller;
use crate::api::extract::Asked;
use crate::api::pages::with_next;
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, follow, view};
use crate::http::Cut;

/// How many events are given when nothing is asked.
const DEFAULT_LIMIT: u32 = 100;

/// The most events that are given at once.
const MAX_LIMIT: u32 = 1_000;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list_events))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those after this place: `next` of the answer before. When absent: from the oldest that
    /// is kept; a stream begins after the newest.
    #[param(required = false, minimum = 0, maximum = 9007199254740991_u64)]
    after: Option<u64>,
    /// Only of this device.
    #[param(required = false, value_type = crate::api::names::Name)]
    device: Option<DeviceId>,
    /// Only whose name begins so.
    #[param(required = false, min_length = 1, max_length = 256)]
    prefix: Option<String>,
    /// The most events of the answer. Fewer are given when their payloads are large.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// For how many seconds to wait for an event if there is none.
    #[param(required = false, minimum = 0, maximum = 60, default = 0)]
    wait: Option<u64>,
}

/// How many events, and how long to wait for one.
pub(crate) fn patience(limit: Option<u32>, wait: Option<u64>) -> Result<(u32, Duration), Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let detail = format!("limit: 1 to {MAX_LIMIT}");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    let wait = Duration::from_secs(wait.unwrap_or_default());
    if wait > MAX_WAIT {
        let detail = format!("wait: 0 to {}", MAX_WAIT.as_secs());
        return Err(Problem::new(Kind::Malformed, detail));
    }
    Ok((limit, wait))
}

/// Read or follow events
///
/// Those that the caller sees, in the order of their places. With `Accept: text/event-stream` as
/// server-sent events: `data` is an event, `id` its place, and `Last-Event-ID` goes on after one;
/// a message without `data` only tells the place; an event `problem` is the last.
#[utoipa::path(get, path = "/api/events", tag = "events",
    params(Wanted, ("last-event-id" = Option<u64>, Header,
        description = "Of a stream that is taken up again: the last `id` that was seen.",
        minimum = 0, maximum = 9007199254740991_u64)),
    responses((status = 200, description = "Events",
        content((view::EventList = "application/json"), (String = "text/event-stream")),
        headers(("link" = Option<String>, description = "Leads on from here (RFC 8288)")))))]
async fn list_events(
    State(api): State<Arc<Api>>,
    caller: Caller,
    cut: Cut,
    uri: Uri,
    headers: HeaderMap,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let (limit, wait) = patience(wanted.limit, wanted.wait)?;
    let filter = EventFilter {
        scope: caller.scope(),
        device: wanted.device,
        prefix: wanted.prefix.map(bounds::prefix).transpose()?,
    };
    let after = wanted.after.map(place).transpose()?;
    let last = last_event_id(&headers)?;
    if follow::wants_stream(&headers) {
        let open = api.streams.stream(caller.share())?;
        let newest = *api.state.core.events.newest().borrow();
        let after = last.or(after).unwrap_or(newest);
        // What is no longer kept is told with a status rather than within the stream.
        api.state.core.events.after(&filter, after, 1).await?;
        let events = follow::events(Arc::clone(&api), filter, after);
        return Ok(follow::stream_of(&api, caller, cut, open, Box::pin(events)));
    }
    let _open = match wait.is_zero() {
        true => None,
        false => Some(api.streams.stream(caller.share())?),
    };
    let taken = follow::poll(&api, wait, || look(&api, &filter, after, limit)).await?;
    Ok(with_next(&uri, taken.next, view::EventList::from(taken)))
}

/// A place that can be one: numbers beyond are not carried by JSON everywhere (RFC 8259,
/// section 6).
pub(crate) fn place(place: u64) -> Result<u64, Problem> {
    if place < 1 << 53 {
        Ok(place)
    } else {
        Err(Problem::new(Kind::Malformed, "a place is below 2^53"))
    }
}

async fn look(
    api: &Api,
    filter: &EventFilter,
    after: Option<u64>,
    limit: u32,
) -> Result<Taken, Refusal> {
    let events = &api.state.core.events;
    match (events.after(filter, after.unwrap_or(0), limit).await, after) {
        (Err(Refusal::Expired { oldest }), None) => {
            events.after(filter, oldest.saturating_sub(1), limit).await
        }
        (taken, _) => taken,
    }
}

/// Where a stream that is taken up again goes on.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = id.to_str().ok().and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| Problem::new(Kind::Malformed, "Last-Event-ID: a place"))?;
    place(id).map(Some)
}
