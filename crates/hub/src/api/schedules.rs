//! `/api/schedules`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::commands;
use outgate_core::id::{DeviceId, ScheduleName, SiteId};
use outgate_core::schedules::{Missed, Whom, read_cron};

use crate::api::caller::Caller;
use crate::api::commands::LASTS;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfFiring, OfSchedule};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::view::GivenPayload;
use crate::api::{Api, view};

/// How many moments to come are told when nothing is asked.
const UPCOMING: u32 = 10;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_schedules, add_schedule))
        .routes(routes!(get_schedule, remove_schedule))
        .routes(routes!(list_schedule_devices))
        .routes(routes!(get_upcoming))
        .routes(routes!(list_firings))
        .routes(routes!(list_fired_devices))
        .routes(routes!(pause_schedule))
        .routes(routes!(resume_schedule))
}

/// What devices are to do, and when: devices, or all of a site.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSchedule {
    /// Its name, one in the whole hub.
    #[schema(value_type = crate::api::names::Name, example = "reload")]
    name: ScheduleName,
    /// Minute, hour, day of the month, month and weekday, as crontab(5) has them; or `@hourly`,
    /// `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schema(max_length = 256, example = "0 2 * * *")]
    cron: String,
    /// The time zone whose clocks count; UTC when absent.
    #[schema(max_length = 64, example = "Europe/Stockholm")]
    zone: Option<String>,
    /// For these devices.
    #[serde(default)]
    #[schema(value_type = Option<Vec<crate::api::names::Name>>, max_items = 1000)]
    devices: Option<Vec<DeviceId>>,
    /// For all devices that stand at this site when it comes.
    #[serde(default)]
    #[schema(value_type = Option<crate::api::names::Name>)]
    site: Option<SiteId>,
    /// What they are to do: a path of 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128, example = "reload")]
    command: String,
    /// A media type; JSON's when `payload` is given and this is not.
    #[schema(example = "application/json")]
    content_type: Option<String>,
    /// Named texts beside the payload: at most 64, 8 KiB together.
    #[serde(default)]
    properties: BTreeMap<String, String>,
    /// The payload, where its type is JSON: at most 256 KiB.
    #[serde(default, deserialize_with = "view::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Any other payload, in base 64 with padding: at most 256 KiB before that.
    #[schema(content_encoding = "base64", max_length = 349528)]
    payload_base64: Option<String>,
    /// For how many seconds each command is worth doing; a day when absent.
    #[schema(example = 3600)]
    lasts: Option<u64>,
    /// What becomes of moments that were missed, because the hub was down: `skip` when absent.
    #[serde(default)]
    #[schema(value_type = Option<view::Missed>)]
    missed: Option<Missed>,
    /// Over how many seconds the devices are spread: at most a day; none when absent.
    #[schema(maximum = 86400, example = 600)]
    spread: Option<u64>,
}

/// How many moments.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HowMany {
    /// How many moments to come.
    #[param(required = false, minimum = 1, maximum = 100, default = 10)]
    count: Option<u32>,
}

/// List schedules
///
/// By name, without their payloads. Whoever sees one site sees those of that site.
#[utoipa::path(get, path = "/api/schedules", tag = "schedules", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Schedule>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_schedules(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Schedule>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let schedules = &api.state.core.schedules;
    let listed = schedules.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make a schedule
///
/// Its devices get a command each time it comes, over whatever they speak.
#[utoipa::path(post, path = "/api/schedules", tag = "schedules", request_body = NewSchedule,
    responses((status = 201, description = "The schedule", body = view::Schedule,
        headers(("location" = String, description = "Its path")))))]
async fn add_schedule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewSchedule>,
) -> Result<Created<view::Schedule>, Problem> {
    let whom = match (new.devices, new.site) {
        (Some(devices), None) => Whom::Devices(devices),
        (None, Some(site)) => Whom::Site(site),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::invalid("devices", "devices, or a site").into());
        }
    };
    let payload = GivenPayload::new(new.content_type, new.payload, new.payload_base64)?;
    let new = outgate_core::schedules::NewSchedule {
        name: new.name,
        cron: read_cron(&new.cron)?,
        zone: new.zone.as_deref().unwrap_or("UTC").parse()?,
        whom,
        command: commands::NewCommand {
            name: new.command,
            content_type: payload.content_type,
            properties: new.properties,
            payload: payload.bytes,
            lasts: Duration::from_secs(new.lasts.unwrap_or(LASTS)),
        },
        missed: new.missed.unwrap_or(Missed::Skip),
        spread: Duration::from_secs(new.spread.unwrap_or(0)),
    };
    let schedules = &api.state.core.schedules;
    let made = schedules.add_schedule(&caller.actor()?, new).await?;
    Ok(Created {
        location: format!("/api/schedules/{}", made.name),
        version: None,
        body: made.into(),
    })
}

