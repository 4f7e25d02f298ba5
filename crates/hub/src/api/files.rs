//! `/api/devices/{device}/files`, and the grants for them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::commands::{Command, NewCommand};
use outgate_core::contents::Hashes;
use outgate_core::files::{Described, FileName, Issued, NewGrant, Place, Sending, Verb};
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_door::Facts;

use crate::api::assets::{content_type, uploading};
use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfDevice, OfGrant};
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::{Kind, Problem};
use crate::api::{Api, view};
use crate::dialects::blob;

/// For how many seconds a grant holds when nothing is asked: 30 days.
const LASTS: u64 = 30 * 24 * 60 * 60;

/// What tells a device to fetch a file, and to send one.
const DOWNLOAD: &str = "file.download";
const UPLOAD: &str = "file.upload";

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_files))
        .routes(routes!(get_file, put_file, remove_file))
        .routes(routes!(list_grants, grant_file))
        .routes(routes!(revoke_grant))
}

/// A file of a device.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct OfFile {
    /// The device.
    #[param(
        value_type = String,
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$",
        example = "terminal-7"
    )]
    device: DeviceId,
    /// The file: steps with slashes between them, which are written `%2F` here.
    #[param(value_type = String, min_length = 1, max_length = 256, example = "staff.csv")]
    file: FileName,
}

/// What is in a file: bytes of any kind.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Content(());

/// A grant as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFileGrant {
    /// For which file: steps with slashes between them.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "staff.csv")]
    name: FileName,
    /// What it lets do.
    verb: view::Verb,
    /// For how many seconds; 30 days when absent, which is also the most.
    #[schema(example = 86400)]
    lasts: Option<u64>,
    /// Whether the device is told, by the command `file.download` or `file.upload`. Then the
    /// address is told to nobody else. Not for `delete`.
    #[serde(default)]
    deliver: bool,
}

/// List a device's files
#[utoipa::path(get, path = "/api/devices/{device}/files", tag = "files",
    params(OfDevice, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::File>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_files(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfDevice { device }): Named<OfDevice>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::File>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let files = &api.state.core.files;
    let listed = files.list(&caller.actor()?, &device, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Get a file
///
/// For operators: a file may hold what viewers are not to see.
#[utoipa::path(get, path = "/api/devices/{device}/files/{file}", tag = "files", params(OfFile),
    responses((status = 200, description = "What is in it", content_type = "*/*",
        body = inline(Content),
        headers(("etag" = String, description = "Its SHA-256 in hexadecimal")))))]
async fn get_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(of): Named<OfFile>,
) -> Result<Response, Problem> {
    let (files, place) = (&api.state.core.files, of.place());
    let access = files.reach(&caller.actor()?, place, Verb::Read).await?;
    let file = files.find(&access).await?;
    let sending = files.read(&access, &file, 0..file.size).await?;
    let mut response = Response::new(Body::from_stream(parts_of(sending)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, file.size.into());
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", file.digest)) {
        headers.insert(ETAG, tag);
    }
    if let Ok(content_type) = HeaderValue::try_from(file.content_type) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    // Whatever it is, it is no page of the hub's.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(response)
}

/// The bytes of a file, broken off when whoever asked may have them no longer.
fn parts_of(sending: Sending) -> impl futures_util::Stream<Item = Result<Bytes, Refusal>> {
    stream::unfold(Some(sending), |sending| async {
        let mut sending = sending?;
        match sending.next().await {
            Ok(bytes) => Some((Ok(bytes?), Some(sending))),
            Err(refusal) => Some((Err(refusal), None)),
        }
    })
}

/// Put a file into a device's drop folder
///
/// The body is what is in it; its type, that of the file. It takes the place of what was there, as
/// a whole. The device learns of it by a grant.
#[utoipa::path(put, path = "/api/devices/{device}/files/{file}", tag = "files", params(OfFile),
    request_body(content = inline(Content), content_type = "application/octet-stream"),
    responses((status = 200, description = "The file as it is now", body = view::File)))]
async fn put_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(of): Named<OfFile>,
    request: Request,
) -> Result<Json<view::File>, Problem> {
    let (files, place) = (&api.state.core.files, of.place());
    let described = Described {
        content_type: content_type(request.headers())?,
        ..Described::nothing()
    };
    let access = files.reach(&caller.actor()?, place, Verb::Write).await?;
    let _uploading = uploading(&api, &caller)?;
    let mut coming = files.begin(&access, Hashes::Sha256).await?;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Malformed, "the body broke off"))?;
        if let Ok(bytes) = frame.into_data() {
            access.check()?;
            coming = coming.take(bytes).await?;
        }
    }
    let file = files
        .put(&access, coming.finish().await?, described)
        .await?;
    Ok(Json(file.into()))
}

/// Remove a file
///
/// A device that is fetching it gets all of it.
#[utoipa::path(delete, path = "/api/devices/{device}/files/{file}", tag = "files",
    params(OfFile), responses((status = 204, description = "It is removed")))]
