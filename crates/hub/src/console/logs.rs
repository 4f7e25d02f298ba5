//! What a device has logged, newest first.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, Render as _, html};
use outgate_core::id::DeviceId;
use outgate_core::identity::Scope;
use outgate_core::logs::{KeptLogs, Log, LogFilter};
use outgate_core::{Core, Refusal, Timestamp};
use outgate_wire::lasting::{MOMENTS, Written};
use outgate_wire::otlp::{Record, SEVERITIES, severity_name};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Console;
use super::page::{Place, full};
use super::preview::preview;
use super::rows::{link, moment};
use super::table::{Column, table};
use super::trouble::Trouble;
use super::visits::Visit;
use crate::api::log_pattern;

/// How many records a page of them shows.
const A_PAGE: u32 = 100;

/// How many are shown on the device's own page.
const LAST: u32 = 10;

const COLUMNS: [Column; 4] = [
    ("received", "Received"),
    ("severity", "Severity"),
    ("payload", "Said"),
    ("attributes", "Attributes"),
];

/// What is looked for, in the words of `outgate logs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    since: String,
    until: String,
    severity: String,
    grep: String,
    /// The place from which the page goes back.
    before: String,
}

/// `GET /console/device/{device}/logs`.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    visit: Visit,
    Path(device): Path<String>,
    Query(search): Query<Search>,
) -> Result<Response, Trouble> {
    let id: DeviceId = device.parse()?;
    let core = &console.state.core;
    let actor = visit.actor()?;
    core.identity.device(&actor, &id).await?;
    let (status, found) = match search.filter(&id, actor.scope, core.clock.now()) {
        Ok((filter, before)) => {
            let found = core.logs.before(&filter, before, A_PAGE).await?;
            let onwards = onwards(&search, &id, found.next);
            let empty = "None of those that were looked at is like that.";
            let rows = rows(&found.logs)?;
            let found = html! { (table("logs", COLUMNS, rows, empty)) (onwards) };
            (StatusCode::OK, found)
        }
        Err(wrong) => {
            let wrong = html! { p.trouble role="alert" { (wrong) } };
            (StatusCode::BAD_REQUEST, wrong)
        }
    };
    let body = html! {
        h1 { "Logs of " (link(id.as_str())) }
        (form(&search, &id))
        (found)
    };
    let title = format!("Logs of {id}");
    Ok((status, full(&title, Place::Device, &visit, &body)).into_response())
}

/// The last records of a device, for its own page, and the way to all.
pub(super) async fn last(core: &Core, id: &DeviceId, scope: Scope) -> Result<Markup, Refusal> {
    let filter = LogFilter {
        device: Some(id.clone()),
        ..LogFilter::seen_by(scope)
    };
    let found = core.logs.before(&filter, None, LAST).await?;
    Ok(html! {
        (table("logs", COLUMNS, rows(&found.logs)?, "None is kept."))
        @if !found.logs.is_empty() {
            p { a href=(address(id)) { "All logs, and search" } }
        }
    })
}

/// How much is kept of what a device logs, in a line.
pub(super) fn told(kept: &KeptLogs) -> Markup {
    html! {
        (kept.records) " kept"
        @if let Some(latest) = kept.latest {
            ", " (kept.bytes.div_ceil(1_024)) " KiB, the last of " (moment(Some(latest)))
        }
    }
}

impl Search {
    /// What is looked for, and from which place back; or what is wrong with it.
    fn filter(
        &self,
        device: &DeviceId,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(LogFilter, Option<u64>), String> {
        let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let at = |name: &str, text: &str| {
            let read = given(text).map(|text| date(&text, now)).transpose();
            read.map_err(|wrong| format!("{name}: {wrong}."))
        };
        let pattern = given(&self.grep).map(|pattern| log_pattern(&pattern));
        let pattern = pattern.transpose();
        let before = given(&self.before).map(|place| place.parse::<u64>());
        let filter = LogFilter {
            device: Some(device.clone()),
            since: at("Since", &self.since)?,
            until: at("Until", &self.until)?,
            severity: severity(&self.severity),
            wants: pattern.map_err(|problem| problem.detail().to_owned())?,
            ..LogFilter::seen_by(scope)
        };
        let before = before.transpose();
        Ok((filter, before.map_err(|_| "before: a place.".to_owned())?))
    }
}

/// A moment as people write it.
fn date(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    match Written::of(text.trim()) {
        Written::Ago(ago) => Ok(now.before(ago)),
        Written::Date(date) => match OffsetDateTime::parse(&date, &Rfc3339) {
            Ok(date) => Ok(date.into()),
            Err(_) => Err(MOMENTS),
        },
    }
}

/// The lowest number that a word means; any for another word.
fn severity(word: &str) -> u8 {
    let named = SEVERITIES.iter().find(|(_, name)| *name == word);
    named.map_or(0, |(lowest, _)| *lowest)
}

fn rows(logs: &[Log]) -> Result<Vec<[Markup; 4]>, Refusal> {
    logs.iter().map(cells).collect()
}

fn cells(log: &Log) -> Result<[Markup; 4], Refusal> {
    let record = Record::from_bytes(&log.record);
    let record = record.map_err(|_| Refusal::Internal("a log record cannot be read"))?;
    let known = severity_name(record.severity);
    let attributes = record.attributes.iter();
    let attributes: Vec<String> = attributes
        .map(|(name, value)| format!("{name}={}", value.to_text()))
        .collect();
    Ok([
        moment(Some(log.received)),
        known.unwrap_or(&record.severity_text).render(),
        preview(record.body.to_text().as_bytes()).render(),
        preview(attributes.join("  ").as_bytes()).render(),
    ])
}

fn address(device: &DeviceId) -> String {
    format!("/console/device/{device}/logs")
}

fn form(search: &Search, device: &DeviceId) -> Markup {
    let text = |name: &str, label: &str, value: &str, example: &str| {
        html! {
            div {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(value) maxlength="256" placeholder=(example);
            }
        }
    };
    html! {
        form.filter method="get" action=(address(device)) role="search" {
            (text("since", "Since", &search.since, "2h"))
            (text("until", "Until", &search.until, "2026-11-22"))
            div {
                label for="severity" { "At least" }
                select #severity name="severity" {
                    option value="" { "any" }
                    @for (_, name) in SEVERITIES {
                        option value=(name) selected[search.severity == name] { (name) }
                    }
                }
            }
            (text("grep", "Regular expression", &search.grep, "timeout|refused"))
            button type="submit" { "Search" }
        }
    }
}

/// The way further back, for the same search.
fn onwards(search: &Search, device: &DeviceId, next: Option<u64>) -> Markup {
    let same = [
        ("since", &search.since),
        ("until", &search.until),
        ("severity", &search.severity),
        ("grep", &search.grep),
    ];
    html! {
        @if let Some(next) = next {
            // A form, so that the browser quotes what stands in it.
            form #more .filter method="get" action=(address(device)) {
                @for (name, value) in same {
                    @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                }
                input type="hidden" name="before" value=(next);
                button type="submit" { "Older" }
            }
        }
    }
}
