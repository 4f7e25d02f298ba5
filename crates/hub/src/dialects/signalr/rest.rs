//! What back ends ask over HTTP: sending to connections, closing them, and groups.
//!
//! They speak the data plane of Azure SignalR Service (`operation`). Who asks is a service, by a
//! token that one of its access keys has signed, or by one of the hub's own. It reaches the devices
//! that it sees, and the clients that came in by its own keys.

mod operation;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{StatusCode, Uri};
use outgate_core::Refusal;
use outgate_core::identity::Principal;
use outgate_core::sessions::Session;
use outgate_door::Facts;
use outgate_signalr_server::{Clients, Hub};
use serde::Deserialize;
use serde_json::Value;

use self::operation::{Act, Operation, Unknown, Whom};
use super::guest::{self, Guest, Sender};
use super::{SignalR, VIA, signed};
use crate::api::{self, ApiProblem};
use crate::dialects::login;
use crate::metrics::Direction;

/// The most bytes of a message, as Azure SignalR Service has it.
const MAX_BODY: usize = 1024 * 1024;

/// The most connections that a message may leave out.
const MAX_EXCLUDED: usize = 1_000;

/// A message to clients.
#[derive(Deserialize)]
struct Message {
    target: String,
    #[serde(default)]
    arguments: Vec<Value>,
}

/// Where it is served.
pub(super) const ROUTES: [&str; 2] = ["/api/hubs/{*rest}", "/api/v1/hubs/{*rest}"];

/// Answers a back end.
pub(super) async fn answer(hubs: SignalR, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let session = match sign_in(&hubs, &parts).await {
        Ok(session) => session,
        Err(refusal) => return api::turned_away(refusal).into_response(),
    };
    let answered = tokio::select! {
        biased;
        ending = session.ended() => return api::ended(ending).into_response(),
        answered = operate(&hubs, &session, &parts, body) => answered,
    };
    match answered {
        Ok(status) => status.into_response(),
        Err(refusal) => ApiProblem::from(refusal).into_response(),
    }
}

/// Makes out which service asks, as a session for as long as the answer takes.
async fn sign_in(hubs: &SignalR, parts: &Parts) -> Result<Session, Refusal> {
    let core = &hubs.0.core;
    let facts = parts.extensions.get::<Facts>();
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let identified = match guest::bearer(&parts.headers).filter(|text| signed::may_be(text)) {
        Some(text) => {
            let asked = |audience: &Uri| signed::same(audience.path(), parts.uri.path());
            signed::verify(core, text, parts, facts, asked).await?.0
        }
        None => login::over_http(core, &parts.headers, facts).await?,
    };
    // Before there is a session: a device would be there by it.
    let Principal::Service { .. } = &identified.principal else {
        return Err(Refusal::forbidden("a back end's place for somebody else"));
    };
    core.open_session(&identified, VIA, facts.peer).await
}

async fn operate(
    hubs: &SignalR,
    session: &Session,
    parts: &Parts,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let Principal::Service { service, scope } = session.principal() else {
        return Err(Refusal::Internal("a back end that is no service"));
    };
    let path = parts.uri.path();
    let operation = match operation::read(&parts.method, path) {
        Ok(operation) => operation,
        Err(Unknown::Path) => return Err(Refusal::not_found("operation", path)),
        Err(Unknown::Method) => return Ok(StatusCode::METHOD_NOT_ALLOWED),
    };
    let served = hubs.0.hubs.get(&operation.hub);
    let served = served.ok_or_else(|| Refusal::not_found("hub", &operation.hub))?;
    let sender = Sender {
        service: service.clone(),
        scope: scope.clone(),
    };
    let chosen = excluding(&parts.uri, whom(&served.hub, &operation.whom))?;
    let chosen = chosen.only(move |connection| {
        let guest = connection.extension::<Guest>();
        guest.is_some_and(|guest| guest.is_reached_by(&sender))
    });
    if operation.act != Act::Send {
        session.pass().check()?;
        return done(&operation, &chosen, &parts.uri);
    }
    let message = message(hubs, body).await?;
    session.pass().check()?;
    let sent = chosen.send(&message.target, message.arguments);
    let sent = sent.map_err(|_| Refusal::invalid("arguments", "what MessagePack can carry"))?;
    let metrics = &served.shared.metrics;
    metrics.signalr_invoked(&operation.hub, Direction::Out, sent);
    Ok(StatusCode::ACCEPTED)
}

