//! Assets over HTTP, for the devices that should hold them.
//!
//! `GET /assets` tells a device what it should hold, and changes its entity tag whenever that does.
//! `GET /assets/DIGEST/NAME` is one of them as a file: what an address leads to never changes, so it
//! may be kept for ever, fetched in ranges, and fetched on after a break.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Named, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use outgate_core::assets::{Asset, Assets};
use outgate_core::{Core, Refusal};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use tower_http::services::ServeFile;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{Caller, authenticate};
use crate::api::{ApiProblem, quoted};

/// What sessions of this dialect are called.
const VIA: &str = "assets";

/// For how long what an address leads to may be kept: a year, the longest that caches heed, and
/// `immutable` (RFC 8246). Not by caches that others use.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// What is told anew each time, though it may be the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// What a device should hold.
#[derive(Serialize, ToSchema)]
struct Manifest<'a> {
    /// Each asset.
    assets: Vec<Held<'a>>,
}

/// One asset of those.
#[derive(Serialize, ToSchema)]
struct Held<'a> {
    /// Its name: steps with slashes between them.
    #[schema(example = "images/logo.png")]
    name: &'a str,
    /// The digest of its content, in hexadecimal.
    sha256: String,
    /// How many bytes it has.
    size: u64,
    /// A media type.
    #[schema(example = "image/png")]
    content_type: &'a str,
    /// Where it is to be had, on this hub.
    url: String,
}

/// What is in an asset: bytes of any kind.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Content(());

/// The routes.
pub(crate) fn router(core: &Core) -> axum::Router {
    routes()
        .route_layer(middleware::from_fn_with_state(
            (core.clone(), VIA),
            authenticate,
        ))
        .with_state(Arc::new(core.assets.clone()))
        .into()
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<Arc<Assets>> {
    OpenApiRouter::new()
        .routes(routes!(manifest))
        .routes(routes!(fetch))
}

/// Ask what to hold
#[utoipa::path(get, path = "/assets", tag = "assets", operation_id = "list_assets", params(
    ("if-none-match" = Option<String>, Header, description = "The entity tag of the answer before")),
    responses(
        (status = 200, description = "What the device should hold", body = Manifest,
            headers(("etag" = String, description = "Changes whenever any of it does"))),
        (status = 304, description = "It is as `If-None-Match` names it")))]
async fn manifest(
    State(assets): State<Arc<Assets>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let assets = assets.of_device(caller.session()).await?;
    let manifest = Manifest {
        assets: assets.iter().map(Held::of).collect(),
    };
    let text = serde_json::to_vec(&manifest);
    let text = text.map_err(|_| Refusal::Internal("a manifest of assets cannot be written"))?;
    let digest = digest(&SHA256, &text);
    let tag: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = tag_of(&tag)?;
    let mut response = if is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], text).into_response()
    };
    let out = response.headers_mut();
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, ASK_AGAIN);
    Ok(response)
}

/// Fetch an asset
///
/// What an address leads to never changes, so it may be kept for ever and fetched on after a break.
#[utoipa::path(get, path = "/assets/{digest}/{*name}", tag = "assets", operation_id = "fetch_asset",
    params(
        ("digest" = String, Path, pattern = "^[0-9a-f]{64}$", description = "As the list names it"),
        ("name" = String, Path, min_length = 1, max_length = 256, example = "images/logo.png",
            description = "Its name: steps with slashes between them, as they are or `%2F`"),
        ("if-none-match" = Option<String>, Header, description = "The entity tag of what is held"),
        ("range" = Option<String>, Header, example = "bytes=1024-",
            description = "Which bytes (RFC 9110, section 14.2)")),
    responses(
        (status = 200, description = "The whole", content_type = "*/*", body = inline(Content),
            headers(("etag" = String, description = "The digest"))),
        (status = 206, description = "The bytes of `Range`", content_type = "*/*",
            body = inline(Content)),
        (status = 304, description = "It is held already"),
        (status = 416, description = "There are no such bytes")))]
async fn fetch(
    State(assets): State<Arc<Assets>>,
    caller: Caller,
    Named((digest, name)): Named<(String, String)>,
    mut request: Request,
) -> Result<Response, ApiProblem> {
    let wanted = digest.parse().ok().zip(name.parse().ok());
    let (digest, name) = wanted.ok_or_else(|| Refusal::not_found("asset", &name))?;
    let (asset, path) = assets.fetch(caller.session(), &name, &digest).await?;
    let tag = tag_of(&digest.to_string())?;
    if is_known(request.headers(), &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        describe(response.headers_mut(), &asset, tag);
        return Ok(response);
    }
    only_ours(request.headers_mut(), &tag);
    let mut response = file(&path, request).await?;
    if response.status().is_success() {
        describe(response.headers_mut(), &asset, tag);
    }
    Ok(response)
}

/// The file, or the range of it that is asked for.
async fn file(path: &Path, request: Request) -> Result<Response, ApiProblem> {
    let served = ServeFile::new(path).try_call(request).await;
    let served = served.map_err(|error| {
        tracing::error!(%error, "an asset cannot be read");
        Refusal::Internal("an asset cannot be read")
    })?;
    if served.status() == StatusCode::NOT_FOUND {
        tracing::error!(path = %path.display(), "an asset's file is gone");
        return Err(Refusal::Internal("an asset's file is gone").into());
    }
    Ok(served.map(Body::new))
}

/// Takes conditions off the request that the file knows nothing of. A range is of what the asker
/// has already (RFC 9110, section 13.1.5): of anything else they get the whole.
fn only_ours(headers: &mut HeaderMap, tag: &HeaderValue) {
    if headers.get(IF_RANGE).is_some_and(|theirs| theirs != tag) {
        headers.remove(RANGE);
    }
    for name in [IF_MATCH, IF_RANGE, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE] {
        headers.remove(name);
    }
}

fn describe(headers: &mut HeaderMap, asset: &Asset, tag: HeaderValue) {
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, FOR_EVER);
    // When the file came here says nothing about when its content was made.
    headers.remove(LAST_MODIFIED);
    if let Ok(content_type) = HeaderValue::from_str(&asset.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    // Whatever an asset is, it is no page of the hub's.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
}

/// A strong entity tag (RFC 9110, section 8.8.3).
pub(super) fn tag_of(digest: &str) -> Result<HeaderValue, Refusal> {
    let tag = HeaderValue::try_from(format!("\"{digest}\""));
    tag.map_err(|_| Refusal::Internal("a digest is no header"))
}

/// Whether `If-None-Match` (RFC 9110, section 13.1.2) says that the asker has this.
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let theirs = headers.get_all(IF_NONE_MATCH).iter();
    let mut theirs = theirs.filter_map(|value| value.to_str().ok());
    theirs.any(|list| {
        let mut tags = list.split(',').map(str::trim);
        tags.any(|one| one == "*" || one.trim_start_matches("W/").as_bytes() == tag.as_bytes())
    })
}

impl<'a> Held<'a> {
    fn of(asset: &'a Asset) -> Self {
        let digest = asset.digest.to_string();
        let steps = asset.name.as_str().split('/').map(quoted);
        let path = steps.collect::<Vec<_>>().join("/");
        Self {
            name: asset.name.as_str(),
            url: format!("/assets/{digest}/{path}"),
            sha256: digest,
            size: asset.size,
            content_type: &asset.content_type,
        }
    }
}
