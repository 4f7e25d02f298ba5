//! `GET /agent/time?nonce=…`: what time the hub has, signed, for devices whose clock is too wrong for
//! certificates. Whoever asks shows nothing, since nothing may be shown over such a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use outgate_core::Core;
use outgate_core::limits::{Rate, Rates, source};
use outgate_door::Facts;
use outgate_wire::signed_time::{PATH, SignedTime, key_text, nonce, signed};
use serde::Deserialize;

use crate::api::ApiProblem;

/// How often one source may ask: all devices of a site have their clocks wrong after a power cut, and
/// stand behind one address.
const RATE: Rate = Rate {
    burst: 200,
    every: Duration::from_millis(50),
};

/// What requests share.
struct Shared {
    core: Core,
    sources: Rates<IpAddr>,
}

#[derive(Deserialize)]
struct Asked {
    nonce: String,
}

/// The route, with its own memory of who has asked how often.
pub(super) fn router(core: Core) -> axum::Router {
    let sources = Rates::new(RATE, core.clock.clone());
    axum::Router::new()
        .route(PATH, axum::routing::get(time))
        .with_state(Arc::new(Shared { core, sources }))
}

async fn time(
    State(shared): State<Arc<Shared>>,
    Extension(facts): Extension<Facts>,
    Query(asked): Query<Asked>,
) -> Response {
    if let Err(wait) = shared.sources.take(&source(facts.peer.ip())) {
        return ApiProblem::limited("questions for the time", wait).into_response();
    }
    let Some(bytes) = nonce(&asked.nonce) else {
        let advice = "nonce must be 32 bytes in base 64 for addresses, without padding\n";
        return (StatusCode::BAD_REQUEST, advice).into_response();
    };
    let key = shared.core.identity.time_key();
    let now_millis = shared.core.clock.now().as_millis();
    let signature = match key.sign(&signed(&bytes, now_millis)) {
        Ok(signature) => signature,
        Err(refusal) => return ApiProblem::from(refusal).into_response(),
    };
    let answer = SignedTime {
        now_millis,
        nonce: asked.nonce,
        key: key_text(&key.public()),
        signature: STANDARD.encode(signature),
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
