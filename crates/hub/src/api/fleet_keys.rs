//! `/api/fleet-keys`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use http::Uri;
use ipnet::IpNet;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::SiteId;
use outgate_core::identity;
use outgate_core::refusal::Refusal;
use outgate_core::secret::Secret;
use zeroize::Zeroizing;

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::OfFleetKey;
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_fleet_keys, create_fleet_key))
        .routes(routes!(revoke_fleet_key))
}

/// What a fleet key is to be good for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFleetKey {
    /// Where its devices will stand.
    #[schema(value_type = crate::api::names::Name)]
    site: SiteId,
    /// Which names they may have: `*` stands for any number of characters.
    #[schema(min_length = 1, max_length = 128, example = "till-*")]
    ids: String,
    /// How many may enrol with it.
    #[schema(example = 25)]
    uses: u32,
    /// For how many seconds.
    #[schema(example = 604800)]
    lasts: u64,
    /// From which networks; everywhere when absent or empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["203.0.113.0/24"]))]
    from: Vec<IpNet>,
    /// The key itself in base 64, 16 to 64 bytes, when devices know it already; else one is made.
    #[serde(default)]
    #[schema(format = Password, max_length = 88)]
    key: Option<String>,
}

/// List fleet keys
///
/// Without the keys themselves.
#[utoipa::path(get, path = "/api/fleet-keys", tag = "enrolment", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::FleetKey>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_fleet_keys(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::FleetKey>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let identity = &api.state.core.identity;
    let listed = identity.fleet_keys(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make a fleet key
///
/// The key itself is told only in this answer.
#[utoipa::path(post, path = "/api/fleet-keys", tag = "enrolment", request_body = NewFleetKey,
    responses((status = 201, description = "It is made", body = view::FleetKeyIssued)))]
async fn create_fleet_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewFleetKey>,
) -> Result<Created<view::FleetKeyIssued>, Problem> {
    let new = identity::NewFleetKey {
        site: new.site,
        ids: new.ids,
        uses: new.uses,
        lasts: Duration::from_secs(new.lasts),
        from: new.from,
        key: new.key.map(given).transpose()?,
    };
    let identity = &api.state.core.identity;
    let (kept, key) = identity.create_fleet_key(&caller.actor()?, new).await?;
    Ok(Created {
        location: format!("/api/fleet-keys/{}", kept.id),
        version: None,
        body: view::FleetKeyIssued::new(kept, &key),
    })
}

/// A key that is given in base 64.
fn given(text: String) -> Result<Secret, Refusal> {
    let text = Zeroizing::new(text);
    Secret::from_base64(&text).ok_or_else(|| Refusal::invalid("key", "16 to 64 bytes in base 64"))
}

/// Revoke a fleet key
///
/// Devices that enrolled with it stay.
#[utoipa::path(post, path = "/api/fleet-keys/{fleet_key}/revoke", tag = "enrolment",
    params(OfFleetKey),
    responses((status = 200, description = "The fleet key as it is now", body = view::FleetKey)))]
async fn revoke_fleet_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfFleetKey { fleet_key }): Named<OfFleetKey>,
) -> Result<axum::Json<view::FleetKey>, Problem> {
    let identity = &api.state.core.identity;
    let key = identity
        .revoke_fleet_key(&caller.actor()?, &fleet_key)
        .await?;
    Ok(axum::Json(key.into()))
}
