//! Logs of devices by OTLP over HTTP (OTLP specification 1.x, section "OTLP/HTTP"): `POST /v1/logs`
//! in protobuf or JSON, plain or gzip. Metrics and traces are not taken.

mod answer;
mod intake;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, post};
use axum::{Extension, Router};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use outgate_core::identity::Principal;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_wire::otlp::{Encoding, PATH, Reply};

use super::caller::share;
use super::login::over_http;
use crate::api::{Bodies, Kind, Problem};

/// What sessions of this are called among the dialects.
const VIA: &str = "otlp";

/// Where other signals are sent, which are not taken.
const NOT_TAKEN: [&str; 2] = ["/v1/metrics", "/v1/traces"];

/// What requests share.
#[derive(Debug)]
struct Otlp {
    core: Core,
    bodies: Bodies,
}

/// The routes, for devices that are known to `core`.
pub fn router(core: Core) -> Router {
    let mut router = Router::new().route(PATH, post(take).fallback(only_post));
    for path in NOT_TAKEN {
        router = router.route(path, any(not_taken));
    }
    router.with_state(Arc::new(Otlp {
        core,
        bodies: Bodies::default(),
    }))
}

async fn take(
    State(otlp): State<Arc<Otlp>>,
    Extension(facts): Extension<Facts>,
    request: Request,
) -> Response {
    let encoding = encoding(&request);
    let taken = match encoding {
        Ok(encoding) => taken(&otlp, &facts, encoding, request).await,
        Err(ref problem) => Err(problem.clone()),
    };
    // Whoever says nothing that is understood is answered in what people can read.
    let encoding = encoding.unwrap_or(Encoding::Json);
    match taken {
        Ok(reply) => answer::taken(encoding, &reply),
        Err(problem) => answer::refused(encoding, problem),
    }
}

async fn taken(
    otlp: &Otlp,
    facts: &Facts,
    encoding: Encoding,
    request: Request,
) -> Result<Reply, Problem> {
    let core = &otlp.core;
    let identified = over_http(core, request.headers(), facts).await?;
    let Principal::Device { .. } = &identified.principal else {
        return Err(Refusal::forbidden("logging by whoever is no device").into());
    };
    let pass = core.admit(&identified, VIA, facts.peer).await?;
    core.logs.allow(&pass)?;
    let packing = intake::Packing::of(request.headers().get(CONTENT_ENCODING))?;
    let held = otlp.bodies.none_yet(&share(&pass)?);
    let (logs, rejected) = intake::read(request.into_body(), packing, encoding, &held).await?;
    core.logs.append(pass, logs).await?;
    Ok(Reply {
        rejected: rejected.records,
        why: rejected.why.unwrap_or_default().to_owned(),
    })
}

fn encoding(request: &Request) -> Result<Encoding, Problem> {
    let given = request.headers().get(CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok());
    given.and_then(Encoding::of).ok_or_else(|| {
        let detail = "Content-Type: application/x-protobuf or application/json is needed";
        Problem::new(Kind::MediaType, detail)
    })
}

async fn not_taken(request: Request) -> Response {
    let detail = "of OTLP only logs are taken here, at /v1/logs";
    let encoding = encoding(&request).unwrap_or(Encoding::Json);
    answer::refused(encoding, Problem::new(Kind::NotFound, detail))
}

async fn only_post() -> Response {
    let problem = Problem::new(Kind::MethodNotAllowed, "logs are sent with POST");
    let mut response = answer::refused(Encoding::Json, problem);
    let allow = http::HeaderValue::from_static("POST");
    response.headers_mut().insert(http::header::ALLOW, allow);
    response
}
