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
use outgate_core::deployments::{Phases, Plan, Share, StopAt, Tagged, Target, Windows};
use outgate_core::id::{DeviceId, ReleaseName, SiteId, Tag};

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
        .routes(routes!(pause_deployment))
        .routes(routes!(resume_deployment))
        .routes(routes!(advance_deployment))
        .routes(routes!(abort_deployment))
}

/// What is to be deployed, to whom (devices, a site or a tag), and how.
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
    /// All devices that have this tag, of those that the caller sees.
    #[serde(default)]
    #[schema(value_type = Option<crate::api::names::Name>, example = "ring=first")]
    tag: Option<Tag>,
    /// Whether devices that get the tag later are meant as well, until the deployment is aborted.
    #[serde(default)]
    stands: bool,
    /// How many of the devices it is for, in each of its phases: shares that rise, the last of
    /// them `100%`. At once for all without.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 16,
        example = json!(["1%", "10%", "100%"]))]
    phases: Option<Phases>,
    /// How many devices of a phase must have ended well before the next begins; `100%` without.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "95%")]
    next_at: Option<Share>,
    /// When devices are offered the release; always without.
    #[serde(default)]
    windows: Option<NewWindows>,
    /// At how many failures it stops: a number of devices, or a share of those that have come to
    /// an end. Never without.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "5%")]
    stop_at_failures: Option<StopAt>,
}

/// Ranges of local time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWindows {
    /// The zone, by its name in IANA's database, or `UTC`.
    #[schema(max_length = 64, example = "Europe/Stockholm")]
    zone: String,
    /// Each a range, on all days of the week or on some. One that ends before it begins ends on
    /// the next day.
    #[schema(min_items = 1, max_items = 16, example = json!(["mon-fri 22:00-04:00"]))]
    windows: Vec<String>,
}

impl NewDeployment {
    /// The release, whom it is for, and how it goes.
    fn read(self) -> Result<(ReleaseName, Target, Plan), Refusal> {
        let target = match (self.devices, self.site, self.tag) {
            (Some(devices), None, None) => Target::Devices(devices),
            (None, Some(site), None) => Target::Site(site),
            (None, None, Some(tag)) => Target::Tag(Tagged {
                tag,
                stands: self.stands,
            }),
            (_, _, _) => return Err(Refusal::invalid("devices", "devices, a site or a tag")),
        };
        if self.stands && !matches!(target, Target::Tag(_)) {
            return Err(Refusal::invalid("stands", "of a deployment to a tag alone"));
        }
        let windows = self.windows;
        let windows = windows.map(|given| Windows::read(&given.zone, &given.windows));
        let plan = Plan {
            phases: self.phases.unwrap_or_default(),
            next_at: self.next_at.unwrap_or(Share::ALL),
            windows: windows.transpose()?,
            stop_at: self.stop_at_failures,
        };
        Ok((self.release, target, plan))
    }
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
/// Devices that are away get it when they come. In phases, which device is of which is by chance,
/// and stays; a device that gets the tag later is of the last.
#[utoipa::path(post, path = "/api/deployments", tag = "releases", request_body = NewDeployment,
    responses((status = 201, description = "The deployment", body = view::Deployment)))]
async fn deploy(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewDeployment>,
) -> Result<Created<view::Deployment>, Problem> {
    let (release, target, plan) = new.read()?;
    let deployments = &api.state.core.deployments;
    let actor = caller.actor()?;
    let made = deployments.create(&actor, release, target, plan).await?;
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

/// Pause a deployment
///
/// Nobody is offered anything by it until it is resumed. Devices that are at it go on.
#[utoipa::path(post, path = "/api/deployments/{deployment}/pause", tag = "releases",
    params(OfDeployment),
    responses((status = 200, description = "It as it is now", body = view::Deployment)))]
async fn pause_deployment(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
) -> Result<Json<view::Deployment>, Problem> {
    let deployments = &api.state.core.deployments;
    let now = deployments.pause(&caller.actor()?, &deployment).await?;
    Ok(Json(now.into()))
}

/// Resume a deployment
///
/// One that was paused or has stopped goes on; failures are counted anew from here.
#[utoipa::path(post, path = "/api/deployments/{deployment}/resume", tag = "releases",
    params(OfDeployment),
    responses((status = 200, description = "It as it is now", body = view::Deployment)))]
async fn resume_deployment(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
) -> Result<Json<view::Deployment>, Problem> {
    let deployments = &api.state.core.deployments;
    let now = deployments.resume(&caller.actor()?, &deployment).await?;
    Ok(Json(now.into()))
}

/// Begin the next phase of a deployment
///
/// Whatever has become of the one before.
#[utoipa::path(post, path = "/api/deployments/{deployment}/advance", tag = "releases",
    params(OfDeployment),
    responses((status = 200, description = "It as it is now", body = view::Deployment)))]
async fn advance_deployment(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDeployment { deployment }): Named<OfDeployment>,
) -> Result<Json<view::Deployment>, Problem> {
    let deployments = &api.state.core.deployments;
    let now = deployments.advance(&caller.actor()?, &deployment).await?;
    Ok(Json(now.into()))
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
