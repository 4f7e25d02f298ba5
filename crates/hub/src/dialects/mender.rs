//! Mender's clients, unmodified: `/api/devices`, as a Mender server has it.
//!
//! A client asks to be let in by a request that it signs with a key of its own (`login`), and gets
//! a ticket of the core's, which it shows as a token from then on. What is due, how far it is and
//! what it logs are the core's deployments; its inventory is the reported half of its twin. A
//! release is fetched by an address that holds a ticket of its own (`download`), as the client
//! shows no token there.

mod answer;
mod download;
mod login;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use http::{HeaderMap, StatusCode, Uri};
use outgate_core::deployments::{On, Progress};
use outgate_core::id::DeploymentId;
use outgate_core::identity::{Identified, TicketFor};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_mender::device::{
    Instruction, LogLine, MAX_INVENTORY, MAX_LOG, Offer, Provided, Source, Status, StatusReport,
    inventory, log,
};
use serde_json::{Map, Value, json};

use self::answer::Refused;
use super::caller::{Caller, answered, hub};
use crate::api::{BODY_WITHIN, Place, Places};
use crate::http::Cut;

/// What sessions of this dialect are called.
pub(crate) const VIA: &str = "mender";

/// How long an address of a release holds.
const ADDRESS_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// The member of a twin's reported half that holds a client's inventory.
const INVENTORY: &str = "inventory";

/// The most releases that are sent at a time, and to one device.
const MAX_SENT: usize = 256;
const MAX_SENT_EACH: usize = 4;

/// The most authentication requests that are read at a time.
const MAX_ASKING: usize = 64;

/// The most logs that are read at a time.
const MAX_LOGS: usize = 16;

/// What requests share.
#[derive(Debug)]
struct Desk {
    core: Core,
    asking: Places,
    logs: Places,
    sent: Places,
}

/// A credential that has let somebody in, and what they came in by.
#[derive(Clone)]
struct Known(Identified);

/// A request for what is due: who asks, by what, at which address of the hub, and what they are on.
struct Asked {
    facts: Facts,
    known: Identified,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
}

impl<S: Sync> FromRequest<S> for Asked {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        let shown = parts.extensions;
        let without = Refusal::Internal("a route without a login was asked what is due");
        match (shown.get::<Facts>(), shown.get(), shown.get::<Caller>()) {
            (Some(facts), Some(Known(known)), Some(caller)) => Ok(Self {
                facts: facts.clone(),
                known: known.clone(),
                caller: caller.clone(),
                uri: parts.uri,
                headers: parts.headers,
                body,
            }),
            _ => Err(without.into()),
        }
    }
}

/// The routes.
pub(crate) fn router(core: Core) -> Router {
    let desk = Arc::new(Desk {
        core,
        asking: Places::new(MAX_ASKING),
        logs: Places::new(MAX_LOGS),
        sent: Places::new(MAX_SENT),
    });
    let known = Router::new()
        .route(
            "/v1/inventory/device/attributes",
            put(replaced).patch(added),
        )
        .route("/v2/deployments/device/deployments/next", post(next_v2))
        .route("/v1/deployments/device/deployments/next", post(next_v1))
        .route(
            "/v1/deployments/device/deployments/{id}/status",
            put(status),
        )
        .route("/v1/deployments/device/deployments/{id}/log", put(logged))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(&desk),
            authenticate,
        ));
    let open = Router::new()
        .route("/v1/authentication/auth_requests", post(login::ask))
        .route("/v1/deployments/download/{ticket}", get(download::fetch));
    Router::new().nest("/api/devices", known.merge(open).with_state(desk))
}

/// Lets only those pass who show a ticket, for as long as what they came in by holds.
async fn authenticate(
    State(desk): State<Arc<Desk>>,
    Extension(facts): Extension<Facts>,
    cut: Cut,
    mut request: Request,
    next: Next,
) -> Response {
    match login::known(&desk.core, request.headers(), &facts).await {
        Ok((identified, caller)) => {
            request.extensions_mut().insert(Known(identified));
            answered(caller, cut, request, next).await
        }
        Err(refusal) => Refused(refusal).into_response(),
    }
}

