//! `/api/devices`, and the live connections of each.

use std::iter;
use std::sync::Arc;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::id::{DeviceId, SiteId, Tag};
use outgate_core::identity::{DeviceFilter, Listed};
use outgate_core::sessions::Selector;

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, IfMatch, Named, Tagged};
use crate::api::names::{OfDevice, OfSession};
use crate::api::pages::{List, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, bounds, view};
use crate::dialects::mqtt::DEFAULT_POLICY;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_devices, create_device))
        .routes(routes!(get_device, change_device))
        .routes(routes!(approve_device))
        .routes(routes!(revoke_device))
        .routes(routes!(restore_device))
        .routes(routes!(restore_device_anew))
        .routes(routes!(list_sessions))
        .routes(routes!(dismiss_session))
}

/// Which devices, and which part of them.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only of this site.
    #[param(required = false, value_type = crate::api::names::Name)]
    site: Option<SiteId>,
    /// Only in this state.
    #[param(required = false)]
    state: Option<view::DeviceState>,
    /// Only whose name begins so.
    #[param(required = false, min_length = 1, max_length = 256)]
    prefix: Option<String>,
    /// Only those that have this tag.
    #[param(required = false, value_type = crate::api::names::Name)]
    tag: Option<Tag>,
    /// What `next` was of the part before.
    #[param(required = false, min_length = 1, max_length = 512)]
    after: Option<String>,
    /// The most items of the part.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// A device to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDevice {
    /// Its name, one in the whole hub.
    #[schema(value_type = crate::api::names::Name)]
    id: DeviceId,
    /// Where it stands.
    #[schema(value_type = crate::api::names::Name)]
    site: SiteId,
    /// The name of its topic policy; `own-subtree` when absent.
    #[schema(min_length = 1, max_length = 128, example = "own-subtree")]
    policy: Option<String>,
}

/// What is to change of a device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceChange {
    /// The name of its topic policy.
    #[schema(min_length = 1, max_length = 128, example = "own-subtree")]
    policy: String,
}

/// List devices
///
/// Those that the caller sees, by name.
#[utoipa::path(get, path = "/api/devices", tag = "devices", params(Wanted),
    responses((status = 200, description = "A part of the list", body = List<view::Device>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_devices(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(wanted): Asked<Wanted>,
) -> Result<Part<view::Device>, Problem> {
    let core = &api.state.core;
    let prefix = wanted.prefix.map(bounds::prefix).transpose()?;
    let filter = DeviceFilter {
        site: wanted.site,
        state: wanted.state.map(Into::into),
        prefix,
        tag: wanted.tag,
    };
    let page = page(wanted.after, wanted.limit)?;
    let listed = core
        .identity
        .devices(&caller.actor()?, &filter, &page)
        .await?;
    let told = |device| view::Device::new(device, &core.sessions);
    let listed = Listed {
        items: listed.items.into_iter().map(told).collect(),
        next: listed.next,
    };
    Ok(Part::new(&uri, listed))
}

/// Make a device
///
/// It has no credential yet.
#[utoipa::path(post, path = "/api/devices", tag = "devices", request_body = NewDevice,
    responses((status = 201, description = "It is made", body = view::Device,
        headers(("location" = String, description = "Its path"), ("etag" = String, description = "Its version")))))]
async fn create_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewDevice>,
) -> Result<Created<view::Device>, Problem> {
    let core = &api.state.core;
    if let Some(policy) = &new.policy {
        known(&api, policy)?;
    }
    let device = core
        .identity
        .create_device(&caller.actor()?, new.id, new.site, new.policy)
        .await?;
    Ok(Created {
        location: format!("/api/devices/{}", device.id),
        version: Some(device.version),
        body: view::Device::new(device, &core.sessions),
    })
}

/// Get a device
#[utoipa::path(get, path = "/api/devices/{device}", tag = "devices", params(OfDevice),
    responses((status = 200, description = "The device", body = view::Device,
        headers(("etag" = String, description = "Its version")))))]
async fn get_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Tagged<view::Device>, Problem> {
    let core = &api.state.core;
    let actor = caller.actor()?;
    let device = core.identity.device(&actor, &device).await?;
    let logs = core.logs.kept(&device.id).await?;
    let twin = core.twins.get(&actor, &device.id).await?;
    let mut told = tagged(&api, device);
    told.body.ssh = view::SshSwitch::said(&twin, core.clock.now());
    told.body.logs = Some(logs.into());
    Ok(told)
}

/// Change a device's policy
#[utoipa::path(patch, path = "/api/devices/{device}", tag = "devices", params(OfDevice),
    request_body = DeviceChange,
    responses((status = 200, description = "The device as it is now", body = view::Device,
        headers(("etag" = String, description = "Its version")))))]
