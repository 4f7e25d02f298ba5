//! `/api/deployments`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::Uri;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::deployments::Target;
use outgate_core::id::{DeviceId, ReleaseName, SiteId};

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfDeployed, OfDeployment};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_deployments, deploy))
        .routes(routes!(get_deployment))
        .routes(routes!(list_deployment_devices))
        .routes(routes!(get_deployment_log))
        .routes(routes!(abort_deployment))
}

/// What is to be deployed, and to whom: devices or a site.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDeployment {
    /// The release.
    #[schema(value_type = crate::api::names::Name, example = "fort-1.2")]
    release: ReleaseName,
    /// These devices.
    #[serde(default)]
    #[schema(value_type = Option<Vec<crate::api::names::Name>>, max_items = 10000)]
    devices: Option<Vec<DeviceId>>,
    /// All devices that stand at this site now.
    #[serde(default)]
    #[schema(value_type = Option<crate::api::names::Name>)]
    site: Option<SiteId>,
}

/// List deployments
///
/// The newest first. Whoever sees one site sees those that have devices there, and counts those.
#[utoipa::path(get, path = "/api/deployments", tag = "releases", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Deployment>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_deployments(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Deployment>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let deployments = &api.state.core.deployments;
    let listed = deployments.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Deploy a release
///
/// Devices that are away get it when they come.
#[utoipa::path(post, path = "/api/deployments", tag = "releases", request_body = NewDeployment,
    responses((status = 201, description = "The deployment", body = view::Deployment)))]
async fn deploy(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewDeployment>,
) -> Result<Created<view::Deployment>, Problem> {
    let target = match (new.devices, new.site) {
        (Some(devices), None) => Target::Devices(devices),
        (None, Some(site)) => Target::Site(site),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::invalid("devices", "devices, or a site").into());
        }
    };
    let deployments = &api.state.core.deployments;
    let actor = caller.actor()?;
    let made = deployments.create(&actor, new.release, target).await?;
    Ok(Created {
        location: format!("/api/deployments/{}", made.id),
        version: None,
        body: made.into(),
    })
}

/// Get a deployment
#[utoipa::path(get, path = "/api/deployments/{deployment}", tag = "releases",
    params(OfDeployment),
    responses((status = 200, description = "The deployment", body = view::Deployment)))]
async fn get_deployment(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
) -> Result<Json<view::Deployment>, Problem> {
    let deployments = &api.state.core.deployments;
    let found = deployments.get(&caller.actor()?, &deployment).await?;
    Ok(Json(found.into()))
}

/// List the devices of a deployment
#[utoipa::path(get, path = "/api/deployments/{deployment}/devices", tag = "releases",
    params(OfDeployment, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Deployed>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_deployment_devices(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Deployed>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let deployments = &api.state.core.deployments;
    let actor = caller.actor()?;
    let listed = deployments.devices(&actor, &deployment, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Get what a device had to say of a deployment
///
/// Sent by devices on which it has failed; the last 64 KiB are kept.
#[utoipa::path(get, path = "/api/deployments/{deployment}/devices/{device}/log",
    tag = "releases", params(OfDeployed),
    responses((status = 200, description = "The log", body = view::DeploymentLog)))]
async fn get_deployment_log(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployed { deployment, device }): Named<OfDeployed>,
) -> Result<Json<view::DeploymentLog>, Problem> {
    let deployments = &api.state.core.deployments;
    let actor = caller.actor()?;
    let log = deployments.log(&actor, &deployment, &device).await?;
    Ok(Json(view::DeploymentLog { log }))
}

/// Abort a deployment
///
/// Devices that are not done are offered nothing more by it; those that are at it are told when
/// they next say how far they are.
#[utoipa::path(post, path = "/api/deployments/{deployment}/abort", tag = "releases",
    params(OfDeployment),
    responses((status = 200, description = "It as it is now", body = view::Deployment)))]
async fn abort_deployment(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
) -> Result<Json<view::Deployment>, Problem> {
    let deployments = &api.state.core.deployments;
    let aborted = deployments.abort(&caller.actor()?, &deployment).await?;
    Ok(Json(aborted.into()))
}
