//! What the device's software can ask. It is what a device asks a hub over plain HTTP, so software
//! that was made for the one can be pointed to the other; and beside that calls and the status.

mod assets;
mod document;
mod parameters;
mod site;
mod support;
mod view;

use std::collections::BTreeMap;

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use outgate_wire::agent::{Answer, Blob, Settlement};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::parameters::{Answering, Waiting};
use self::view::{Calls, Commands, Octets, Twin};
use super::extract::{Asked, Given, Named};
use super::problem::Problem;
use crate::device::{Device, within};
use crate::queue::{Entry, MAX_PAYLOAD, Priority};
use crate::status::Status;
use crate::twin::Halves;

/// Serves the device to whoever may ask.
pub(super) fn router(device: Device) -> Router {
    let (router, document) = described().split_for_parts();
    let document = document::complete(&document);
    let told = axum::routing::get(move || std::future::ready(Json(document.clone())));
    router
        .route("/openapi.json", told)
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
        .with_state(device)
}

/// What can be asked, as an OpenAPI document.
pub(super) fn document() -> Value {
    document::complete(&described().into_openapi())
}

fn described() -> OpenApiRouter<Device> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(twin))
        .routes(routes!(report))
        .routes(routes!(say))
        .routes(routes!(log))
        .routes(routes!(commands))
        .routes(routes!(settle))
        .routes(routes!(calls))
        .routes(routes!(answer))
        .merge(site::described())
        .merge(assets::described())
        .merge(support::described())
}

async fn nothing() -> Problem {
    let detail = "there is no such thing; /openapi.json says what there is";
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// How the agent is
///
/// The link to the hub, the ladder, the clock, the queue, the network and what went wrong lately.
#[utoipa::path(get, path = "/status", tag = "agent",
    responses((status = 200, description = "How it is now", body = Object)))]
async fn status(State(device): State<Device>) -> Response {
    let status: Status = device.status();
    unkept(status)
}

/// Read the twin
///
/// What the device is wanted to be, as the hub last told, and what it says it is. With
/// `If-None-Match` and `wait` the answer comes when something has changed.
#[utoipa::path(get, path = "/device/twin", tag = "twin", params(Waiting),
    responses((status = 200, description = "Both halves", body = Twin,
            headers(("etag" = String, description = "Changes with either half"))),
        (status = 304, description = "Nothing has changed")))]
async fn twin(
    State(device): State<Device>,
    Asked(waiting): Asked<Waiting>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = waiting.time()?;
    let mut watch = device.twin();
    let known = |halves: &Halves| is_known(&headers, &tag(halves));
    let news = watch.wait_for(|halves| !known(halves));
    let halves = match within(wait, news).await {
        Some(Ok(halves)) => halves.clone(),
        Some(Err(_)) | None => return Ok(StatusCode::NOT_MODIFIED.into_response()),
    };
    let tag = HeaderValue::try_from(tag(&halves));
    let mut response = unkept(Twin::from(halves));
    if let Ok(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Report what the device is
///
/// A merge patch (RFC 7396) of what it says of itself. It is on the disk when this is answered, and
/// the hub hears it when it can.
#[utoipa::path(patch, path = "/device/twin/reported", tag = "twin",
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 204, description = "It is kept")))]
async fn report(
    State(device): State<Device>,
    headers: HeaderMap,
    Given(body): Given,
) -> Result<StatusCode, Problem> {
    let kind = content_type(&headers)?;
    if essence(&kind) != "application/merge-patch+json" && essence(&kind) != "application/json" {
        let detail = "Content-Type: application/merge-patch+json is needed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let patch = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("no JSON: {error}")))?;
    // It waits for the disk.
    let reporting = tokio::task::spawn_blocking(move || device.report(patch));
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the agent is going down");
    reporting.await.map_err(failed)??;
    Ok(StatusCode::NO_CONTENT)
}

/// Say something
///
/// An event with the name that follows in the path; its payload is the body, its properties are the
/// fields of the query. It is on the disk when this is answered, and the hub has it when it can: in
/// order, and once.
#[utoipa::path(post, path = "/device/events/{*name}", tag = "events",
    params(("name" = String, Path, description = "What it is about, as `sale/closed`"),
        ("priority" = Option<String>, Header,
            description = "How much it matters: `background`, `ordinary`, `important`")),
    request_body(content = inline(Octets), content_type = "application/octet-stream",
        description = "The payload, of any type and of 256 KiB at most"),
    responses((status = 204, description = "It is kept")))]
async fn say(
    State(device): State<Device>,
    Named(name): Named<String>,
    Asked(properties): Asked<BTreeMap<String, String>>,
    headers: HeaderMap,
    Given(body): Given,
) -> Result<StatusCode, Problem> {
    let mut event = Entry::event(name, body);
    event.content_type = content_type(&headers)?;
    event.properties = properties;
    event.priority = priority(&headers)?;
    device.say(event).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Log something
///
/// As OTLP over HTTP has it, in protobuf or JSON, of at most 256 KiB. It goes to the hub when
/// everything else has.
#[utoipa::path(post, path = "/v1/logs", tag = "logs",
    request_body(content((Value = "application/json"),
        (inline(Octets) = "application/x-protobuf"))),
    responses((status = 200, description = "It is kept", body = Object)))]
