//! `/api/sites/{site}/authorities`: whose certificates a site's devices may show.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::api::extract::{Given, Named};
use crate::api::names::{OfAuthority, OfSite};
use crate::api::pages::{List, Part};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_authorities, add_authority))
        .routes(routes!(revoke_authority))
}

/// An authority to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAuthority {
    /// Its certificate, in PEM.
    #[schema(max_length = 16384)]
    certificate: String,
}

/// List a site's authorities
///
/// All in one part.
#[utoipa::path(get, path = "/api/sites/{site}/authorities", tag = "sites", params(OfSite),
    responses((status = 200, description = "The authorities", body = List<view::Authority>)))]
async fn list_authorities(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
) -> Result<Part<view::Authority>, Problem> {
    let identity = &api.state.core.identity;
    let authorities = identity.authorities(&caller.actor()?, &site).await?;
    Ok(Part::whole(authorities))
}

/// Register an authority of a site
///
/// The site's devices may show certificates that it has signed for their names.
#[utoipa::path(post, path = "/api/sites/{site}/authorities", tag = "sites", params(OfSite),
    request_body = NewAuthority,
    responses((status = 201, description = "It is registered", body = view::Authority)))]
async fn add_authority(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
    Given(new): Given<NewAuthority>,
) -> Result<(StatusCode, axum::Json<view::Authority>), Problem> {
    let identity = &api.state.core.identity;
    let authority = identity
        .add_authority(&caller.actor()?, &site, &new.certificate)
        .await?;
    Ok((StatusCode::CREATED, axum::Json(authority.into())))
}

/// Revoke an authority of a site
///
/// With every certificate of its that a device has shown; connections that came in by them are
/// closed before this answers.
#[utoipa::path(post, path = "/api/sites/{site}/authorities/{authority}/revoke", tag = "sites",
    params(OfAuthority),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_authority(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfAuthority { site, authority }): Named<OfAuthority>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity
        .revoke_authority(&caller.actor()?, &site, &authority)
        .await?;
    Ok(axum::Json(revoked.connections.into()))
}