async fn replaced(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Refused> {
    desk.take_inventory(&caller, body, true).await
}

async fn added(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Refused> {
    desk.take_inventory(&caller, body, false).await
}

async fn next_v2(State(desk): State<Arc<Desk>>, asked: Asked) -> Result<Response, Refused> {
    desk.next(asked, Provided::read_v2).await
}

async fn next_v1(State(desk): State<Arc<Desk>>, asked: Asked) -> Result<Response, Refused> {
    desk.next(asked, Provided::read_v1).await
}

async fn status(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let id = deployment(&id)?;
    let body = read(body, MAX_INVENTORY).await?;
    let report = StatusReport::read(&body).map_err(|_| unreadable())?;
    let progress = progress(report.status);
    let deployments = &desk.core.deployments;
    deployments
        .report(caller.session(), &id, progress, report.substate)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn logged(
    State(desk): State<Arc<Desk>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let id = deployment(&id)?;
    let _place = place(&desk.logs, &caller, 1)?;
    let lines = log(&read(body, MAX_LOG).await?).map_err(|_| unreadable())?;
    let text: String = lines.iter().map(line).collect();
    let deployments = &desk.core.deployments;
    deployments.keep_log(caller.session(), &id, &text).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Desk {
    /// Keeps an inventory: the attributes that come, in the place of all there were, or beside
    /// them.
    async fn take_inventory(
        &self,
        caller: &Caller,
        body: Body,
        all: bool,
    ) -> Result<StatusCode, Refused> {
        let body = read(body, MAX_INVENTORY).await?;
        let attributes = inventory(&body).map_err(|_| unreadable())?;
        let mut patch = Map::new();
        if all {
            let twin = self.core.twins.own(caller.session()).await?;
            let kept = twin.reported.document.get(INVENTORY);
            let kept = kept.and_then(Value::as_object).into_iter().flatten();
            patch.extend(kept.map(|(name, _)| (name.clone(), Value::Null)));
        }
        patch.extend(attributes.into_iter().map(|one| (one.name, one.value)));
        let twins = &self.core.twins;
        let reported = twins.report(caller.session(), json!({ INVENTORY: patch }));
        reported.await?;
        Ok(StatusCode::OK)
    }

    /// What is due for who asks, whose words `read` understands.
    async fn next<E>(
        &self,
        asked: Asked,
        read_on: impl FnOnce(&[u8]) -> Result<Provided, E>,
    ) -> Result<Response, Refused> {
        let body = read(asked.body, MAX_INVENTORY).await?;
        let on = read_on(&body).map_err(|_| unreadable())?;
        let hub = hub(&asked.facts, &asked.uri, &asked.headers)?;
        let (caller, known) = (&asked.caller, &asked.known);
        let on = On {
            name: on.artifact_name,
            device_type: on.device_type,
            more: on.more,
        };
        let due = self.core.deployments.next(caller.session(), on).await?;
        let Some(due) = due else {
            return Ok(StatusCode::NO_CONTENT.into_response());
        };
        let (id, identity) = (due.deployment.as_str(), &self.core.identity);
        let ticket = identity.ticket(TicketFor::Download, known, id, ADDRESS_LASTS)?;
        let ticket_text = str::from_utf8(ticket.text.expose());
        let ticket_text = ticket_text.map_err(|_| Refusal::Internal("a ticket is no text"))?;
        let uri = format!("{hub}/api/devices/v1/deployments/download/{ticket_text}");
        let instruction = Instruction {
            id,
            artifact: Offer {
                artifact_name: due.release.name.as_str(),
                device_types_compatible: &due.release.described.device_types,
                source: Source {
                    uri: &uri,
                    expire: &ticket.expires.to_string(),
                },
            },
        };
        Ok(axum::Json(instruction).into_response())
    }
}

/// A body to its end, however it is framed: clients send theirs in chunks.
async fn read(body: Body, most: usize) -> Result<bytes::Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, most));
    let read = read.await.ok().and_then(Result::ok);
    read.ok_or(Refusal::TooLarge {
        what: "bytes of a body",
        limit: most as u64,
    })
}

/// A place among `places`, of which a device has `each`.
fn place(places: &Places, caller: &Caller, each: usize) -> Result<Place, Refusal> {
    let name = caller.session().principal().name();
    let place = places.take(vec![(name, each)]);
    place.ok_or(Refusal::Limited {
        what: "requests of this kind",
        retry_after: Duration::from_secs(5),
    })
}

fn deployment(id: &str) -> Result<DeploymentId, Refusal> {
    id.parse()
        .map_err(|_| Refusal::not_found("deployment", "of that name"))
}

fn unreadable() -> Refusal {
    Refusal::invalid("body", "what a Mender client says here")
}

fn line(line: &LogLine) -> String {
    format!("{} {} {}\n", line.timestamp, line.level, line.message)
}

fn progress(status: Status) -> Progress {
    match status {
        Status::Downloading => Progress::Downloading,
        Status::PauseBeforeInstalling => Progress::PauseBeforeInstalling,
        Status::Installing => Progress::Installing,
        Status::PauseBeforeRebooting => Progress::PauseBeforeRebooting,
        Status::Rebooting => Progress::Rebooting,
        Status::PauseBeforeCommitting => Progress::PauseBeforeCommitting,
        Status::Success => Progress::Success,
        Status::Failure => Progress::Failure,
        Status::AlreadyInstalled => Progress::AlreadyInstalled,
    }
}