async fn log(
    State(device): State<Device>,
    headers: HeaderMap,
    Given(body): Given,
) -> Result<Response, Problem> {
    let kind = content_type(&headers)?;
    let json = match essence(&kind) {
        "application/json" => true,
        "application/x-protobuf" => false,
        _ => {
            let detail = "Content-Type: application/x-protobuf or application/json is needed";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    if headers.contains_key(http::header::CONTENT_ENCODING) {
        let detail = "nothing is packed here: it does not leave the machine";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let mut logs = Entry::log("", body);
    logs.content_type = kind.clone();
    device.say(logs).await?;
    // An answer without anything in it, in the encoding that was asked in.
    let answer = if json { "{}" } else { "" };
    Ok(([(CONTENT_TYPE, kind)], answer).into_response())
}

/// Read what the device is to do
///
/// The commands that are not settled, in their order.
#[utoipa::path(get, path = "/device/commands", tag = "commands", params(Waiting),
    responses((status = 200, description = "What is not settled", body = Commands)))]
async fn commands(
    State(device): State<Device>,
    Asked(waiting): Asked<Waiting>,
) -> Result<Response, Problem> {
    let commands = device.commands(waiting.time()?).await;
    Ok(unkept(Commands::from(commands)))
}

/// What has become of a command.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Settled {
    /// It is done.
    Complete,
    /// It will not be done.
    Reject,
    /// It is to be told again.
    Abandon,
}

/// Settle a command
///
/// The same again is the same; the other one is 409.
#[utoipa::path(post, path = "/device/commands/{id}/{settled}", tag = "commands",
    params(("id" = String, Path, description = "The command's name"),
        ("settled" = inline(Settled), Path, description = "What has become of it")),
    responses((status = 204, description = "It is settled")))]
async fn settle(
    State(device): State<Device>,
    Named((id, settled)): Named<(String, Settled)>,
) -> Result<StatusCode, Problem> {
    let how = match settled {
        Settled::Complete => Settlement::Completed,
        Settled::Reject => Settlement::Rejected,
        Settled::Abandon => Settlement::Abandoned,
    };
    device.settle(&id, how).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read what the device is asked
///
/// The calls that are not answered, in their order. Somebody waits for each, for at most some
/// minutes.
#[utoipa::path(get, path = "/device/calls", tag = "calls", params(Waiting),
    responses((status = 200, description = "What is not answered", body = Calls)))]
async fn calls(
    State(device): State<Device>,
    Asked(waiting): Asked<Waiting>,
) -> Result<Response, Problem> {
    let calls = device.calls(waiting.time()?).await;
    Ok(unkept(Calls::from(calls)))
}

/// Answer a call
///
/// The body is the answer.
#[utoipa::path(post, path = "/device/calls/{id}/answer", tag = "calls",
    params(("id" = String, Path, description = "The call's name"), Answering),
    request_body(content = inline(Octets), content_type = "application/octet-stream",
        description = "The payload, of any type and of 256 KiB at most"),
    responses((status = 204, description = "Whoever asked has it")))]
async fn answer(
    State(device): State<Device>,
    Named(id): Named<String>,
    Asked(Answering { status }): Asked<Answering>,
    headers: HeaderMap,
    Given(body): Given,
) -> Result<StatusCode, Problem> {
    if !(100..=599).contains(&status) {
        let detail = "status: 100 to 599";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let answer = Answer {
        status,
        content_type: content_type(&headers)?,
        payload: Blob(body.to_vec()),
    };
    device.answer(&id, answer)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The entity tag of a twin. A report that the hub has not heard yet changes it, too.
fn tag(halves: &Halves) -> String {
    let reported = serde_json::to_string(&halves.reported.document).unwrap_or_default();
    let mut hasher = std::hash::DefaultHasher::new();
    std::hash::Hash::hash(&reported, &mut hasher);
    let hash = std::hash::Hasher::finish(&hasher);
    format!(
        "\"{}.{}.{hash:x}\"",
        halves.desired.version, halves.reported.version
    )
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let theirs = headers.get_all(IF_NONE_MATCH).iter();
    let mut theirs = theirs.filter_map(|value| value.to_str().ok());
    theirs.any(|list| list.split(',').any(|one| one.trim() == tag))
}

/// The media type of a body, or nothing.
fn content_type(headers: &HeaderMap) -> Result<String, Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::to_str)
        .transpose();
    let plain = |_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "Content-Type: plain text is needed",
        )
    };
    Ok(given.map_err(plain)?.unwrap_or_default().to_owned())
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn priority(headers: &HeaderMap) -> Result<Priority, Problem> {
    let Some(given) = headers.get("priority") else {
        return Ok(Priority::Ordinary);
    };
    let all = Priority::ALL.into_iter();
    let named = all
        .into_iter()
        .find(|one| given.as_bytes() == one.name().as_bytes());
    named.ok_or_else(|| {
        let detail = "Priority: background, ordinary or important";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

/// An answer in JSON that nobody keeps.
fn unkept(told: impl Serialize) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], Json(told)).into_response()
}