/// Get a schedule
#[utoipa::path(get, path = "/api/schedules/{schedule}", tag = "schedules", params(OfSchedule),
    responses((status = 200, description = "The schedule", body = view::Schedule)))]
async fn get_schedule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
) -> Result<Json<view::Schedule>, Problem> {
    let schedules = &api.state.core.schedules;
    let found = schedules.get(&caller.actor()?, &schedule).await?;
    Ok(Json(found.into()))
}

/// Remove a schedule
///
/// With its history. Commands that it has sent stay.
#[utoipa::path(delete, path = "/api/schedules/{schedule}", tag = "schedules", params(OfSchedule),
    responses((status = 204, description = "It is removed")))]
async fn remove_schedule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
) -> Result<StatusCode, Problem> {
    let schedules = &api.state.core.schedules;
    schedules
        .remove_schedule(&caller.actor()?, &schedule)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the devices that a schedule names
///
/// None when it is for all of a site.
#[utoipa::path(get, path = "/api/schedules/{schedule}/devices", tag = "schedules",
    params(OfSchedule, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::NamedDevice>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_schedule_devices(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::NamedDevice>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let schedules = &api.state.core.schedules;
    let listed = schedules.named(&caller.actor()?, &schedule, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Tell when a schedule comes next
///
/// As if nothing changes; also of one that is paused.
#[utoipa::path(get, path = "/api/schedules/{schedule}/next", tag = "schedules",
    params(OfSchedule, HowMany),
    responses((status = 200, description = "Moments to come", body = view::Upcoming)))]
async fn get_upcoming(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
    Asked(HowMany { count }): Asked<HowMany>,
) -> Result<Json<view::Upcoming>, Problem> {
    let schedules = &api.state.core.schedules;
    let (actor, count) = (caller.actor()?, count.unwrap_or(UPCOMING));
    let next = schedules.upcoming(&actor, &schedule, count).await?;
    Ok(Json(view::Upcoming { next }))
}

/// List what became of a schedule's moments
///
/// The newest first, the last 100 at the most.
#[utoipa::path(get, path = "/api/schedules/{schedule}/firings", tag = "schedules",
    params(OfSchedule, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Fired>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_firings(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Fired>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let schedules = &api.state.core.schedules;
    let listed = schedules
        .firings(&caller.actor()?, &schedule, &page)
        .await?;
    Ok(Part::new(&uri, listed))
}

/// List the devices of a firing, and how far each is
#[utoipa::path(get, path = "/api/schedules/{schedule}/firings/{firing}/devices",
    tag = "schedules", params(OfFiring, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::FiredDevice>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_fired_devices(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfFiring { schedule, firing }): Named<OfFiring>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::FiredDevice>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let (schedules, actor) = (&api.state.core.schedules, caller.actor()?);
    let listed = schedules
        .fired_devices(&actor, &schedule, &firing, &page)
        .await?;
    Ok(Part::new(&uri, listed))
}

/// Pause a schedule
///
/// It does not come until it is resumed, and what is left out meanwhile does not count as missed.
#[utoipa::path(post, path = "/api/schedules/{schedule}/pause", tag = "schedules",
    params(OfSchedule),
    responses((status = 200, description = "It as it is now", body = view::Schedule)))]
async fn pause_schedule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
) -> Result<Json<view::Schedule>, Problem> {
    let schedules = &api.state.core.schedules;
    let paused = schedules.pause(&caller.actor()?, &schedule).await?;
    Ok(Json(paused.into()))
}

/// Resume a schedule
///
/// It comes again from now on.
#[utoipa::path(post, path = "/api/schedules/{schedule}/resume", tag = "schedules",
    params(OfSchedule),
    responses((status = 200, description = "It as it is now", body = view::Schedule)))]
async fn resume_schedule(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSchedule { schedule }): Named<OfSchedule>,
) -> Result<Json<view::Schedule>, Problem> {
    let schedules = &api.state.core.schedules;
    let resumed = schedules.resume(&caller.actor()?, &schedule).await?;
    Ok(Json(resumed.into()))
}
