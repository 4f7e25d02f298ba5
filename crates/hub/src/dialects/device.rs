//! Devices over plain HTTP, for those that keep no connection: their twin, their events and their
//! commands.
//!
//! A poll waits for news and ends as soon as there are some. It is no lasting connection: what it
//! was told of is told again until the device has settled it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use http::{HeaderMap, StatusCode};
use outgate_core::commands::Settlement;
use outgate_core::events::NewEvent;
use outgate_core::id::CommandId;
use outgate_core::limits::MAX_EVENT;
use outgate_core::sessions::{Session, Signal};
use outgate_core::twin::{Half, Twin};
use outgate_core::{Core, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::assets::{is_known, tag_of};
use super::caller::{Caller, authenticate, share};
use crate::api::{
    ApiProblem, Asked, BODY_WITHIN, Bodies, Held, MergePatch, Named, Place, Places, Problem, view,
    whole_within,
};
use crate::hub::State;

/// What sessions of this dialect are called.
const VIA: &str = "http";

/// The longest that a poll waits, in seconds: proxies often cut what is silent for longer.
const MAX_WAIT: u64 = 55;

/// The most commands told at a time.
const MAX_COMMANDS: u32 = 16;

/// The most polls at a time, of all devices and of each.
const MAX_POLLS: usize = 100_000;
const MAX_POLLS_EACH: usize = 4;

/// When to come again if a device polls too often at a time.
const RETRY: Duration = Duration::from_secs(1);

/// What requests share.
#[derive(Debug)]
pub(super) struct Devices {
    core: Core,
    bodies: Bodies,
    polls: Places,
    draining: watch::Receiver<bool>,
}

/// How long to wait for news.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Waiting {
    /// For how many seconds to wait until there is something else to tell.
    #[serde(default)]
    #[param(required = false, minimum = 0, maximum = 55, default = 0)]
    wait: u64,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Settled {
    /// It has been done.
    Complete,
    /// It will not be done.
    Reject,
    /// It is to be told again.
    Abandon,
}

/// A device's twin, as it is told the device.
#[derive(Debug, Serialize, ToSchema)]
struct OwnTwin {
    /// What operators want.
    desired: OwnHalf,
    /// What the device says.
    reported: OwnHalf,
}

/// One half of it.
#[derive(Debug, Serialize, ToSchema)]
struct OwnHalf {
    /// Goes up by one with each change; 0 before the first.
    version: u64,
    /// The document.
    #[schema(value_type = Object)]
    document: Value,
}

/// What the device reports now.
#[derive(Debug, Serialize, ToSchema)]
struct Reported {
    /// Goes up by one with each change.
    version: u64,
}

/// Commands that are not settled, in their order.
#[derive(Debug, Serialize, ToSchema)]
struct Commands {
    /// At most 16 of them.
    commands: Vec<view::Command>,
}

/// How often the spaces of the device's site have changed.
#[derive(Debug, Serialize, ToSchema)]
struct OwnSpaces {
    /// Goes up with each change: answers about users of an older one need not hold any more.
    version: u64,
}

/// What is in an event: bytes of any kind.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Content(());

/// The routes.
pub(crate) fn router(state: &State) -> Router {
    let devices = Arc::new(Devices {
        core: state.core.clone(),
        bodies: Bodies::default(),
        polls: Places::new(MAX_POLLS),
        draining: state.draining.clone(),
    });
    routes()
        .route_layer(middleware::from_fn_with_state(Arc::clone(&devices), hold))
        .route_layer(middleware::from_fn_with_state(
            (state.core.clone(), VIA),
            authenticate,
        ))
        .with_state(devices)
        .into()
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<Arc<Devices>> {
    OpenApiRouter::new()
        .routes(routes!(twin))
        .routes(routes!(report))
        .routes(routes!(say))
        .routes(routes!(commands))
        .routes(routes!(settle))
        .routes(routes!(spaces))
}

/// Counts the body of a request with those of all others, until the answer is there.
async fn hold(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> Response {
    let held = match share(&caller.session().pass()) {
        Ok(share) => devices.bodies.none_yet(&share),
        Err(refusal) => return ApiProblem::from(refusal).into_response(),
    };
    request.extensions_mut().insert(held.clone());
    let response = next.run(request).await;
    drop(held);
    response
}

/// Ask for the twin
///
/// With `wait` and `If-None-Match` it is answered as soon as something else is desired.
#[utoipa::path(get, path = "/device/twin", tag = "twin", params(Waiting,
    ("if-none-match" = Option<String>, Header, description = "The entity tag of the answer before")),
    responses(
        (status = 200, description = "The twin", body = OwnTwin,
            headers(("etag" = String, description = "Changes with either half"))),
        (status = 304, description = "It is as `If-None-Match` names it")))]
