//! Registration over HTTPS.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use outgate_azure::provisioning::{Ask, BODY_MAX_BYTES, Registrant};
use outgate_core::refusal::Refusal;
use outgate_door::Facts;

use super::super::http::steps;
use super::{Desk, Shown, Told, failure};
use crate::hub::State;

/// Where it is served, below each scope.
const ROUTES: [&str; 2] = [
    "/registrations/{id}/register",
    "/registrations/{id}/operations/{operation}",
];

/// The routes. Each scope has its own: a parameter in its place would take what other dialects
/// serve at the top.
pub(in crate::dialects::azure) fn router(state: &State) -> Router {
    let mut router = Router::new();
    for scope in &state.config.load().azure.provisioning.scopes {
        for route in ROUTES {
            router = router.route(&format!("/{scope}{route}"), axum::routing::any(answer));
        }
    }
    router.with_state(Arc::new(state.clone()))
}

async fn answer(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let told = operate(&state, &parts, body).await;
    let told = told.unwrap_or_else(|refusal| failure(&refusal, state.core.clock.now()));
    as_response(told)
}

async fn operate(state: &State, parts: &Parts, body: Body) -> Result<Told, Refusal> {
    let path = steps(parts.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (ask, scope, registration) = match (path.as_slice(), &parts.method) {
        ([scope, _, id, "register"], &Method::PUT) => (Ask::Register, scope, id),
        ([scope, _, id, "operations", operation], &Method::GET) => {
            let operation = (*operation).to_owned();
            (Ask::Status { operation }, scope, id)
        }
        _ => return Err(Refusal::not_found("operation", parts.uri.path())),
    };
    let registrant = Registrant::of_resource(&format!("{scope}/registrations/{registration}"));
    let registrant = registrant.ok_or(Refusal::Unauthenticated)?;
    let facts = parts.extensions.get::<Facts>();
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let shown = match parts.headers.get(AUTHORIZATION).map(HeaderValue::to_str) {
        None => Shown::Certificate,
        Some(Ok(token)) => Shown::Token(token),
        Some(Err(_)) => return Err(Refusal::Unauthenticated),
    };
    let settings = Arc::new(state.config.load().azure.provisioning.clone());
    let mut desk = Desk::open(&state.core, settings, registrant, shown, facts).await?;
    let body = tokio::time::timeout(
        crate::api::BODY_WITHIN,
        axum::body::to_bytes(body, BODY_MAX_BYTES),
    );
    let body = body.await.ok().and_then(Result::ok);
    let body = body.ok_or(Refusal::TooLarge {
        what: "bytes of a registration",
        limit: BODY_MAX_BYTES as u64,
    })?;
    Ok(desk.answer(&ask, &body).await)
}

fn as_response(told: Told) -> Response {
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    let mut response = (status, [(CONTENT_TYPE, json)], told.body).into_response();
    if let Some(seconds) = told.retry_after {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
