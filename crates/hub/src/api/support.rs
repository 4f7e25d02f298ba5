//! `/api/support`, and `/api/devices/{device}/support`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Refusal;
use outgate_core::id::DeviceId;
use outgate_core::support::{Chunk, MAX_CHUNK, NewSupport, What};

use crate::api::caller::Caller;
use crate::api::extract::{Asked, Created, Given, Named};
use crate::api::names::{OfDevice, OfSupport};
use crate::api::pages::{List, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

/// For how long a session lasts when nothing is asked.
const LASTS: Duration = Duration::from_secs(30 * 60);

/// What the right of an operator is called that outlives their request.
const VIA: &str = "support";

/// Bytes of a recording that are read at once.
const PIECE: usize = 64 * 1024;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(ask_support))
        .routes(routes!(list_support))
        .routes(routes!(get_support))
        .routes(routes!(end_support))
        .routes(routes!(take_support, send_support))
        .routes(routes!(get_recording))
}

/// What is asked for: a service or a shell.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSupportSession {
    /// Why, for the one who allows it.
    #[schema(
        min_length = 1,
        max_length = 500,
        example = "the till is slow since noon"
    )]
    reason: String,
    /// A service, as the device's configuration names it.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "pos")]
    service: Option<String>,
    /// In place of a service a shell, on a terminal of this size.
    shell: Option<Screen>,
    /// For how many seconds, 60 to 28800; half an hour when absent.
    #[schema(example = 1800)]
    lasts: Option<u64>,
}

/// The size of a terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Screen {
    /// How wide.
    #[schema(minimum = 1, maximum = 1000, example = 80)]
    columns: u16,
    /// How high.
    #[schema(minimum = 1, maximum = 1000, example = 24)]
    rows: u16,
}

/// Ask for a session of remote support
///
/// The device is asked, which must be connected. It is allowed at the device, or by the device's own
/// policy; until then, and for as long as it lasts, it is bound to the token by which it was asked.
/// What goes over it is recorded.
#[utoipa::path(post, path = "/api/devices/{device}/support", tag = "support",
    params(OfDevice), request_body = NewSupportSession,
    responses((status = 201, description = "It is asked for", body = view::SupportSession,
        headers(("location" = String, description = "The path of the session")))))]
async fn ask_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfDevice { device }): Named<OfDevice>,
    Given(new): Given<NewSupportSession>,
) -> Result<Created<view::SupportSession>, Problem> {
    let core = &api.state.core;
    let actor = caller.actor()?;
    let what = match (new.service, new.shell) {
        (Some(service), None) => What::Service(service),
        (None, Some(Screen { columns, rows })) => What::Shell { columns, rows },
        (None, None) | (Some(_), Some(_)) => {
            return Err(Refusal::invalid("service", "this, or shell").into());
        }
    };
    let new = NewSupport {
        reason: new.reason,
        what,
        lasts: new.lasts.map_or(LASTS, Duration::from_secs),
    };
    let credential = &caller.session().presence().credential;
    let pass = core.stand_in(credential, VIA).await?;
    let session = core.support.ask(&actor, pass, &device, new).await?;
    Ok(Created {
        location: format!("/api/support/{}", session.id),
        version: None,
        body: session.into(),
    })
}

/// Which sessions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfWhich {
    /// Those with this device only.
    #[param(value_type = Option<String>, required = false, min_length = 1, max_length = 128,
        pattern = "^[A-Za-z0-9][-A-Za-z0-9._:@=~]*$")]
    device: Option<DeviceId>,
    /// What `next` was of the part before.
    #[param(required = false, min_length = 1, max_length = 512)]
    after: Option<String>,
    /// The most items of the part.
    #[param(required = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// List sessions of remote support
///
/// The newest first, for 90 days.
#[utoipa::path(get, path = "/api/support", tag = "support", params(OfWhich),
    responses((status = 200, description = "A part of the list", body = List<view::SupportSession>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(which): Asked<OfWhich>,
) -> Result<Part<view::SupportSession>, Problem> {
    let page = page(which.after, which.limit)?;
    let support = &api.state.core.support;
    let listed = support.list(&caller.actor()?, which.device, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Whether to wait.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Unchanged {
    /// Answer once it is no longer in this state, or within half a minute.
    #[param(inline, required = false)]
    from: Option<view::SupportState>,
}

/// Read a session of remote support
#[utoipa::path(get, path = "/api/support/{session}", tag = "support",
    params(OfSupport, Unchanged),
    responses((status = 200, description = "The session", body = view::SupportSession)))]
async fn get_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSupport { session }): Named<OfSupport>,
    Asked(unchanged): Asked<Unchanged>,
) -> Result<Json<view::SupportSession>, Problem> {
    let (support, actor) = (&api.state.core.support, caller.actor()?);
    let found = match unchanged.from {
        None => support.get(&actor, &session).await?,
        Some(from) => {
            let _waiting = api.streams.stream(caller.share())?;
            support.changed(&actor, &session, from.into()).await?
        }
    };
    Ok(Json(found.into()))
}

