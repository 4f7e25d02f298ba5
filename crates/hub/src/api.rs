//! The administration API under `/api`, described by OpenAPI, and what machines ask of the hub.
//!
//! A file a kind of thing. What is common to all lies beside them: who asks (`caller`), how
//! requests are read (`extract`, `names`, `pages`), what is refused (`problem`, the only place
//! where a refusal becomes a status; `bounds`), what is told (`view`), and what is described
//! (`document`).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Path, Request, State as Shared};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use outgate_core::limits::{Rate, Rates, source};
use outgate_door::Facts;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::api::bounds::{MAX_ADDRESS, MAX_ENROLMENTS, MAX_PUSHES, MAX_STREAMS, MAX_UPLOADS};
use crate::dialects;
use crate::hub::State;

mod assets;
mod audit;
mod authorities;
mod bodies;
mod bounds;
mod caller;
mod commands;
mod consumers;
mod credentials;
mod deployments;
mod devices;
mod document;
mod enrol;
mod events;
mod extract;
mod files;
mod fleet_keys;
mod follow;
mod health;
mod idempotency;
mod logs;
mod names;
mod operators;
mod pages;
mod problem;
mod push;
mod releases;
mod roster;
mod schedules;
mod services;
mod sites;
mod spaces;
mod ssh;
mod status;
mod support;
mod tables;
mod twins;
pub(crate) mod view;
mod webhooks;

pub use caller::Caller;
pub(crate) use caller::{bearer, ended, turned_away};
pub(crate) use logs::grep as log_pattern;
pub(crate) use pages::quoted;
pub use problem::Problem as ApiProblem;

pub(crate) use bodies::{Bodies, Held, Most};
pub(crate) use bounds::{BODY_WITHIN, MAX_LOGS, Place, Places};
pub(crate) use document::{Frame, add_problems, framed, never_null, operations_mut};
pub(crate) use extract::{Asked, MergePatch, Named, from_json_within, whole_within};
pub(crate) use problem::{Kind, Problem};

/// How many enrolments one source may ask for at once, and then a second: a whole factory may be
/// behind one address.
const ENROLMENTS: Rate = Rate {
    burst: 100,
    every: Duration::from_millis(100),
};

/// How often one source may ask what needs no login, at once and then a second.
const OPEN: Rate = Rate {
    burst: 200,
    every: Duration::from_millis(50),
};

/// What the operations share.
#[derive(Debug)]
pub(crate) struct Api {
    state: State,
    started: Instant,
    enrolments: Rates<IpAddr>,
    /// Bodies of enrolments that are being read.
    enrolling: Places,
    streams: Places,
    uploads: Places,
    /// Messages that are being pushed to devices.
    pushes: Places,
    /// Bodies of callers with a token.
    bodies: Bodies,
    open: Rates<IpAddr>,
    readiness: health::Readiness,
    /// Requests that run on tasks of their own.
    running: Arc<Semaphore>,
    document: bytes::Bytes,
    /// That of what devices ask.
    for_devices: bytes::Bytes,
    queries: HashMap<(Method, String), HashSet<String>>,
}

/// Everything under `/api`, the descriptions of problems, and what machines ask.
pub fn router(state: State) -> Router {
    let document = document();
    let api = Arc::new(Api {
        started: Instant::now(),
        enrolments: Rates::new(ENROLMENTS, state.core.clock.clone()),
        open: Rates::new(OPEN, state.core.clock.clone()),
        readiness: health::Readiness::default(),
        state,
        enrolling: Places::new(MAX_ENROLMENTS),
        streams: Places::new(MAX_STREAMS),
        uploads: Places::new(MAX_UPLOADS),
        pushes: Places::new(MAX_PUSHES),
        bodies: Bodies::default(),
        running: Arc::new(Semaphore::new(idempotency::MAX_RUNNING)),
        queries: document::queries(&document),
        document: document_text(&document).into(),
        for_devices: document_text(&dialects::document()).into(),
    });
    let shared = |api: &Arc<Api>| Arc::clone(api);
    let login: Router<Arc<Api>> = with_login()
        .route_layer(middleware::from_fn_with_state(
            shared(&api),
            idempotency::once,
        ))
        .route_layer(middleware::from_fn_with_state(
            shared(&api),
            caller::authenticate,
        ))
        .into();
    let open: Router<Arc<Api>> = without_login().into();
    let open = open
        .route("/api/openapi.json", get(openapi))
        .route("/device/openapi.json", get(openapi_for_devices))
        .route("/problems/{kind}", get(problem_told))
        .route_layer(middleware::from_fn_with_state(shared(&api), seldom));
    login
        .merge(open)
        .route("/api", any(nothing))
        .route("/api/{*rest}", any(nothing))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared(&api), guard))
        .with_state(api)
}

