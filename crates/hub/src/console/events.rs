//! The last events, of all devices or of one.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use outgate_core::Core;
use outgate_core::Refusal;
use outgate_core::events::{Event, EventFilter};

use super::page::{Place, full};
use super::preview::preview;
use super::trouble::Trouble;
use super::visits::Visit;
use super::{Console, device};

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
    let events = shown(&console.state.core, &filter).await?;
    let body = html! {
        h1 { "Last events" }
        (events)
    };
    Ok(full("Events", Place::Events, &visit, &body))
}

/// The last events that `filter` means, newest first, to be added to as they come.
pub(super) async fn shown(core: &Core, filter: &EventFilter) -> Result<Markup, Refusal> {
    // Asked first: what comes in between is shown by the page and left out of what is live.
    let events = core.events.latest(filter, LAST).await?;
    let newest = *core.events.newest().borrow();
    let after = events.first().map_or(newest, |event| event.seq);
    let of_one = filter.device.as_ref();
    let live = match of_one {
        Some(device) => format!("/console/live?after={after}&device={device}"),
        None => format!("/console/live?after={after}"),
    };
    Ok(html! {
        p #live .hint role="status" { "Reload the page to see newer ones." }
        div.scroll {
            table data-live=(live) data-device=[of_one] {
                thead {
                    tr {
                        th scope="col" { "Received" }
                        @if of_one.is_none() {
                            th scope="col" { "Device" }
                            th scope="col" { "Site" }
                        }
                        th scope="col" { "Event" }
                        th scope="col" { "Type" }
                        th scope="col" { "Payload" }
                    }
                }
                tbody {
                    @for event in &events {
                        (row(event, of_one.is_some()))
                    }
                }
            }
        }
    })
}

fn row(event: &Event, of_one: bool) -> Markup {
    html! {
        tr {
            td { (event.received) }
            @if !of_one {
                td { (device::link(&event.device)) }
                td { (event.site) }
            }
            td { (event.name) }
            td { (event.content_type) }
            td.payload { (preview(&event.payload)) }
        }
    }
}