async fn change_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    IfMatch(version): IfMatch,
    Given(change): Given<DeviceChange>,
) -> Result<Tagged<view::Device>, Problem> {
    known(&api, &change.policy)?;
    let identity = &api.state.core.identity;
    let device = identity
        .set_policy(&caller.actor()?, &device, change.policy, version)
        .await
        .map_err(|refusal| Problem::from(refusal).of_conditional())?;
    Ok(tagged(&api, device))
}

/// Approve a device
///
/// It has enrolled again: its new credential takes the place of the old ones.
#[utoipa::path(post, path = "/api/devices/{device}/approve", tag = "devices", params(OfDevice),
    responses((status = 200, description = "The device as it is now", body = view::Device,
        headers(("etag" = String, description = "Its version")))))]
async fn approve_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Tagged<view::Device>, Problem> {
    let identity = &api.state.core.identity;
    let device = identity.approve_device(&caller.actor()?, &device).await?;
    Ok(tagged(&api, device))
}

/// Revoke a device
///
/// It may not come in any more, and is thrown out before this answers.
#[utoipa::path(post, path = "/api/devices/{device}/revoke", tag = "devices", params(OfDevice),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity.revoke_device(&caller.actor()?, &device).await?;
    Ok(axum::Json(revoked.connections.into()))
}

/// Restore a device
///
/// It may come in again, by the credentials that have not been revoked themselves.
#[utoipa::path(post, path = "/api/devices/{device}/restore", tag = "devices", params(OfDevice),
    responses((status = 200, description = "The device as it is now", body = view::Device,
        headers(("etag" = String, description = "Its version")))))]
async fn restore_device(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Tagged<view::Device>, Problem> {
    let identity = &api.state.core.identity;
    let device = identity.restore_device(&caller.actor()?, &device).await?;
    Ok(tagged(&api, device))
}

/// Restore a device with new keys
///
/// It may come in again by a new pair of keys, which are told only now, and by nothing that it had.
#[utoipa::path(post, path = "/api/devices/{device}/restore-with-new-keys", tag = "devices",
    params(OfDevice),
    responses((status = 201, description = "The keys", body = view::IssuedList)))]
async fn restore_device_anew(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<(StatusCode, axum::Json<view::IssuedList>), Problem> {
    let identity = &api.state.core.identity;
    let pair = identity
        .restore_device_anew(&caller.actor()?, &device)
        .await?;
    let items: Result<Vec<view::Issued>, Refusal> =
        pair.into_iter().map(view::Issued::try_from).collect();
    let list = view::IssuedList { items: items? };
    Ok((StatusCode::CREATED, axum::Json(list)))
}

/// Refuses a policy that the configuration does not have: its device could do nothing, and nobody
/// would be told why.
fn known(api: &Api, policy: &str) -> Result<(), Refusal> {
    let config = api.state.config.load();
    if policy == DEFAULT_POLICY || config.policies.contains_key(policy) {
        return Ok(());
    }
    let names = config.policies.keys().map(String::as_str);
    let names: Vec<&str> = iter::once(DEFAULT_POLICY).chain(names).collect();
    let one = format!("one of the configuration's: {}", names.join(", "));
    Err(Refusal::invalid("policy", one))
}

fn tagged(api: &Api, device: outgate_core::identity::Device) -> Tagged<view::Device> {
    Tagged::ok(
        device.version,
        view::Device::new(device, &api.state.core.sessions),
    )
}

/// List a device's sessions
///
/// Its live connections, all in one part.
#[utoipa::path(get, path = "/api/devices/{device}/sessions", tag = "sessions", params(OfDevice),
    responses((status = 200, description = "The sessions", body = List<view::Session>)))]
async fn list_sessions(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Part<view::Session>, Problem> {
    let core = &api.state.core;
    let device = core.identity.device(&caller.actor()?, &device).await?;
    Ok(Part::whole(
        core.sessions.present(&Selector::Device(device.id)),
    ))
}

/// Dismiss a session
///
/// Closes one connection. The device may come again.
#[utoipa::path(post, path = "/api/devices/{device}/sessions/{session}/dismiss", tag = "sessions",
    params(OfSession),
    responses((status = 200, description = "It is closed", body = view::Revocation)))]
async fn dismiss_session(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSession { device, session }): Named<OfSession>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let (identity, actor) = (&api.state.core.identity, caller.actor()?);
    let dismissed = identity.dismiss_session(&actor, &device, &session).await?;
    Ok(axum::Json(dismissed.connections.into()))
}
