//! `/api/releases` and `/api/release-keys`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::{StatusCode, Uri};
use outgate_mender::VerifyingKey;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;

use crate::api::assets::uploading;
use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfRelease, OfReleaseKey};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

mod intake;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_releases, add_release))
        .routes(routes!(retire_release))
        .routes(routes!(list_release_keys, add_release_key))
        .routes(routes!(revoke_release_key))
}

/// An artifact: bytes as `mender-artifact` writes them.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Artifact(());

/// A key by which releases are signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReleaseKey {
    /// What people call it.
    #[schema(min_length = 1, max_length = 128, example = "build server, 2026")]
    label: String,
    /// Its public half in PEM (`-----BEGIN PUBLIC KEY-----`): RSA, ECDSA over P-256 or Ed25519.
    #[schema(max_length = 16384)]
    key: String,
}

/// List releases
#[utoipa::path(get, path = "/api/releases", tag = "releases", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Release>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_releases(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Release>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let releases = &api.state.core.releases;
    let listed = releases.list(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Add a release
///
/// The body is a Mender artifact of version 3, up to 8 GiB. It is judged while it comes: the order
/// of its parts, the digest of each, and who signed it, which must be a key of the list. Its name
/// is the release's, and is not used again.
#[utoipa::path(post, path = "/api/releases", tag = "releases",
    request_body(content = inline(Artifact), content_type = "application/octet-stream"),
    responses((status = 201, description = "The release", body = view::Release)))]
async fn add_release(
    State(api): State<Arc<Api>>,
    caller: Caller,
    request: Request,
) -> Result<Created<view::Release>, Problem> {
    let (actor, releases) = (caller.actor()?, &api.state.core.releases);
    let incoming = releases.begin(&actor).await?;
    let _uploading = uploading(&api, &caller)?;
    let (content, artifact) = intake::take(request.into_body(), incoming).await?;
    let new = intake::judged(artifact, &releases.trusted().await?)?;
    let added = releases.add(&actor, new, content).await?;
    Ok(Created {
        location: format!("/api/releases/{}", added.name),
        version: None,
        body: added.into(),
    })
}

/// Retire a release
///
/// No device gets it any more, and its deployments end. Its name is not used again.
#[utoipa::path(post, path = "/api/releases/{release}/retire", tag = "releases",
    params(OfRelease),
    responses((status = 200, description = "The release as it is now", body = view::Release)))]
async fn retire_release(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfRelease { release }): Named<OfRelease>,
) -> Result<Json<view::Release>, Problem> {
    let releases = &api.state.core.releases;
    let retired = releases.retire(&caller.actor()?, &release).await?;
    Ok(Json(retired.into()))
}

/// List release keys
#[utoipa::path(get, path = "/api/release-keys", tag = "releases", params(Paging),
    responses((status = 200, description = "A part of the list", body = List<view::ReleaseKey>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_release_keys(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::ReleaseKey>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let releases = &api.state.core.releases;
    let listed = releases.keys(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Trust a release key
///
/// Releases that it has signed may be added from then on.
#[utoipa::path(post, path = "/api/release-keys", tag = "releases", request_body = NewReleaseKey,
    responses((status = 201, description = "The key", body = view::ReleaseKey)))]
async fn add_release_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Given(new): Given<NewReleaseKey>,
) -> Result<(StatusCode, Json<view::ReleaseKey>), Problem> {
    let key = VerifyingKey::from_pem(&new.key);
    let key = key.map_err(|error| Refusal::invalid("key", error.to_string()))?;
    let print = intake::hexadecimal(key.thumbprint());
    let releases = &api.state.core.releases;
    let actor = caller.actor()?;
    let added = releases.add_key(&actor, new.label, new.key, print).await?;
    Ok((StatusCode::CREATED, Json(added.into())))
}

/// Trust a release key no more
///
/// What it has signed is retired with it.
#[utoipa::path(post, path = "/api/release-keys/{release_key}/revoke", tag = "releases",
    params(OfReleaseKey),
    responses((status = 200, description = "The key as it is now", body = view::ReleaseKey)))]
async fn revoke_release_key(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfReleaseKey { release_key }): Named<OfReleaseKey>,
) -> Result<Json<view::ReleaseKey>, Problem> {
    let releases = &api.state.core.releases;
    let revoked = releases.revoke_key(&caller.actor()?, &release_key).await?;
    Ok(Json(revoked.into()))
}
