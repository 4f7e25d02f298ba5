//! The way in: who asks is made out before anything is opened.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use outgate_core::Refusal;
use outgate_door::Facts;
use outgate_signalr_server::{Connection, Hub, Identity, SignalRService, Transport};
use tower::ServiceExt as _;

use super::guest::Guest;
use super::{Form, Served, VIA};
use crate::api;
use crate::http::{Cut, watched};

/// Takes a request for a hub.
pub(super) async fn enter(served: Served, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let known = served.hub.of_request(&parts.uri);
    if opens(&parts, known.as_ref()) {
        match make_out(&served, &parts).await {
            Ok(guest) => parts.extensions.insert(Arc::new(guest)),
            Err(refusal) => return turned_away(&served, refusal),
        };
    }
    pass_on(
        &served.hub,
        served.service,
        Request::from_parts(parts, body),
    )
    .await
}

/// Has a hub answer a request of somebody who may ask.
pub(super) async fn pass_on(hub: &Hub, service: SignalRService, request: Request) -> Response {
    let known = hub.of_request(request.uri());
    let cut = request.extensions().get::<Cut>().cloned();
    let answered = service.oneshot(request).await;
    let response = answered.unwrap_or_else(|never| match never {});
    match known {
        Some(connection) if is_stream(&response) => until_over(response, connection, cut),
        Some(_) | None => response,
    }
}

/// The guest of a request, for the library.
pub(super) fn identity(parts: &Parts) -> Option<Identity> {
    let guest = Guest::of(parts)?;
    Some(Identity {
        user: guest.user(),
        extension: Some(guest as Arc<dyn Any + Send + Sync>),
    })
}

/// Whether a request negotiates, or opens a transport. Polls after the first, and what is said
/// beside them, show the connection's own secret.
pub(super) fn opens(parts: &Parts, known: Option<&Connection>) -> bool {
    let polls = known.is_some_and(|it| it.transport() == Some(Transport::LongPolling));
    let last = parts.uri.path().rsplit('/').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("negotiate"))
        || (parts.method == Method::GET && !polls)
}

async fn make_out(served: &Served, parts: &Parts) -> Result<Guest, Refusal> {
    if served.shared.is_draining() {
        return Err(Refusal::Draining);
    }
    let facts = parts.extensions.get::<Facts>();
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let shared = &served.shared;
    let guest = Guest::make_out(&shared.core, &shared.settings, parts, facts).await?;
    if shared.form == Form::Agent && !guest.is_device() {
        return Err(Refusal::forbidden("an agent's place for who is no device"));
    }
    Ok(guest)
}

fn turned_away(served: &Served, refusal: Refusal) -> Response {
    tracing::debug!(error = %refusal, "a SignalR client was turned away");
    if !matches!(refusal, Refusal::Draining) {
        served.shared.metrics.login_refused(VIA);
    }
    api::turned_away(refusal).into_response()
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "text/event-stream")
}

/// An event stream that is cut off when its client takes nothing, and soon after the connection is
/// over.
fn until_over(response: Response, connection: Connection, cut: Option<Cut>) -> Response {
    response.map(|body| {
        let over = async move { connection.closed().await };
        Body::from_stream(watched(
            body.into_data_stream(),
            cut.unwrap_or_default(),
            over,
        ))
    })
}
