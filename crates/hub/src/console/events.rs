//! The last events, of all devices or of one.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, Render as _, html};
use outgate_core::Core;
use outgate_core::Refusal;
use outgate_core::events::{Event, EventFilter};

use super::Console;
use super::page::{Place, full, live};
use super::preview::preview;
use super::rows::{link, moment};
use super::table::{Column, table};
use super::trouble::Trouble;
use super::visits::Visit;

/// How many of the last events are shown.
const LAST: u32 = 50;

/// `GET /console/events`.
pub(super) async fn latest(
    State(console): State<Arc<Console>>,
    visit: Visit,
) -> Result<Markup, Trouble> {
    let filter = EventFilter {
        scope: visit.scope()?,
        device: None,
        prefix: None,
    };
    let (events, stream) = shown(&console.state.core, &filter).await?;
    let body = html! {
        h1 { "Last events" }
        (live(&stream))
        (events)
    };
    Ok(full("Events", Place::Events, &visit, &body))
}

/// The last events that `filter` means, newest first, and where those come that are to be added.
pub(super) async fn shown(core: &Core, filter: &EventFilter) -> Result<(Markup, String), Refusal> {
    // Asked first: what comes in between is shown by the page and left out of what is live.
    let events = core.events.latest(filter, LAST).await?;
    let newest = *core.events.newest().borrow();
    let after = events.first().map_or(newest, |event| event.seq);
    let rows = events.iter();
    Ok(match &filter.device {
        Some(device) => (
            table("events", OF_ONE, rows.map(cells_of_one), "None yet."),
            format!("/console/live?after={after}&device={device}"),
        ),
        None => (
            table("events", OF_ALL, rows.map(cells_of_all), "None yet."),
            format!("/console/live?after={after}"),
        ),
    })
}

const RECEIVED: Column = ("received", "Received");
const NAME: Column = ("name", "Event");
const TYPE: Column = ("type", "Type");
const PAYLOAD: Column = ("payload", "Payload");

/// What is told of an event on the page of its device.
const OF_ONE: [Column; 4] = [RECEIVED, NAME, TYPE, PAYLOAD];

/// What is told of one among those of all devices.
const OF_ALL: [Column; 6] = [
    RECEIVED,
    ("device", "Device"),
    ("site", "Site"),
    NAME,
    TYPE,
    PAYLOAD,
];

fn cells_of_one(event: &Event) -> [Markup; 4] {
    [
        moment(Some(event.received)),
        event.name.render(),
        event.content_type.render(),
        preview(&event.payload).render(),
    ]
}

fn cells_of_all(event: &Event) -> [Markup; 6] {
    let [received, name, kind, payload] = cells_of_one(event);
    let device = link(event.device.as_str());
    let site = event.site.as_str().render();
    [received, device, site, name, kind, payload]
}
