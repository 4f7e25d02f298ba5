//! Publishing over HTTPS: `POST /topics/TOPIC?qos=1`, for devices that keep no connection.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use outgate_core::identity::{Identified, Scope};
use outgate_core::limits::Share;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use outgate_mqtt::packet::QoS;
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};

use super::http::{not_taken, refused, told};
use super::login::{Asked, DATA, DEVICE_GATEWAY, For, by_signature};
use super::mqtt::VIA;
use crate::api::{BODY_WITHIN, Bodies, Problem, whole_within};
use crate::dialects::caller::share;
use crate::dialects::login;
use crate::dialects::mqtt::{Mqtt, Posted};
use crate::hub::State;

/// Where topics begin.
const TOPICS: &str = "/topics/";

/// The most bytes of a message, as AWS has it.
const MAX_MESSAGE: usize = 128 * 1024;

/// What requests share.
#[derive(Debug)]
struct Publishing {
    state: State,
    mqtt: Mqtt,
    bodies: Bodies,
}

/// Why nothing is published.
enum Failed {
    Refused(Refusal),
    Body(Problem),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Body(problem)
    }
}

/// The route.
pub(super) fn router(state: &State, mqtt: &Mqtt) -> Router {
    let publishing = Publishing {
        state: state.clone(),
        mqtt: mqtt.clone(),
        bodies: Bodies::default(),
    };
    Router::new()
        .route("/topics/{*topic}", axum::routing::post(answer))
        .with_state(Arc::new(publishing))
}

async fn answer(Shared(publishing): Shared<Arc<Publishing>>, request: Request) -> Response {
    match publish(&publishing, request).await {
        Ok(()) => told(StatusCode::OK, "OK"),
        Err(Failed::Refused(refusal)) => refused(&refusal),
        Err(Failed::Body(problem)) => not_taken(&problem),
    }
}

async fn publish(publishing: &Publishing, request: Request) -> Result<(), Failed> {
    let state = &publishing.state;
    let (parts, body) = request.into_parts();
    let facts = parts.extensions.get::<Facts>().ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let (payload, identified);
    if is_signed(&parts.headers, parts.uri.query()) {
        // What is signed is signed with its body: so that has to come first, and nobody answers
        // for it yet but where it comes from.
        let share = Share::new(format!("address/{}", facts.peer.ip()), Scope::All);
        let held = publishing.bodies.none_yet(&share);
        payload = whole_within(body, Some(&held), MAX_MESSAGE, BODY_WITHIN).await?;
        identified = signed(state, &parts, &payload, facts).await?;
        return post(publishing, &parts, &identified, facts, payload).await;
    }
    identified = login::over_http(&state.core, &parts.headers, facts).await?;
    let session = state
        .core
        .open_session(&identified, VIA, facts.peer)
        .await?;
    let held = publishing.bodies.none_yet(&share(&session.pass())?);
    payload = whole_within(body, Some(&held), MAX_MESSAGE, BODY_WITHIN).await?;
    drop(session);
    post(publishing, &parts, &identified, facts, payload).await
}

/// Whether a request shows a signature of version 4, in its headers or its query.
fn is_signed(headers: &HeaderMap, query: Option<&str>) -> bool {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let in_header = all.any(|value| value.as_bytes().starts_with(b"AWS4-"));
    in_header || query.is_some_and(|query| query.contains("X-Amz-Signature="))
}

async fn signed(
    state: &State,
    parts: &Parts,
    payload: &Bytes,
    facts: &Facts,
) -> Result<Identified, Refusal> {
    let mut body_sha256 = [0; 32];
    body_sha256.copy_from_slice(digest(&SHA256, payload).as_ref());
    let (entrance, config) = (state.entrance.load_full(), state.config.load_full());
    let whom = For {
        entrance: &entrance,
        region: config.aws.region.as_deref(),
        services: &[DATA, DEVICE_GATEWAY],
    };
    let asked = Asked::with_body(parts, body_sha256);
    let identified = by_signature(&state.core, whom, asked, facts).await;
    if identified.is_err() {
        state.metrics.login_refused(VIA);
    }
    identified
}

async fn post(
    publishing: &Publishing,
    parts: &Parts,
    identified: &Identified,
    facts: &Facts,
    payload: Bytes,
) -> Result<(), Failed> {
    let core = &publishing.state.core;
    let session = core.open_session(identified, VIA, facts.peer).await?;
    let posted = posted(parts, payload)?;
    Ok(publishing.mqtt.post(&session, posted).await?)
}

/// What is to be published.
fn posted(parts: &Parts, payload: Bytes) -> Result<Posted, Refusal> {
    let invalid = |field: &str, right: &str| Refusal::invalid(field, right);
    let topic = parts.uri.path().strip_prefix(TOPICS).unwrap_or_default();
    let topic = percent_decode_str(topic).decode_utf8();
    let topic = topic.map_err(|_| invalid("topic", "UTF-8"))?.into_owned();
    let mut posted = Posted {
        topic,
        payload,
        qos: QoS::AtMostOnce,
        retain: false,
        content_type: None,
        expires_in: None,
    };
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| invalid(name, "UTF-8"))?;
        match (name, value.as_ref()) {
            ("qos", "0") => posted.qos = QoS::AtMostOnce,
            ("qos", "1") => posted.qos = QoS::AtLeastOnce,
            ("qos", _) => return Err(invalid("qos", "0 or 1")),
            ("retain", "true") => posted.retain = true,
            ("retain", "false") => posted.retain = false,
            ("retain", _) => return Err(invalid("retain", "true or false")),
            ("contentType", text) => posted.content_type = Some(text.to_owned()),
            ("messageExpiry", text) => {
                let seconds = text.parse();
                let seconds = seconds.map_err(|_| invalid("messageExpiry", "seconds"))?;
                // None is the same as no end, to AWS.
                posted.expires_in = Some(seconds).filter(|seconds| *seconds > 0);
            }
            _ => {}
        }
    }
    Ok(posted)
}