async fn remove_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfFile { device, file }): Named<OfFile>,
) -> Result<StatusCode, Problem> {
    let files = &api.state.core.files;
    files.remove(&caller.actor()?, &device, &file).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the grants for a device's files
///
/// The newest first; those that have ended for 7 days.
#[utoipa::path(get, path = "/api/devices/{device}/grants", tag = "files",
    params(OfDevice, Paging),
    responses((status = 200, description = "A part of the list", body = List<view::Grant>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_grants(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Named(OfDevice { device }): Named<OfDevice>,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::Grant>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let files = &api.state.core.files;
    let listed = files.grants(&caller.actor()?, &device, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Grant the use of a file
///
/// For one file and one verb, for 30 days at the most. Whoever has the address may do that; it is
/// what clients of Azure's Blob storage take. It names the hub as this request does.
#[utoipa::path(post, path = "/api/devices/{device}/grants", tag = "files",
    params(OfDevice), request_body = NewFileGrant,
    responses((status = 201, description = "It is given", body = view::GrantIssued,
        headers(("location" = String, description = "The path of all grants")))))]
async fn grant_file(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Extension(facts): Extension<Facts>,
    uri: Uri,
    headers: HeaderMap,
    Named(OfDevice { device }): Named<OfDevice>,
    Given(new): Given<NewFileGrant>,
) -> Result<Created<view::GrantIssued>, Problem> {
    let (core, actor) = (&api.state.core, caller.actor()?);
    let lasts = Duration::from_secs(new.lasts.unwrap_or(LASTS));
    let verb = Verb::from(new.verb);
    let place = Place {
        device: device.clone(),
        name: new.name,
    };
    let (tells, file) = match (verb, new.deliver) {
        // What is not there cannot be fetched; so who tells the device is told.
        (Verb::Read, true) => (Some(DOWNLOAD), Some(core.files.look(&actor, &place).await?)),
        (Verb::Write, true) => (Some(UPLOAD), None),
        (Verb::Delete, true) => {
            let why = "`false` for `delete`: devices are told to fetch and to send only";
            return Err(Refusal::invalid("deliver", why).into());
        }
        (Verb::Read | Verb::Write | Verb::Delete, false) => (None, None),
    };
    let grant = NewGrant { place, verb, lasts };
    let issued = core.files.grant(&actor, grant).await?;
    let path = blob::address(&issued);
    let scheme = if facts.tls.is_some() { "https" } else { "http" };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(http::uri::Authority::as_str).or(host);
    let url = format!("{scheme}://{}{path}", host.unwrap_or_default());
    let mut commanded = None;
    let mut told = Some(url.clone());
    if let Some(name) = tells {
        let mut body = json!({
            "grant": issued.grant.id,
            "name": issued.grant.name,
            "url": url,
            "path": path,
            "expires": issued.grant.ends,
        });
        if let (Some(file), Some(members)) = (&file, body.as_object_mut()) {
            members.insert("size".into(), file.size.into());
            members.insert("sha256".into(), file.digest.to_string().into());
            members.insert("content_type".into(), file.content_type.clone().into());
        }
        let command = told_by(name, body.to_string().into(), lasts);
        let sent = deliver(&api, &actor, &issued, command).await?;
        commanded = Some(sent.id.into());
        told = None;
    }
    Ok(Created {
        location: format!("/api/devices/{device}/grants"),
        version: None,
        body: view::GrantIssued {
            grant: issued.grant.into(),
            url: told,
            command: commanded,
        },
    })
}

/// What tells a device of a grant.
fn told_by(name: &str, payload: Bytes, lasts: Duration) -> NewCommand {
    NewCommand {
        name: name.to_owned(),
        content_type: "application/json".to_owned(),
        properties: [].into(),
        payload,
        lasts,
    }
}

/// Tells the device of a grant. One that it cannot be told of is taken back.
async fn deliver(
    api: &Api,
    actor: &Actor,
    issued: &Issued,
    command: NewCommand,
) -> Result<Command, Problem> {
    let (core, device) = (&api.state.core, &issued.grant.device);
    match core.commands.send_sealed(actor, device, command).await {
        Ok(command) => Ok(command),
        Err(refusal) => {
            let grant = &issued.grant.id;
            core.files.revoke_grant(actor, device, grant).await?;
            Err(refusal.into())
        }
    }
}

/// Revoke a grant
///
/// Whatever is being sent or fetched by it is broken off before this answers.
#[utoipa::path(post, path = "/api/devices/{device}/grants/{grant}/revoke", tag = "files",
    params(OfGrant),
    responses((status = 200, description = "It is revoked", body = view::Revocation)))]
async fn revoke_grant(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfGrant { device, grant }): Named<OfGrant>,
) -> Result<Json<view::Revocation>, Problem> {
    let files = &api.state.core.files;
    let revoked = files
        .revoke_grant(&caller.actor()?, &device, &grant)
        .await?;
    Ok(Json(revoked.connections.into()))
}

impl OfFile {
    fn place(self) -> Place {
        Place {
            device: self.device,
            name: self.file,
        }
    }
}