/// Reads a message. So many at a time that all their bodies have their place.
async fn message(hubs: &SignalR, body: Body) -> Result<Message, Refusal> {
    let _place = hubs.0.bodies.acquire().await;
    let bytes = axum::body::to_bytes(body, MAX_BODY).await;
    let bytes = bytes.map_err(|_| Refusal::TooLarge {
        what: "bytes of a message",
        limit: MAX_BODY as u64,
    })?;
    let message: Result<Message, _> = serde_json::from_slice(&bytes);
    let right = "{\"target\": \"…\", \"arguments\": […]} as JSON";
    let message = message.map_err(|_| Refusal::invalid("body", right))?;
    if message.target.is_empty() {
        return Err(Refusal::invalid(
            "target",
            "the name of a method of the clients'",
        ));
    }
    Ok(message)
}

fn whom(hub: &Hub, whom: &Whom) -> Clients {
    let clients = hub.clients();
    match whom {
        Whom::All => clients.all(),
        Whom::User(user) => clients.user(user),
        Whom::Group(group) => clients.group(group),
        Whom::Connection(id) => clients.client(id),
    }
}

/// Without the connections that the query leaves out.
fn excluding(uri: &Uri, clients: Clients) -> Result<Clients, Refusal> {
    let excluded = guest::fields(uri, "excluded");
    let excluded: Vec<Cow<'_, str>> = excluded.take(MAX_EXCLUDED + 1).collect();
    if excluded.len() > MAX_EXCLUDED {
        return Err(Refusal::TooLarge {
            what: "connections left out",
            limit: MAX_EXCLUDED as u64,
        });
    }
    let without = |clients: Clients, id: &Cow<'_, str>| clients.except(id.as_ref());
    Ok(excluded.iter().fold(clients, without))
}

/// Does what needs no message.
fn done(operation: &Operation, chosen: &Clients, uri: &Uri) -> Result<StatusCode, Refusal> {
    let connections = chosen.connections();
    let mut there = !connections.is_empty();
    match &operation.act {
        Act::Send | Act::Look => {}
        Act::LookIn(group) => {
            let is_it = |one: &Arc<str>| **one == **group;
            there = connections.iter().any(|it| it.groups().iter().any(is_it));
        }
        Act::Close => {
            let reason = guest::fields(uri, "reason").next();
            for connection in connections {
                connection.close(reason.as_deref(), false);
            }
        }
        Act::Join(group) => {
            for connection in connections {
                connection.join(group).map_err(|full| Refusal::TooMany {
                    what: "groups of a connection",
                    limit: full.max as u64,
                })?;
            }
        }
        Act::Leave(group) => connections.iter().for_each(|it| it.leave(group)),
        Act::LeaveAll => {
            for connection in connections {
                connection
                    .groups()
                    .iter()
                    .for_each(|it| connection.leave(it));
            }
        }
    }
    Ok(status(operation, there))
}

/// What Azure SignalR Service answers when it is done; `there` is whether there was anybody.
fn status(operation: &Operation, there: bool) -> StatusCode {
    let one = matches!(operation.whom, Whom::Connection(_));
    match (&operation.act, one, operation.first) {
        (Act::Look | Act::LookIn(_), _, _) | (Act::Join(_) | Act::Leave(_), true, _) if !there => {
            StatusCode::NOT_FOUND
        }
        (Act::Send, _, _)
        | (Act::Close, true, true)
        | (Act::Join(_) | Act::Leave(_), false, true) => StatusCode::ACCEPTED,
        (Act::Close, false, _) | (Act::Leave(_) | Act::LeaveAll, false, false) => {
            StatusCode::NO_CONTENT
        }
        (
            Act::Look | Act::LookIn(_) | Act::Close | Act::Join(_) | Act::Leave(_) | Act::LeaveAll,
            _,
            _,
        ) => StatusCode::OK,
    }
}
