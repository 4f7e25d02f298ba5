//! The list of devices.

use std::sync::Arc;

use axum::extract::{Query, State};
use maud::{Markup, html};
use outgate_core::id::SiteId;
use outgate_core::identity::{Device, DeviceFilter, DeviceState, Listed, Page};
use serde::Deserialize;

use super::page::{Place, full};
use super::trouble::Trouble;
use super::visits::Visit;
use super::{Console, device};

/// How many devices a page shows.
const A_PAGE: u32 = 50;

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    prefix: String,
    site: String,
    state: String,
    after: String,
}

/// `GET /`.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Query(search): Query<Search>,
) -> Result<Markup, Trouble> {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    let site: Option<SiteId> = given(&search.site).map(|site| site.parse()).transpose()?;
    let filter = DeviceFilter {
        site,
        state: state(&search.state),
        prefix: given(&search.prefix),
    };
    let page = Page {
        after: given(&search.after),
        limit: A_PAGE,
    };
    let core = &console.state.core;
    let listed = core
        .identity
        .devices(&visit.actor()?, &filter, &page)
        .await?;
    let body = html! {
        h1 { "Devices" }
        (form(&search))
        @if listed.items.is_empty() {
            p.empty { "No device is like that." }
        } @else {
            (table(&console, &listed))
        }
        (onwards(&search, &listed))
    };
    Ok(full("Devices", Place::Devices, &visit, &body))
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
            button type="submit" { "Search" }
        }
    }
}

fn table(console: &Console, listed: &Listed<Device>) -> Markup {
    let sessions = &console.state.core.sessions;
    html! {
        div.scroll {
            table {
                caption { (listed.items.len()) " shown" }
                thead {
                    tr {
                        th scope="col" { "Device" }
                        th scope="col" { "Site" }
                        th scope="col" { "State" }
                        th scope="col" { "Connection" }
                        th scope="col" { "Last seen" }
                        th scope="col" { "Policy" }
                    }
                }
                tbody {
                    @for one in &listed.items {
                        tr {
                            td { (device::link(&one.id)) }
                            td { (one.site) }
                            td { (device::state(one.state)) }
                            td { (device::presence(sessions.is_present(&one.id))) }
                            td { (device::moment(one.seen)) }
                            td { (one.policy) }
                        }
                    }
                }
            }
        }
    }
}

fn onwards(search: &Search, listed: &Listed<Device>) -> Markup {
    // A form, so that the browser quotes what stands in it.
    let hidden = |name: &str, value: &str| {
        html! { @if !value.is_empty() { input type="hidden" name=(name) value=(value); } }
    };
    html! {
        @if let Some(next) = &listed.next {
            form.filter method="get" action="/" {
                (hidden("prefix", &search.prefix))
                (hidden("site", &search.site))
                (hidden("state", &search.state))
                (hidden("after", next))
                button type="submit" { "More devices" }
            }
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
