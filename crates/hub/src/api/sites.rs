//! `/api/sites`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::Uri;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::SiteId;

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, IfMatch, Named, Tagged};
use crate::api::names::OfSite;
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_sites, create_site))
        .routes(routes!(get_site, rename_site))
        .routes(routes!(revoke_site))
        .routes(routes!(restore_site))
}

/// A site to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSite {
    /// Its name.
    #[schema(value_type = crate::api::names::Name)]
    id: SiteId,
    /// What people call it: 1 to 200 characters.
    #[schema(example = "Kiruna, Lars Janssonsgatan")]
    title: String,
}

/// What is to change of a site.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SiteChange {
    /// What people call it: 1 to 200 characters.
    #[schema(example = "Kiruna C")]
    title: String,
}

/// List sites
///
/// Those that the caller sees, by name.
#[utoipa::path(get, path = "/api/sites", tag = "sites", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Site>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_sites(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Site>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let listed = api
        .state
        .core
        .identity
        .sites(&caller.actor()?, &page)
        .await?;
    Ok(Part::new(&uri, listed))
}

/// Make a site
#[utoipa::path(post, path = "/api/sites", tag = "sites", request_body = NewSite,
    responses((status = 201, description = "It is made", body = view::Site,
        headers(("location" = String, description = "Its path"), ("etag" = String, description = "Its version")))))]
async fn create_site(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewSite>,
) -> Result<Created<view::Site>, Problem> {
    let identity = &api.state.core.identity;
    let site = identity
        .create_site(&caller.actor()?, new.id, new.title)
        .await?;
    Ok(Created {
        location: format!("/api/sites/{}", site.id),
        version: Some(site.version),
        body: site.into(),
    })
}

/// Get a site
#[utoipa::path(get, path = "/api/sites/{site}", tag = "sites", params(OfSite),
    responses((status = 200, description = "The site", body = view::Site,
        headers(("etag" = String, description = "Its version")))))]
async fn get_site(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
) -> Result<Tagged<view::Site>, Problem> {
    let site = api
        .state
        .core
        .identity
        .site(&caller.actor()?, &site)
        .await?;
    Ok(Tagged::ok(site.version, site.into()))
}

/// Rename a site
#[utoipa::path(patch, path = "/api/sites/{site}", tag = "sites", params(OfSite),
    request_body = SiteChange,
    responses((status = 200, description = "The site as it is now", body = view::Site,
        headers(("etag" = String, description = "Its version")))))]
async fn rename_site(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
    IfMatch(version): IfMatch,
    Given(change): Given<SiteChange>,
) -> Result<Tagged<view::Site>, Problem> {
    let identity = &api.state.core.identity;
    let site = identity
        .rename_site(&caller.actor()?, &site, change.title, version)
        .await
        .map_err(|refusal| Problem::from(refusal).of_conditional())?;
    Ok(Tagged::ok(site.version, site.into()))
}

/// Revoke a site
///
/// None of its devices may come in any more, and those that are in are thrown out before this
/// answers.
#[utoipa::path(post, path = "/api/sites/{site}/revoke", tag = "sites", params(OfSite),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_site(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
) -> Result<impl IntoResponse + use<>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity.revoke_site(&caller.actor()?, &site).await?;
    Ok(axum::Json(view::Revocation::from(revoked.connections)))
}

/// Restore a site
///
/// Its devices may come in again, but for those that were revoked themselves.
#[utoipa::path(post, path = "/api/sites/{site}/restore", tag = "sites", params(OfSite),
    responses((status = 200, description = "The site as it is now", body = view::Site,
        headers(("etag" = String, description = "Its version")))))]
async fn restore_site(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
) -> Result<Tagged<view::Site>, Problem> {
    let identity = &api.state.core.identity;
    let site = identity.restore_site(&caller.actor()?, &site).await?;
    Ok(Tagged::ok(site.version, site.into()))
}
