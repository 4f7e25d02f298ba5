//! `/api/services`.

use std::sync::Arc;

use axum::extract::State;
use http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::id::{ServiceId, SiteId};

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfAccessKey, OfService};
use crate::api::operators::scope;
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_services, create_service))
        .routes(routes!(revoke_service))
        .routes(routes!(list_access_keys, add_access_key))
        .routes(routes!(revoke_access_key))
}

/// A service to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewService {
    /// Its name.
    #[schema(value_type = crate::api::names::Name)]
    id: ServiceId,
    /// The only site that it sees; every site when absent.
    #[schema(value_type = Option<crate::api::names::Name>)]
    site: Option<SiteId>,
}

/// List services
#[utoipa::path(get, path = "/api/services", tag = "services", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Service>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_services(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Service>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let identity = &api.state.core.identity;
    let listed = identity.services(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make a service
///
/// Its first token is told only in this answer.
#[utoipa::path(post, path = "/api/services", tag = "services", request_body = NewService,
    responses((status = 201, description = "It is made", body = view::ServiceIssued)))]
async fn create_service(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewService>,
) -> Result<Created<view::ServiceIssued>, Problem> {
    let identity = &api.state.core.identity;
    let (service, issued) = identity
        .create_service(&caller.actor()?, new.id, scope(new.site))
        .await?;
    Ok(Created {
        location: format!("/api/services/{}", service.id),
        version: None,
        body: view::ServiceIssued {
            service: service.into(),
            issued: issued.try_into()?,
        },
    })
}

/// Revoke a service
///
/// With its tokens; what it has open is closed before this answers.
#[utoipa::path(post, path = "/api/services/{service}/revoke", tag = "services",
    params(OfService),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_service(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfService { service }): Named<OfService>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity.revoke_service(&caller.actor()?, &service).await?;
    Ok(axum::Json(revoked.connections.into()))
}

/// List a service's access keys
///
/// Without the keys themselves, all in one part.
#[utoipa::path(get, path = "/api/services/{service}/access-keys", tag = "services",
    params(OfService),
    responses((status = 200, description = "The keys", body = List<view::Credential>)))]
async fn list_access_keys(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfService { service }): Named<OfService>,
) -> Result<Part<view::Credential>, Problem> {
    let identity = &api.state.core.identity;
    let keys = identity.access_keys(&caller.actor()?, &service).await?;
    Ok(Part::whole(keys))
}

/// Give a service an access key
///
/// By which its back end signs tokens for SignalR, as for Azure SignalR Service. It is told only in
/// this answer. A service has at most two at a time.
#[utoipa::path(post, path = "/api/services/{service}/access-keys", tag = "services",
    params(OfService),
    responses((status = 201, description = "The key", body = view::Issued)))]
async fn add_access_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfService { service }): Named<OfService>,
) -> Result<(StatusCode, axum::Json<view::Issued>), Problem> {
    let identity = &api.state.core.identity;
    let issued = identity.add_access_key(&caller.actor()?, &service).await?;
    Ok((StatusCode::CREATED, axum::Json(issued.try_into()?)))
}

/// Revoke an access key of a service
///
/// What was opened by tokens that it has signed is closed before this answers.
#[utoipa::path(post, path = "/api/services/{service}/access-keys/{key}/revoke", tag = "services",
    params(OfAccessKey),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_access_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfAccessKey { service, key }): Named<OfAccessKey>,
) -> Result<axum::Json<view::Revocation>, Problem> {
    let identity = &api.state.core.identity;
    let revoked = identity
        .revoke_access_key(&caller.actor()?, &service, &key)
        .await?;
    Ok(axum::Json(revoked.connections.into()))
}
