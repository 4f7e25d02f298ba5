//! `/api/assets`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::assets::{AssetName, NewAsset};
use outgate_core::id::SiteId;

use crate::api::bounds::{MAX_UPLOADS_EACH, Place};
use crate::api::caller::Caller;
use crate::api::extract::{Asked, Named};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, view};

/// When to come again when as many are coming as may.
const RETRY: Duration = Duration::from_secs(5);

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_assets))
        .routes(routes!(put_asset, remove_asset))
}

/// An asset.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfAsset {
    /// The asset: steps with slashes between them, which are written `%2F` here.
    #[param(value_type = String, min_length = 1, max_length = 256, example = "images/logo.png")]
    asset: AssetName,
}

/// What is in an asset: bytes of any kind.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Content(());

/// Whose devices an asset is for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Those of this site; those of all sites when absent.
    #[param(required = false, value_type = crate::api::names::Name)]
    site: Option<SiteId>,
}

/// List assets
#[utoipa::path(get, path = "/api/assets", tag = "assets", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Asset>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_assets(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Asset>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let listed = api.state.core.assets.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Make or change an asset
///
/// The body is what is in it, of 1 byte to 256 MiB; its type, that of the asset. Of two of the same
/// name a device holds the one of its site.
#[utoipa::path(put, path = "/api/assets/{asset}", tag = "assets", params(OfAsset, Whose),
    request_body(content = inline(Content), content_type = "application/octet-stream"),
    responses((status = 200, description = "The asset as it is now", body = view::Asset)))]
async fn put_asset(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfAsset { asset }): Named<OfAsset>,
    Asked(Whose { site }): Asked<Whose>,
    request: Request,
) -> Result<Json<view::Asset>, Problem> {
    let actor = caller.actor()?;
    let new = NewAsset {
        name: asset,
        site,
        content_type: content_type(request.headers())?,
    };
    let assets = &api.state.core.assets;
    let mut incoming = assets.begin(&actor, &new).await?;
    let _uploading = uploading(&api, &caller)?;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Malformed, "the body broke off"))?;
        if let Ok(bytes) = frame.into_data() {
            incoming = incoming.take(bytes).await?;
        }
    }
    let made = assets.put(&actor, new, incoming.finish().await?).await?;
    Ok(Json(made.into()))
}

/// Remove an asset
///
/// Devices that hold it find it gone from their list.
#[utoipa::path(delete, path = "/api/assets/{asset}", tag = "assets", params(OfAsset, Whose),
    responses((status = 204, description = "It is removed")))]
async fn remove_asset(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfAsset { asset }): Named<OfAsset>,
    Asked(Whose { site }): Asked<Whose>,
) -> Result<StatusCode, Problem> {
    let assets = &api.state.core.assets;
    let actor = caller.actor()?;
    assets.remove(&actor, &asset, site.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn content_type(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(String::new());
    };
    let text = given.to_str().map(str::to_owned);
    text.map_err(|_| Problem::new(Kind::Malformed, "Content-Type: printable ASCII"))
}

pub(super) fn uploading(api: &Api, caller: &Caller) -> Result<Place, Problem> {
    let place = api.uploads.take(vec![(caller.name(), MAX_UPLOADS_EACH)]);
    place.ok_or_else(|| Problem::limited("files that are coming at once", RETRY))
}
