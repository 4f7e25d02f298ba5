//! What devices of IoT Hub ask over HTTPS: saying messages, taking those that wait for them, and
//! putting files.
//!
//! A device shows a token that one of its keys has signed, or its certificate. It keeps no
//! connection: a message that it has taken is told again until it has settled it.

mod files;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, StatusCode};
use outgate_azure::device::Endpoint;
use outgate_azure::service::ErrorCode;
use outgate_core::Core;
use outgate_core::commands::Settlement;
use outgate_core::events::{MAX_TOGETHER, NewEvent};
use outgate_core::id::CommandId;
use outgate_core::limits::MAX_EVENT;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use serde::Deserialize;

use super::http::{Failure, field, json, steps, text, whole};
use super::login::{self, Proof};
use super::message;
use crate::api::{Bodies, Held};
use crate::dialects::caller::{Caller, guarded, share};
use crate::http::Cut;
use crate::hub::State;

/// What sessions of devices that ask so are called.
const VIA: &str = "azure-http";

/// How several messages at once are written.
const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// The most messages at once, and the most bytes of all of them as they are written.
const MAX_BATCH: usize = MAX_TOGETHER;
const MAX_BATCH_BYTES: usize = 2 * MAX_EVENT;

/// Where it is served.
const ROUTES: [&str; 7] = [
    "/devices/{id}/messages/events",
    "/devices/{id}/messages/{devicebound}",
    "/devices/{id}/messages/{devicebound}/{tag}",
    "/devices/{id}/messages/{devicebound}/{tag}/{settled}",
    "/devices/{id}/files",
    "/devices/{id}/files/notifications",
    "/devices/{id}/files/notifications/{upload}",
];

/// What requests share.
#[derive(Debug)]
struct Rest {
    state: State,
    bodies: Bodies,
}

/// A device that asks.
struct Asker<'a> {
    core: &'a Core,
    caller: Caller,
    held: Held,
    parts: &'a Parts,
}

/// One of several messages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batched {
    body: String,
    #[serde(default = "yes")]
    base64_encoded: bool,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// The routes.
pub(super) fn router(state: &State) -> Router {
    let rest = Arc::new(Rest {
        state: state.clone(),
        bodies: Bodies::default(),
    });
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route, axum::routing::any(answer));
    }
    router.with_state(rest)
}

