//! Logs of devices by OTLP over HTTP (OTLP specification 1.x, section "OTLP/HTTP"): `POST /v1/logs`
//! in protobuf or JSON, plain or gzip. Metrics and traces are not taken.

mod answer;
mod intake;

pub(super) use self::intake::records;

use std::sync::Arc;

use axum::extract::{Request as Asked, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use axum::{Extension, Router};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use outgate_core::identity::Principal;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_wire::otlp::{Encoding, PATH, Reply};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::share;
use super::login::over_http;
use crate::api::{Bodies, Kind, Problem};

/// What sessions of this are called among the dialects.
const VIA: &str = "otlp";

/// Where other signals are sent, which are not taken.
const NOT_TAKEN: [&str; 2] = ["/v1/metrics", "/v1/traces"];

/// What requests share.
#[derive(Debug)]
pub(super) struct Otlp {
    core: Core,
    bodies: Bodies,
}

/// The routes, for devices that are known to `core`.
pub fn router(core: Core) -> Router {
    let others = MethodRouter::new().fallback(only_post);
    let mut router = Router::from(routes()).route(PATH, others);
    for path in NOT_TAKEN {
        router = router.route(path, any(not_taken));
    }
    router.with_state(Arc::new(Otlp {
        core,
        bodies: Bodies::default(),
    }))
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<Arc<Otlp>> {
    OpenApiRouter::new().routes(routes!(take))
}

/// `ExportLogsServiceRequest` of OTLP 1.x (opentelemetry-proto, `collector/logs/v1`).
#[derive(ToSchema)]
#[schema(value_type = Object)]
struct Request(());

/// `ExportLogsServiceResponse` of it.
#[derive(ToSchema)]
#[schema(value_type = Object)]
struct Answer(());

/// `google.rpc.Status`.
#[derive(ToSchema)]
#[schema(value_type = Object)]
struct Refused(());

/// Messages in protobuf.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Protobuf(());

/// Log
///
/// The records are on the hub's disk once this is answered 200. Answered in the encoding of the
/// request. The body may be packed by gzip.
#[utoipa::path(post, path = "/v1/logs", tag = "logs", operation_id = "log",
    params(("content-encoding" = Option<String>, Header, example = "gzip",
        description = "How the body is packed: `gzip`, or nothing")),
    request_body(description = "4 MiB at most, also unpacked", content(
        (Request = "application/json"), (inline(Protobuf) = "application/x-protobuf"))),
    responses(
        (status = 200, description = "They are kept, but for those that `partialSuccess` counts",
            content((Answer = "application/json"), (inline(Protobuf) = "application/x-protobuf"))),
        (status = 429, description = "Too much at once", headers(
            ("retry-after" = u32, description = "In how many seconds to send it again")),
            content((Refused = "application/json"), (inline(Protobuf) = "application/x-protobuf"))),
        (status = 503, description = "The hub has no room or goes down", headers(
            ("retry-after" = u32, description = "In how many seconds to send it again")),
            content((Refused = "application/json"), (inline(Protobuf) = "application/x-protobuf"))),
        (status = "default", description = "Nothing is kept",
            content((Refused = "application/json"), (inline(Protobuf) = "application/x-protobuf")))))]
async fn take(
    State(otlp): State<Arc<Otlp>>,
    Extension(facts): Extension<Facts>,
    request: Asked,
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
    request: Asked,
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

fn encoding(request: &Asked) -> Result<Encoding, Problem> {
    let given = request.headers().get(CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok());
    given.and_then(Encoding::of).ok_or_else(|| {
        let detail = "Content-Type: application/x-protobuf or application/json is needed";
        Problem::new(Kind::MediaType, detail)
    })
}

async fn not_taken(request: Asked) -> Response {
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