async fn twin(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    Asked(waiting): Asked<Waiting>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = caller.session();
    let poll = devices.may_poll(session, &waiting)?;
    let (twin, tag) = loop {
        let twin = devices.core.twins.own(session).await?;
        let tag = tag(&twin)?;
        if !is_known(&headers, &tag) {
            break (twin, tag);
        }
        if !devices.hears_news(session, &poll).await {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
        }
    };
    let mut response = unkept(OwnTwin {
        desired: half(twin.desired),
        reported: half(twin.reported),
    });
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

/// Report
///
/// Merges (RFC 7396) into what the device says of itself.
#[utoipa::path(patch, path = "/device/twin/reported", tag = "twin",
    request_body(content = Object, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "It is merged", body = Reported)))]
async fn report(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    MergePatch(patch): MergePatch,
) -> Result<Response, Problem> {
    let reported = devices.core.twins.report(caller.session(), patch).await?;
    Ok(unkept(Reported {
        version: reported.version,
    }))
}

/// Say an event
///
/// It is on the hub's disk once this is answered. Who hears no answer says it again; it may be there
/// twice then. Its type is the `Content-Type`, its properties are the fields of the query.
#[utoipa::path(post, path = "/device/events/{*name}", tag = "events",
    params(
        ("name" = String, Path, min_length = 1, max_length = 256, example = "sale/closed",
            description = "What it is about: steps with slashes between them, as they are or `%2F`"),
        ("properties" = Option<BTreeMap<String, String>>, Query, style = Form, explode,
            description = "Named texts beside the payload")),
    request_body(content = inline(Content), content_type = "application/octet-stream",
        description = "The payload, of any type and of 256 KiB at most"),
    responses((status = 204, description = "It is kept")))]
async fn say(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    Named(name): Named<String>,
    Asked(properties): Asked<BTreeMap<String, String>>,
    Extension(held): Extension<Held>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let payload = whole_within(body, Some(&held), MAX_EVENT, BODY_WITHIN).await?;
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::to_str);
    let content_type = content_type.transpose();
    let content_type = content_type.map_err(|_| Refusal::invalid("Content-Type", "plain text"))?;
    let event = NewEvent {
        name,
        content_type: content_type.unwrap_or_default().to_owned(),
        properties,
        payload,
    };
    devices.core.events.append(caller.session(), event).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask for commands
///
/// What is not settled is told again. With `wait` it is answered as soon as there is one.
#[utoipa::path(get, path = "/device/commands", tag = "commands", params(Waiting),
    responses((status = 200, description = "Those that are not settled", body = Commands)))]
async fn commands(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    Asked(waiting): Asked<Waiting>,
) -> Result<Response, Problem> {
    let session = caller.session();
    let poll = devices.may_poll(session, &waiting)?;
    let taken = loop {
        let taken = devices.core.commands.take(session, MAX_COMMANDS).await?;
        if !taken.is_empty() || !devices.hears_news(session, &poll).await {
            break taken;
        }
    };
    Ok(unkept(Commands {
        commands: taken.into_iter().map(view::Command::from).collect(),
    }))
}

