//! `/api/devices/{device}/commands`, and calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::Uri;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::commands;
use outgate_core::id::DeviceId;

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfCommand, OfDevice};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::view::GivenPayload;
use crate::api::{Api, view};

/// For how long a command is worth doing when nothing is asked.
pub(crate) const LASTS: u64 = 24 * 60 * 60;

/// How many seconds a call waits when nothing is asked.
const DEADLINE: u64 = 30;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_commands, send_command))
        .routes(routes!(get_command))
        .routes(routes!(cancel_command))
        .routes(routes!(call_device))
}

/// What a device is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCommand {
    /// What to do: a path of 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128, example = "restart")]
    name: String,
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
    /// For how many seconds it is worth doing; a day when absent.
    #[schema(example = 3600)]
    lasts: Option<u64>,
}

/// List a device's commands
///
/// The newest first.
#[utoipa::path(get, path = "/api/devices/{device}/commands", tag = "commands",
    params(OfDevice, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Command>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_commands(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfDevice { device }): Named<OfDevice>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Command>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let commands = &api.state.core.commands;
    let listed = commands.list(&caller.actor()?, &device, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Send a command to a device
///
/// It is in the device's queue, on the disk, when this answers.
#[utoipa::path(post, path = "/api/devices/{device}/commands", tag = "commands",
    params(OfDevice), request_body = NewCommand,
    responses((status = 201, description = "It is in the queue", body = view::Command,
        headers(("location" = String, description = "Its path")))))]
async fn send_command(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    Given(new): Given<NewCommand>,
) -> Result<Created<view::Command>, Problem> {
    let payload = GivenPayload::new(new.content_type, new.payload, new.payload_base64)?;
    let new = commands::NewCommand {
        name: new.name,
        content_type: payload.content_type,
        properties: new.properties,
        payload: payload.bytes,
        lasts: Duration::from_secs(new.lasts.unwrap_or(LASTS)),
    };
    let commands = &api.state.core.commands;
    let command = commands.send(&caller.actor()?, &device, new).await?;
    Ok(Created {
        location: format!("/api/devices/{device}/commands/{}", command.id),
        version: None,
        body: command.into(),
    })
}

/// Get a command
#[utoipa::path(get, path = "/api/devices/{device}/commands/{command}", tag = "commands",
    params(OfCommand),
    responses((status = 200, description = "The command", body = view::Command)))]
async fn get_command(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfCommand { device, command }): Named<OfCommand>,
) -> Result<axum::Json<view::Command>, Problem> {
    let commands = &api.state.core.commands;
    let command = commands.get(&caller.actor()?, &device, &command).await?;
    Ok(axum::Json(command.into()))
}

/// Cancel a command
///
/// One that is not settled yet is taken back.
#[utoipa::path(post, path = "/api/devices/{device}/commands/{command}/cancel", tag = "commands",
    params(OfCommand),
    responses((status = 200, description = "The command as it is now", body = view::Command)))]
async fn cancel_command(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfCommand { device, command }): Named<OfCommand>,
) -> Result<axum::Json<view::Command>, Problem> {
    let commands = &api.state.core.commands;
    let command = commands.cancel(&caller.actor()?, &device, &command).await?;
    Ok(axum::Json(command.into()))
}

/// What to call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfMethod {
    /// The device.
    #[param(value_type = String, min_length = 1, max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$", example = "till-7")]
    device: DeviceId,
    /// What is asked: no slashes.
    #[param(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$",
        example = "self-test"
    )]
    method: String,
}

/// How long to wait.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// How many seconds to wait for the answer.
    #[param(required = false, minimum = 1, maximum = 300, default = 30)]
    deadline: Option<u64>,
}

/// What to ask.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCall {
    /// A media type; JSON's when `payload` is given and this is not.
    #[schema(example = "application/json")]
    content_type: Option<String>,
    /// The payload, where its type is JSON: at most 256 KiB.
    #[serde(default, deserialize_with = "view::present")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Any other payload, in base 64 with padding: at most 256 KiB before that.
    #[schema(content_encoding = "base64", max_length = 349528)]
    payload_base64: Option<String>,
}

/// Call a device
///
/// Waits for its answer. The status in the body is the device's own; that of the response tells
/// whether there was an answer.
#[utoipa::path(post, path = "/api/devices/{device}/calls/{method}", tag = "calls",
    params(OfMethod, Waiting), request_body = NewCall,
    responses((status = 200, description = "What the device answered", body = view::Answer)))]
async fn call_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfMethod { device, method }): Named<OfMethod>,
    Asked(waiting): Asked<Waiting>,
    Given(call): Given<NewCall>,
) -> Result<axum::Json<view::Answer>, Problem> {
    let payload = GivenPayload::new(call.content_type, call.payload, call.payload_base64)?;
    let deadline = Duration::from_secs(waiting.deadline.unwrap_or(DEADLINE));
    let answer = api
        .state
        .core
        .calls
        .call(
            &caller.actor()?,
            &device,
            method,
            payload.content_type,
            payload.bytes,
            deadline,
        )
        .await?;
    Ok(axum::Json(answer.into()))
}