async fn answer(Shared(rest): Shared<Arc<Rest>>, cut: Cut, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match operate(&rest, &parts, body, cut).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn operate(rest: &Rest, parts: &Parts, body: Body, cut: Cut) -> Result<Response, Failure> {
    let path = steps(parts.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["devices", device, operation @ ..] = path.as_slice() else {
        return Err(unknown(parts));
    };
    let asker = sign_in(rest, parts, device).await?;
    guarded(asker.caller.clone(), cut, dispatch(&asker, operation, body)).await
}

async fn dispatch(asker: &Asker<'_>, operation: &[&str], body: Body) -> Result<Response, Failure> {
    let is_devicebound = |step: &str| step.eq_ignore_ascii_case("devicebound");
    match (operation, &asker.parts.method) {
        (["messages", "events"], &Method::POST) => say(asker, body).await,
        (["messages", bound], &Method::GET) if is_devicebound(bound) => take(asker).await,
        (["messages", bound, tag], &Method::DELETE) if is_devicebound(bound) => {
            let query = asker.parts.uri.query();
            let rejected = field(query, "reject").is_some()
                || query.is_some_and(|query| query.split('&').any(|pair| pair == "reject"));
            let how = if rejected {
                Settlement::Rejected
            } else {
                Settlement::Completed
            };
            settle(asker, tag, how).await
        }
        (["messages", bound, tag, "abandon"], &Method::POST) if is_devicebound(bound) => {
            settle(asker, tag, Settlement::Abandoned).await
        }
        (["files"], &Method::POST) => files::begin(asker, body).await,
        (["files", "notifications"], &Method::POST) => files::conclude(asker, None, body).await,
        (["files", "notifications", upload], &Method::POST) => {
            files::conclude(asker, Some(upload), body).await
        }
        _ => Err(unknown(asker.parts)),
    }
}

fn unknown(parts: &Parts) -> Failure {
    let why = format!("{} {} is not served", parts.method, parts.uri.path());
    Failure::new(ErrorCode::NotFound, why)
}

async fn sign_in<'a>(rest: &'a Rest, parts: &'a Parts, device: &str) -> Result<Asker<'a>, Failure> {
    let core = &rest.state.core;
    let facts = parts.extensions.get::<Facts>();
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let proof = match (all.next(), all.next()) {
        (None, _) => Proof::Certificate,
        (Some(header), None) => {
            let header = header.to_str();
            Proof::Token(header.map_err(|_| Refusal::Unauthenticated)?)
        }
        (Some(_), Some(_)) => return Err(Refusal::Unauthenticated.into()),
    };
    let endpoint = Endpoint {
        device,
        module: None,
    };
    let entrance = rest.state.entrance.load();
    let identified = login::identify(core, &entrance, &endpoint, proof, facts).await?;
    let session = core.open_session(&identified, VIA, facts.peer).await?;
    Ok(Asker {
        held: rest.bodies.none_yet(&share(&session.pass())?),
        core,
        caller: Caller::from(session),
        parts,
    })
}

/// Keeps what a device says: one message, or several.
async fn say(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let headers = &asker.parts.headers;
    let written = text(headers, "content-type")?.unwrap_or_default();
    if written.split(';').next() != Some(BATCH) {
        let event = NewEvent {
            name: String::new(),
            content_type: message::content_type(headers)?,
            properties: message::properties(headers)?,
            payload: whole(body, &asker.held, MAX_EVENT).await?,
        };
        asker
            .core
            .events
            .append(asker.caller.session(), event)
            .await?;
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let all: Vec<Batched> = json(body, &asker.held, MAX_BATCH_BYTES).await?;
    if all.len() > MAX_BATCH {
        let why = format!("at most {MAX_BATCH} messages at once");
        return Err(Failure::new(ErrorCode::TooLarge, why));
    }
    // All of them or none: what is broken off and comes again is there once.
    let events = all.into_iter().map(event).collect::<Result<_, _>>()?;
    let kept = &asker.core.events;
    kept.append_all(asker.caller.session(), events).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn event(batched: Batched) -> Result<NewEvent, Failure> {
    let payload = if batched.base64_encoded {
        let bytes = STANDARD.decode(&batched.body);
        Bytes::from(bytes.map_err(|_| Failure::argument("body: base 64"))?)
    } else {
        Bytes::from(batched.body)
    };
    let (content_type, properties) = message::of_pairs(batched.properties);
    Ok(NewEvent {
        name: String::new(),
        content_type,
        properties,
        payload,
    })
}

/// The next message that waits for the device.
async fn take(asker: &Asker<'_>) -> Result<Response, Failure> {
    asker
        .core
        .messages
        .may_subscribe(&asker.caller.session().pass())?;
    let taken = asker.core.commands.take(asker.caller.session(), 1).await?;
    let Some(command) = taken.into_iter().next() else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let mut response = Body::from(command.payload.clone()).into_response();
    message::describe(&command, response.headers_mut());
    Ok(response)
}

async fn settle(asker: &Asker<'_>, tag: &str, how: Settlement) -> Result<Response, Failure> {
    asker
        .core
        .messages
        .may_subscribe(&asker.caller.session().pass())?;
    let lost = || Failure::new(ErrorCode::MessageLockLost, "no message has this lock token");
    let id: CommandId = tag.trim_matches('"').parse().map_err(|_| lost())?;
    let settled = asker
        .core
        .commands
        .settle(asker.caller.session(), &id, how)
        .await;
    match settled {
        Err(Refusal::NotFound { .. }) => Err(lost()),
        settled => {
            settled?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
}