/// End a session of remote support
///
/// At once, for both sides. Any operator may who sees the device.
#[utoipa::path(post, path = "/api/support/{session}/end", tag = "support", params(OfSupport),
    responses((status = 200, description = "The session as it is now",
        body = view::SupportSession)))]
async fn end_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSupport { session }): Named<OfSupport>,
) -> Result<Json<view::SupportSession>, Problem> {
    let (support, actor) = (&api.state.core.support, caller.actor()?);
    let ended = support
        .end(&actor, &session, "ended by an operator")
        .await?;
    Ok(Json(ended.into()))
}

/// From where on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// How many bytes have been taken before. They are forgotten.
    #[param(required = false, minimum = 0, default = 0)]
    after: Option<u64>,
}

/// Take what has come from the device
///
/// For the operator who has asked for the session, once it is open or before. Answers when there is
/// something, or within half a minute.
#[utoipa::path(get, path = "/api/support/{session}/stream", tag = "support",
    params(OfSupport, Behind),
    responses((status = 200, description = "What comes next", body = view::SupportTaken)))]
async fn take_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSupport { session }): Named<OfSupport>,
    Asked(Behind { after }): Asked<Behind>,
) -> Result<Json<view::SupportTaken>, Problem> {
    let _waiting = api.streams.stream(caller.share())?;
    let (support, actor) = (&api.state.core.support, caller.actor()?);
    let taken = support.operator_takes(&actor, &session, after.unwrap_or_default());
    Ok(Json(taken.await?.into()))
}

/// What is to go to the device.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SupportChunk {
    /// How many bytes were sent before: what is sent again counts once.
    #[schema(minimum = 0)]
    at: u64,
    /// At most 32 KiB, in base 64 with padding.
    #[schema(content_encoding = "base64", max_length = 43692)]
    bytes_base64: String,
    /// Whether nothing follows.
    #[serde(default)]
    last: bool,
}

/// Send to the device
///
/// For the operator who has asked for the session. It is recorded when this answers; that takes as
/// long as the device needs to make room.
#[utoipa::path(post, path = "/api/support/{session}/stream", tag = "support", params(OfSupport),
    request_body = SupportChunk,
    responses((status = 200, description = "Whether it goes on", body = view::SupportFlow)))]
async fn send_support(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSupport { session }): Named<OfSupport>,
    Given(chunk): Given<SupportChunk>,
) -> Result<Json<view::SupportFlow>, Problem> {
    let bytes = STANDARD.decode(&chunk.bytes_base64);
    let bytes = bytes.ok().filter(|bytes| bytes.len() <= MAX_CHUNK);
    let right = || Refusal::invalid("bytes_base64", "base 64 of at most 32 KiB");
    let sent = Chunk {
        at: chunk.at,
        bytes: bytes.ok_or_else(right)?,
        last: chunk.last,
    };
    let (support, actor) = (&api.state.core.support, caller.actor()?);
    let flow = support.operator_sends(&actor, &session, sent).await?;
    Ok(Json(flow.into()))
}

/// What is in a recording: lines of JSON.
#[derive(ToSchema)]
#[schema(value_type = String)]
struct Recording(());

/// Read a recording
///
/// Lines of JSON. The first says whose it is; each other one is an array of the seconds since the
/// beginning, `i` for what the operator sent or `o` for what the device did, and the bytes in base
/// 64. For operators, and noted in the audit log. That of a session that goes on ends where it is.
#[utoipa::path(get, path = "/api/support/{session}/recording", tag = "support",
    params(OfSupport),
    responses((status = 200, description = "The recording", body = inline(Recording),
        content_type = "application/jsonl")))]
async fn get_recording(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSupport { session }): Named<OfSupport>,
) -> Result<Response, Problem> {
    let support = &api.state.core.support;
    let path = support.recording(&caller.actor()?, &session).await?;
    let unread = |_| Refusal::Internal("a recording cannot be read");
    let file = File::open(path).await.map_err(unread)?;
    let pass = caller.session().pass();
    let parts = stream::unfold(Some((file, pass)), |reading| async {
        let (mut file, pass) = reading?;
        let mut piece = vec![0; PIECE];
        let read = match pass.check() {
            Ok(()) => file.read(&mut piece).await,
            Err(refusal) => Err(std::io::Error::other(refusal)),
        };
        match read {
            Ok(0) => None,
            Ok(size) => {
                piece.truncate(size);
                Some((Ok(Bytes::from(piece)), Some((file, pass))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Response::new(Body::from_stream(parts));
    let kind = HeaderValue::from_static("application/jsonl");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}
