//! Releases, and who gets which.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{Markup, Render as _, html};
use outgate_core::deployments::{Deployed, Deployment, Progress, State as Stage};
use outgate_core::id::DeploymentId;
use outgate_core::identity::Page;
use outgate_core::releases::Release;
use serde::Deserialize;

use super::Console;
use super::page::{Place, full};
use super::rows::{link, moment};
use super::table::{Column, table};
use super::trouble::Trouble;
use super::visits::Visit;
use crate::api::view;

/// How many releases, deployments or devices a page shows.
const A_PAGE: u32 = 50;

const RELEASES: [Column; 5] = [
    ("release", "Release"),
    ("types", "For"),
    ("size", "Bytes"),
    ("added", "Added"),
    ("retired", "Retired"),
];

const DEPLOYMENTS: [Column; 6] = [
    ("deployment", "Deployment"),
    ("release", "Release"),
    ("state", "State"),
    ("progress", "Devices"),
    ("by", "By"),
    ("created", "Since"),
];

const DEVICES: [Column; 5] = [
    ("device", "Device"),
    ("phase", "Phase"),
    ("progress", "Progress"),
    ("doing", "What it does"),
    ("changed", "Since"),
];

/// From where a page goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Further {
    after: String,
}

impl Further {
    fn page(self) -> Page {
        Page {
            after: (!self.after.is_empty()).then_some(self.after),
            limit: A_PAGE,
        }
    }
}

/// `GET /console/releases`.
pub(super) async fn releases(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Query(further): Query<Further>,
) -> Result<Markup, Trouble> {
    let releases = &console.state.core.releases;
    let listed = releases.list(&visit.actor()?, &further.page()).await?;
    let body = html! {
        h1 { "Releases" }
        (table("releases", RELEASES, listed.items.iter().map(release_cells), "None."))
        (onwards("/console/releases", listed.next.as_deref(), "More releases"))
    };
    Ok(full("Releases", Place::Releases, &visit, &body))
}

/// `GET /console/deployments`.
pub(super) async fn deployments(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Query(further): Query<Further>,
) -> Result<Markup, Trouble> {
    let deployments = &console.state.core.deployments;
    let listed = deployments.list(&visit.actor()?, &further.page()).await?;
    let rows = listed.items.iter().map(deployment_cells);
    let body = html! {
        h1 { "Deployments" }
        (table("deployments", DEPLOYMENTS, rows, "None."))
        (onwards("/console/deployments", listed.next.as_deref(), "Older deployments"))
    };
    Ok(full("Deployments", Place::Deployments, &visit, &body))
}

/// `GET /console/deployment/{deployment}`.
pub(super) async fn deployment(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(deployment): Path<String>,
    Query(further): Query<Further>,
) -> Result<Markup, Trouble> {
    let id: DeploymentId = deployment.parse()?;
    let (actor, deployments) = (visit.actor()?, &console.state.core.deployments);
    let found = deployments.get(&actor, &id).await?;
    let devices = deployments.devices(&actor, &id, &further.page()).await?;
    let rows = devices.items.iter().map(device_cells);
    let address = format!("/console/deployment/{id}");
    let body = html! {
        h1 { "Deployment " (id) }
        p.hint { "Reload the page to see what is new." }
        (about(&found))
        h2 { "Devices" }
        (table("deployed", DEVICES, rows, "None yet."))
        (onwards(&address, devices.next.as_deref(), "More devices"))
    };
    let title = format!("Deployment of {}", found.release);
    Ok(full(&title, Place::Deployment, &visit, &body))
}

fn about(found: &Deployment) -> Markup {
    let (_, since, why) = view::told(&found.state);
    let shares = found.plan.phases.shares();
    let shares: Vec<_> = shares.iter().map(ToString::to_string).collect();
    html! {
        dl data-part="deployment" {
            dt { "Release" } dd { (found.release) }
            dt { "State" } dd data-cell="state" { (state(&found.state)) }
            @if let Some(since) = since { dt { "So since" } dd { (moment(Some(since))) } }
            @if let Some(why) = why { dt { "Why" } dd { (why) } }
            dt { "Devices" } dd data-cell="progress" { (progress(&found.counts)) }
            @if let Some(tagged) = &found.tagged {
                dt { "Tag" }
                dd {
                    (tagged.tag)
                    @if tagged.stands { ", also for devices that get it later" }
                }
            }
            @if shares.len() > 1 {
                dt { "Phase" }
                dd { (found.phase + 1) " of " (shares.len()) " (" (shares.join(", ")) ")" }
                dt { "Next phase at" } dd { (found.plan.next_at) }
            }
            @if let Some(windows) = &found.plan.windows {
                dt { "Windows" }
                dd { (windows.windows().join(", ")) " (" (windows.zone()) ")" }
            }
            @if let Some(stop) = found.plan.stop_at {
                dt { "Stops at failures" } dd { (stop) }
            }
            dt { "By" } dd { (found.by) }
            dt { "Since" } dd { (moment(Some(found.created))) }
        }
    }
}

/// How far its devices are: a bar that also says so in words.
fn progress(counts: &[(Progress, u64)]) -> Markup {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let ended = counts.iter().filter(|(progress, _)| progress.is_final());
    let ended: u64 = ended.map(|(_, count)| count).sum();
    let words = counts
        .iter()
        .map(|(progress, count)| format!("{count} {}", progress.as_str()));
    let words: Vec<_> = words.collect();
    html! {
        div {
            @if all > 0 {
                progress max=(all) value=(ended) aria-label="Devices that have come to an end" {}
                " "
            }
            (words.join(", "))
        }
    }
}

fn state(state: &Stage) -> Markup {
    let class = match state {
        Stage::Running | Stage::Ended => "good",
        Stage::Paused { .. } => "waits",
        Stage::Stopped { .. } | Stage::Aborted { .. } => "bad",
    };
    let (word, _, _) = view::told(state);
    html! { span class=(class) { (word) } }
}

fn release_cells(release: &Release) -> [Markup; 5] {
    [
        release.name.as_str().render(),
        release.described.device_types.join(", ").render(),
        release.size.to_string().render(),
        moment(Some(release.added)),
        release.retired.map_or_else(
            || html! { "no" },
            |retired| html! { span.bad { (moment(Some(retired))) } },
        ),
    ]
}

fn deployment_cells(deployment: &Deployment) -> [Markup; 6] {
    let id = deployment.id.as_str();
    [
        html! { a href={ "/console/deployment/" (id) } { (id) } },
        deployment.release.as_str().render(),
        state(&deployment.state),
        progress(&deployment.counts),
        deployment.by.render(),
        moment(Some(deployment.created)),
    ]
}

fn device_cells(device: &Deployed) -> [Markup; 5] {
    [
        link(device.device.as_str()),
        (device.phase + 1).to_string().render(),
        device.progress.as_str().render(),
        device.doing.as_deref().unwrap_or_default().render(),
        moment(Some(device.changed)),
    ]
}

/// The way to what comes after.
fn onwards(address: &str, next: Option<&str>, label: &str) -> Markup {
    html! {
        @if let Some(next) = next {
            // A form, so that the browser quotes what stands in it.
            form #more .filter method="get" action=(address) {
                input type="hidden" name="after" value=(next);
                button type="submit" { (label) }
            }
        }
    }
}