/// Settle a command
///
/// The same again does nothing more; another way of settling it is a conflict.
#[utoipa::path(post, path = "/device/commands/{command}/{settled}", tag = "commands",
    params(
        ("command" = String, Path, min_length = 1, max_length = 128,
            example = "cm-0123456789abcdefghjk", description = "The command"),
        ("settled" = inline(Settled), Path, description = "What became of it")),
    responses((status = 204, description = "It is settled, or told again if it is abandoned")))]
async fn settle(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    Named((command, settled)): Named<(CommandId, Settled)>,
) -> Result<StatusCode, Problem> {
    let how = match settled {
        Settled::Complete => Settlement::Completed,
        Settled::Reject => Settlement::Rejected,
        Settled::Abandon => Settlement::Abandoned,
    };
    let (core, session) = (&devices.core, caller.session());
    core.messages.may_subscribe(&session.pass())?;
    core.commands.settle(session, &command, how).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask of which version the spaces are
///
/// Those of the device's site: the version is that of answers about users. With `wait` and
/// `If-None-Match` it is answered as soon as there is another one.
#[utoipa::path(get, path = "/device/spaces", tag = "authorisation", operation_id = "spaces_version",
    params(Waiting,
        ("if-none-match" = Option<String>, Header, description = "The entity tag of the answer before")),
    responses(
        (status = 200, description = "The version", body = OwnSpaces,
            headers(("etag" = String, description = "The version, as answers about users have it"))),
        (status = 304, description = "It is as `If-None-Match` names it")))]
async fn spaces(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    Asked(waiting): Asked<Waiting>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let session = caller.session();
    let poll = devices.may_poll(session, &waiting)?;
    let (version, tag) = loop {
        let spaces = &devices.core.spaces;
        let version = spaces.ask(&session.pass(), Vec::new()).await?.version;
        let tag = tag_of(&version.to_string())?;
        if !is_known(&headers, &tag) {
            break (version, tag);
        }
        if !devices.hears_news(session, &poll).await {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
        }
    };
    let mut response = unkept(OwnSpaces { version });
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

/// A poll that may wait so long.
struct Poll {
    until: Instant,
    /// Its place among all polls, if it waits.
    _place: Option<Place>,
}

impl Devices {
    /// Lets the device of `session` poll: as often as it may subscribe, and not too often at once.
    fn may_poll(&self, session: &Session, waiting: &Waiting) -> Result<Poll, Problem> {
        if waiting.wait > MAX_WAIT {
            return Err(Refusal::invalid("wait", format!("0 to {MAX_WAIT} seconds")).into());
        }
        self.core.messages.may_subscribe(&session.pass())?;
        let mut place = None;
        if waiting.wait > 0 {
            let device = session.device()?.to_string();
            place = self.polls.take(vec![(device, MAX_POLLS_EACH)]);
            if place.is_none() {
                return Err(Problem::limited("polls at a time", RETRY));
            }
        }
        Ok(Poll {
            until: Instant::now() + Duration::from_secs(waiting.wait),
            _place: place,
        })
    }

    /// Waits until the device is told of something; no longer than the poll may, or until the hub
    /// goes down. Whether it was.
    async fn hears_news(&self, session: &Session, poll: &Poll) -> bool {
        let told = async {
            loop {
                match session.signal().await {
                    Signal::Commands | Signal::Desired | Signal::Spaces => return,
                    Signal::Roster | Signal::DesiredOf(_) => {}
                    // Which cannot be answered here; whoever called may have gone.
                    Signal::Call(call) => drop(self.core.calls.decline(session, &call.id)),
                }
            }
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(poll.until) => false,
            () = told => true,
            () = crate::http::begun(self.draining.clone()) => false,
        }
    }
}

/// Changes with either half.
fn tag(twin: &Twin) -> Result<HeaderValue, Refusal> {
    let (desired, reported) = (twin.desired.version, twin.reported.version);
    tag_of(&format!("{desired}.{reported}"))
}

fn half(half: Half) -> OwnHalf {
    OwnHalf {
        version: half.version,
        document: half.document,
    }
}

/// An answer in JSON that nobody keeps.
fn unkept(told: impl Serialize) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], Json(told)).into_response()
}
