//! Files that the device should hold, as a hub has them; from the folder, a neighbour or the hub.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::is_known;
use super::view::Octets;
use crate::assets::{AssetError, Assets, Digest};
use crate::chain::chain;
use crate::device::Device;
use crate::files::outgoing;
use crate::local::extract::Named;
use crate::local::problem::Problem;

/// When to come again while the hub is away.
const AGAIN_AFTER: u64 = 30;

pub(super) fn described() -> OpenApiRouter<Device> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(fetch))
}

/// Read what to hold
///
/// Each file's name, digest, size, type and address, as the hub says it; without a hub, as it last did.
#[utoipa::path(get, path = "/assets", tag = "assets",
    params(("if-none-match" = Option<String>, Header,
        description = "The entity tag of the answer before")),
    responses((status = 200, description = "What the device should hold", body = Object,
            headers(("etag" = String, description = "Changes whenever any of it does"))),
        (status = 304, description = "It is as `If-None-Match` names it")))]
async fn list(State(device): State<Device>, headers: HeaderMap) -> Result<Response, Problem> {
    let list = of_device(&device)?.list().await?;
    let digest = Digest(
        digest(&SHA256, &list)
            .as_ref()
            .try_into()
            .unwrap_or_default(),
    );
    let tag = format!("\"{digest}\"");
    let mut response = if is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], list).into_response()
    };
    describe(response.headers_mut(), &tag, "private, no-cache");
    Ok(response)
}

/// Fetch a file to hold
///
/// It is kept, and fetched once a site: from a neighbour that has it, or by the one that fetches it
/// for all. What an address leads to never changes.
#[utoipa::path(get, path = "/assets/{digest}/{*name}", tag = "assets",
    params(("digest" = String, Path, pattern = "^[0-9a-f]{64}$", description = "As the list names it"),
        ("name" = String, Path, description = "Its name: steps with slashes between them"),
        ("if-none-match" = Option<String>, Header, description = "The entity tag of what is held")),
    responses((status = 200, description = "The whole", content_type = "*/*", body = inline(Octets),
            headers(("etag" = String, description = "The digest"))),
        (status = 304, description = "It is held already")))]
async fn fetch(
    State(device): State<Device>,
    Named((digest, name)): Named<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let assets = of_device(&device)?;
    let digest: Digest = digest.parse()?;
    let tag = format!("\"{digest}\"");
    if is_known(&headers, &tag) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let file = assets.file(digest, &name).await?;
    let (size, body) = outgoing(file).map_err(|error| AssetError::Disk(Arc::new(error)))?;
    let mut response = Response::new(Body::new(body));
    let kind = HeaderValue::try_from(assets.content_type(digest));
    let fields = response.headers_mut();
    fields.insert(CONTENT_LENGTH, size.into());
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    if let Ok(kind) = kind {
        fields.insert(CONTENT_TYPE, kind);
    }
    describe(fields, &tag, "private, max-age=31536000, immutable");
    Ok(response)
}

fn describe(fields: &mut HeaderMap, tag: &str, kept: &'static str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        fields.insert(ETAG, tag);
    }
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
}

fn of_device(device: &Device) -> Result<&Assets, Problem> {
    let none = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "this device holds no files of the hub",
        )
    };
    device.assets.as_ref().ok_or_else(none)
}

impl From<AssetError> for Problem {
    fn from(error: AssetError) -> Self {
        let detail = chain(&error);
        match error {
            AssetError::Unknown => Self::new(StatusCode::NOT_FOUND, detail),
            AssetError::Unreached(_) => {
                Self::later(StatusCode::SERVICE_UNAVAILABLE, detail, AGAIN_AFTER)
            }
            AssetError::Busy => Self::later(StatusCode::TOO_MANY_REQUESTS, detail, AGAIN_AFTER),
            AssetError::Other => Self::later(StatusCode::BAD_GATEWAY, detail, AGAIN_AFTER),
            AssetError::TooLarge | AssetError::NoRoom | AssetError::Disk(_) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, detail)
            }
        }
    }
}