/// The operations that need a login.
fn with_login() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(sites::router())
        .merge(authorities::router())
        .merge(roster::router())
        .merge(spaces::router())
        .merge(devices::router())
        .merge(credentials::router())
        .merge(ssh::router())
        .merge(fleet_keys::router())
        .merge(events::router())
        .merge(logs::router())
        .merge(consumers::router())
        .merge(commands::router())
        .merge(schedules::router())
        .merge(twins::router())
        .merge(push::router())
        .merge(support::router())
        .merge(assets::router())
        .merge(releases::router())
        .merge(deployments::router())
        .merge(files::router())
        .merge(tables::router())
        .merge(operators::router())
        .merge(services::router())
        .merge(webhooks::router())
        .merge(audit::router())
        .merge(status::router())
}

/// The operations that need none, or see to it themselves.
fn without_login() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .merge(enrol::router())
        .merge(health::router())
}

/// The OpenAPI document (3.1) of this version.
#[must_use]
pub fn document() -> serde_json::Value {
    let described = with_login().merge(without_login()).into_openapi();
    document::complete(&described)
}

/// The document as it is served and committed.
#[must_use]
pub fn document_text(document: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// Refuses what no operation takes, before anything else is looked at, and sees to it that no
/// answer is kept on its way.
async fn guard(Shared(api): Shared<Arc<Api>>, request: Request, next: Next) -> Response {
    let mut response = match fits(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses who asks too often for what needs no login.
async fn seldom(
    Shared(api): Shared<Arc<Api>>,
    Extension(facts): Extension<Facts>,
    request: Request,
    next: Next,
) -> Response {
    match api.open.take(&source(facts.peer.ip())) {
        Ok(()) => next.run(request).await,
        Err(wait) => Problem::limited("requests without a login", wait).into_response(),
    }
}

fn fits(api: &Api, request: &Request) -> Result<(), Problem> {
    let address = request.uri().path_and_query();
    if address.is_some_and(|address| address.as_str().len() > MAX_ADDRESS) {
        let detail = format!("path and query: at most {MAX_ADDRESS} bytes");
        return Err(Problem::new(Kind::AddressTooLong, detail));
    }
    let (Some(query), Some(path)) = (
        request.uri().query(),
        request.extensions().get::<MatchedPath>(),
    ) else {
        return Ok(());
    };
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref other => other.clone(),
    };
    let Some(known) = api.queries.get(&(method, path.as_str().to_owned())) else {
        return Ok(());
    };
    let unknown = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .find(|name| !known.contains(*name));
    match unknown {
        // What is written in another way than it need be is left to the operation's own reading.
        Some(name) if !name.contains(['%', '+']) || known.is_empty() => {
            let name: String = name.chars().take(64).collect();
            let detail = format!("{name}: no such parameter here");
            Err(Problem::new(Kind::Malformed, detail))
        }
        Some(_) | None => Ok(()),
    }
}

async fn openapi(Shared(api): Shared<Arc<Api>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], api.document.clone())
}

async fn openapi_for_devices(Shared(api): Shared<Arc<Api>>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        api.for_devices.clone(),
    )
}

/// What a kind of problem means, for whoever follows its address.
async fn problem_told(Path(kind): Path<String>) -> Response {
    let known = Kind::ALL.into_iter().map(Kind::told);
    match known.into_iter().find(|(_, slug, _)| *slug == kind) {
        Some((status, slug, title)) => {
            format!("{slug}: {title} (status {})\n", status.as_u16()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such problem\n").into_response(),
    }
}

async fn nothing() -> Problem {
    Problem::new(Kind::NotFound, "no such path; /api/openapi.json tells all")
}

async fn wrong_method() -> Problem {
    let detail = "Allow tells the methods; /api/openapi.json tells all";
    Problem::new(Kind::MethodNotAllowed, detail)
}
