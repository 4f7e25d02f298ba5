//! `/api/devices/{device}/twin`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::HeaderMap;
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_core::twin::{Edit, IfVersion, Steering};

use crate::api::caller::Caller;
use crate::api::extract::{IfMatch, MergePatch, Named, Tagged};
use crate::api::names::OfDevice;
use crate::api::problem::Problem;
use crate::api::{Api, follow, view};
use crate::http::Cut;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(get_twin))
        .routes(routes!(get_desired, patch_desired))
        .routes(routes!(get_tags, patch_tags))
}

/// Get or follow a device's twin
///
/// With `Accept: text/event-stream` as server-sent events: `data` is the whole twin, now and after
/// each change; an event `problem` is the last.
#[utoipa::path(get, path = "/api/devices/{device}/twin", tag = "twins", params(OfDevice),
    responses((status = 200, description = "The twin",
        content((view::Twin = "application/json"), (String = "text/event-stream")))))]
async fn get_twin(
    State(api): State<Arc<Api>>,
    caller: Caller,
    cut: Cut,
    headers: HeaderMap,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Response, Problem> {
    let actor = caller.actor()?;
    let twins = &api.state.core.twins;
    if !follow::wants_stream(&headers) {
        let twin = twins.get(&actor, &device).await?;
        return Ok(axum::Json(view::Twin::from(twin)).into_response());
    }
    let open = api.streams.stream(caller.share())?;
    // Whether there is such a device is told with a status rather than within the stream.
    twins.get(&actor, &device).await?;
    let watched = watch(Arc::clone(&api), actor, device);
    Ok(follow::stream_of(
        &api,
        caller,
        cut,
        open,
        Box::pin(watched),
    ))
}

/// Who watches a twin.
struct Watching {
    api: Arc<Api>,
    actor: Actor,
    device: DeviceId,
    changes: tokio::sync::broadcast::Receiver<DeviceId>,
    /// The versions of both halves as they were last told.
    told: Option<(u64, u64)>,
}

fn watch(
    api: Arc<Api>,
    actor: Actor,
    device: DeviceId,
) -> impl Stream<Item = axum::response::sse::Event> + Send + 'static {
    let watching = Watching {
        changes: api.state.core.twins.changes(),
        api,
        actor,
        device,
        told: None,
    };
    stream::unfold(Some(watching), |watching| async {
        let mut watching = watching?;
        match watching.next().await {
            Ok(twin) => Some((follow::message(&twin), Some(watching))),
            Err(refusal) => Some((follow::problem(refusal.into()), None)),
        }
    })
}

impl Watching {
    async fn next(&mut self) -> Result<view::Twin, Refusal> {
        loop {
            if self.told.is_some() {
                self.change().await?;
            }
            let twins = &self.api.state.core.twins;
            let twin = twins.get(&self.actor, &self.device).await?;
            let versions = Some((twin.desired.version, twin.reported.version));
            if versions != self.told {
                self.told = versions;
                return Ok(twin.into());
            }
        }
    }

    /// Waits until the twin may have changed.
    async fn change(&mut self) -> Result<(), Refusal> {
        loop {
            match self.changes.recv().await {
                Ok(device) if device == self.device => return Ok(()),
                Ok(_) => {}
                // Among what was missed there may be ours.
                Err(RecvError::Lagged(_)) => return Ok(()),
                Err(RecvError::Closed) => return Err(Refusal::Draining),
            }
        }
    }
}

/// Get what a device is wanted to be
#[utoipa::path(get, path = "/api/devices/{device}/twin/desired", tag = "twins",
    params(OfDevice),
    responses((status = 200, description = "The desired half", body = view::Half,
        headers(("etag" = String, description = "Its version")))))]
async fn get_desired(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Tagged<view::Half>, Problem> {
    let twins = &api.state.core.twins;
    let twin = twins.get(&caller.actor()?, &device).await?;
    Ok(Tagged::ok(twin.desired.version, twin.desired.into()))
}

/// Change what a device is wanted to be
///
/// Merges the patch into the desired half (RFC 7396) and tells the device.
#[utoipa::path(patch, path = "/api/devices/{device}/twin/desired", tag = "twins",
    params(OfDevice),
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "A merge patch: members to set, and `null` for those to remove",
        example = json!({"volume": 3, "motto": null})),
    responses((status = 200, description = "The desired half as it is now", body = view::Half,
        headers(("etag" = String, description = "Its version")))))]
async fn patch_desired(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    IfMatch(version): IfMatch,
    MergePatch(patch): MergePatch,
) -> Result<Tagged<view::Half>, Problem> {
    let twins = &api.state.core.twins;
    let half = twins
        .desire(&caller.actor()?, &device, patch, version)
        .await
        .map_err(|refusal| Problem::from(refusal).of_conditional())?;
    Ok(Tagged::ok(half.version, half.into()))
}

/// Get the tags of a device
#[utoipa::path(get, path = "/api/devices/{device}/twin/tags", tag = "twins",
    params(OfDevice),
    responses((status = 200, description = "Its tags", body = view::Tags,
        headers(("etag" = String, description = "Their version")))))]
async fn get_tags(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
) -> Result<Tagged<view::Tags>, Problem> {
    let twins = &api.state.core.twins;
    let described = twins.described(&caller.actor()?, &device).await?;
    Ok(Tagged::ok(described.tags.version, described.tags.into()))
}

/// Change the tags of a device
///
/// Merges the patch (RFC 7396). A member that is `true` is the tag of its name, one that is a text
/// or a whole number `NAME=VALUE`; one in another stands behind its name and a dot. The device is
/// not told.
#[utoipa::path(patch, path = "/api/devices/{device}/twin/tags", tag = "twins",
    params(OfDevice),
    request_body(content = Object, content_type = "application/merge-patch+json",
        description = "A merge patch: members to set, and `null` for those to remove",
        example = json!({"canary": true, "ring": "first", "old": null})),
    responses((status = 200, description = "Its tags as they are now", body = view::Tags,
        headers(("etag" = String, description = "Their version")))))]
async fn patch_tags(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    IfMatch(version): IfMatch,
    MergePatch(patch): MergePatch,
) -> Result<Tagged<view::Tags>, Problem> {
    let twins = &api.state.core.twins;
    let steering = Steering {
        tags: Some(Edit::Merge(patch)),
        ..Steering::default()
    };
    let actor = caller.actor()?;
    let described = twins
        .steer(&actor, &device, steering, version.map(IfVersion::Tags))
        .await
        .map_err(|refusal| Problem::from(refusal).of_conditional())?;
    Ok(Tagged::ok(described.tags.version, described.tags.into()))
}
