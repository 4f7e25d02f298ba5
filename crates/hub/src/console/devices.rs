//! The list of devices.

use std::sync::Arc;

use axum::extract::{Query, RawQuery, State};
use maud::{Markup, html};
use outgate_core::id::SiteId;
use outgate_core::identity::{Actor, DeviceFilter, DeviceState, Page};
use outgate_core::{Core, Refusal};
use serde::{Deserialize, Serialize};

use super::Console;
use super::page::{Place, full, live};
use super::rows::DeviceRow;
use super::table::table;
use super::trouble::Trouble;
use super::visits::Visit;

/// How many devices a page shows.
const A_PAGE: u32 = 50;

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    prefix: String,
    site: String,
    state: String,
    tag: String,
    after: String,
}

/// What is found of it, as far as a page shows it.
#[derive(Debug, Serialize)]
pub(super) struct Found {
    rows: Vec<DeviceRow>,
    next: Option<String>,
}

/// `GET /`.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visit: Visit,
    RawQuery(query): RawQuery,
    Query(search): Query<Search>,
) -> Result<Markup, Trouble> {
    let found = search.find(&console.state.core, &visit.actor()?).await?;
    let rows = found.rows.iter().map(DeviceRow::cells);
    // The same search, as the browser has quoted it.
    let stream = format!("/console/live/devices?{}", query.unwrap_or_default());
    let body = html! {
        h1 { "Devices" }
        (form(&search))
        (live(&stream))
        (table("devices", DeviceRow::COLUMNS, rows, "No device is like that."))
        (onwards(&search, found.next.as_deref()))
    };
    Ok(full("Devices", Place::Devices, &visit, &body))
}

impl Search {
    /// The devices that are looked for, of those that `actor` sees.
    pub(super) async fn find(&self, core: &Core, actor: &Actor) -> Result<Found, Refusal> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let site: Option<SiteId> = given(&self.site).map(|site| site.parse()).transpose()?;
        let filter = DeviceFilter {
            site,
            state: state(&self.state),
            prefix: given(&self.prefix),
            tag: given(&self.tag).map(|tag| tag.parse()).transpose()?,
        };
        let page = Page {
            after: given(&self.after),
            limit: A_PAGE,
        };
        let listed = core.identity.devices(actor, &filter, &page).await?;
        let row = |device| DeviceRow::new(device, &core.sessions);
        Ok(Found {
            rows: listed.items.iter().map(row).collect(),
            next: listed.next,
        })
    }
}

fn form(search: &Search) -> Markup {
    html! {
        form.filter method="get" action="/" role="search" {
            div {
                label for="prefix" { "Name begins with" }
                input #prefix name="prefix" type="search" value=(search.prefix) maxlength="128";
            }
            div {
                label for="site" { "Site" }
                input #site name="site" value=(search.site) maxlength="128";
            }
            div {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "any" }
                    @for (word, shown) in STATES {
                        option value=(word) selected[search.state == word] { (shown) }
                    }
                }
            }
            div {
                label for="tag" { "Tag" }
                input #tag name="tag" value=(search.tag) maxlength="128";
            }
            button type="submit" { "Search" }
        }
    }
}

fn onwards(search: &Search, next: Option<&str>) -> Markup {
    // A form, so that the browser quotes what stands in it.
    let hidden = |name: &str, value: &str| {
        html! { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
    };
    html! {
        form #more .filter method="get" action="/" hidden[next.is_none()] {
            (hidden("prefix", &search.prefix))
            (hidden("site", &search.site))
            (hidden("state", &search.state))
            (hidden("tag", &search.tag))
            input type="hidden" name="after" value=(next.unwrap_or_default());
            button type="submit" { "More devices" }
        }
    }
}

/// States as they stand in the address, and as people read them.
const STATES: [(&str, &str); 3] = [
    ("active", "active"),
    ("awaits-approval", "awaits approval"),
    ("revoked", "revoked"),
];

/// The state that a word means; none for any other word.
fn state(word: &str) -> Option<DeviceState> {
    match word {
        "active" => Some(DeviceState::Active),
        "awaits-approval" => Some(DeviceState::AwaitsApproval),
        "revoked" => Some(DeviceState::Revoked),
        _ => None,
    }
}
