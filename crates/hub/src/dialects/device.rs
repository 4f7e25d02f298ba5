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
use axum::routing::{get, patch, post};
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
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

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
struct Devices {
    core: Core,
    bodies: Bodies,
    polls: Places,
    draining: watch::Receiver<bool>,
}

/// How long to wait for news.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// In seconds, at most [`MAX_WAIT`]; not at all unless it is said.
    #[serde(default)]
    wait: u64,
}

/// What becomes of a command.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Settled {
    /// It has been done.
    Complete,
    /// It will not be done.
    Reject,
    /// It is to be told again.
    Abandon,
}

/// The routes.
pub(crate) fn router(state: &State) -> Router {
    let devices = Arc::new(Devices {
        core: state.core.clone(),
        bodies: Bodies::default(),
        polls: Places::new(MAX_POLLS),
        draining: state.draining.clone(),
    });
    Router::new()
        .route("/device/twin", get(twin))
        .route("/device/twin/reported", patch(report))
        .route("/device/events/{*name}", post(say))
        .route("/device/commands", get(commands))
        .route("/device/commands/{command}/{settled}", post(settle))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&devices), hold))
        .route_layer(middleware::from_fn_with_state(
            (state.core.clone(), VIA),
            authenticate,
        ))
        .with_state(devices)
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
    let told = json!({ "desired": half(&twin.desired), "reported": half(&twin.reported) });
    let mut response = unkept(told);
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

async fn report(
    Shared(devices): Shared<Arc<Devices>>,
    caller: Caller,
    MergePatch(patch): MergePatch,
) -> Result<Response, Problem> {
    let reported = devices.core.twins.report(caller.session(), patch).await?;
    Ok(unkept(json!({ "version": reported.version })))
}

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
    let told: Vec<view::Command> = taken.into_iter().map(view::Command::from).collect();
    Ok(unkept(json!({ "commands": told })))
}

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
                    Signal::Commands | Signal::Desired => return,
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

fn half(half: &Half) -> Value {
    json!({ "version": half.version, "document": half.document })
}

/// An answer in JSON that nobody keeps.
fn unkept(told: Value) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    ([(CACHE_CONTROL, no_store)], Json(told)).into_response()
}
