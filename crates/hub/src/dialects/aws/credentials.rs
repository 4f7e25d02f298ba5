//! Keys that last for an hour, in the form of AWS IoT's credentials provider:
//! `GET /role-aliases/ALIAS/credentials`, by the device's certificate or any other credential.
//!
//! The alias is the name of the device's policy, which is a document.

use axum::extract::{Path, Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::header::CACHE_CONTROL;
use outgate_core::identity::{PassingKey, Principal};
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::http::refused;
use super::mqtt::VIA;
use crate::dialects::login;
use crate::hub::State;

/// The route.
pub(super) fn router(state: &State) -> Router {
    Router::new()
        .route(
            "/role-aliases/{alias}/credentials",
            axum::routing::get(answer),
        )
        .with_state(state.clone())
}

async fn answer(
    Shared(state): Shared<State>,
    Path(alias): Path<String>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let Some(facts) = parts.extensions.get::<Facts>() else {
        return refused(&Refusal::Internal(
            "a request without the facts of its connection",
        ));
    };
    let given = give(&state, &alias, &parts.headers, facts).await;
    given.unwrap_or_else(|refusal| refused(&refusal))
}

async fn give(
    state: &State,
    alias: &str,
    headers: &http::HeaderMap,
    facts: &Facts,
) -> Result<Response, Refusal> {
    let core = &state.core;
    let identified = login::over_http(core, headers, facts).await?;
    let session = core.open_session(&identified, VIA, facts.peer).await?;
    let has_alias = match session.principal() {
        Principal::Device { policy, .. } => policy == alias,
        Principal::Service { .. } | Principal::Operator { .. } => false,
    };
    if !has_alias || !state.config.load().aws.policies.contains_key(alias) {
        return Err(Refusal::forbidden("asking for keys under this alias"));
    }
    written(&core.identity.passing_key(&session)?)
}

fn written(key: &PassingKey) -> Result<Response, Refusal> {
    const FAILED: Refusal = Refusal::Internal("a key could not be written");
    let expiration = key.expires.date().format(&Rfc3339).map_err(|_| FAILED)?;
    let token = std::str::from_utf8(key.token.expose()).map_err(|_| FAILED)?;
    let body = Json(json!({ "credentials": {
        "accessKeyId": key.id,
        "secretAccessKey": key.key.to_base64().as_str(),
        "sessionToken": token,
        "expiration": expiration,
    }}));
    Ok(([(CACHE_CONTROL, "no-store")], body).into_response())
}
