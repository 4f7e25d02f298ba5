//! What back ends ask of IoT Hub over HTTPS: the registry of devices, twins, methods, messages to
//! devices.
//!
//! They ask by a shared access policy: a service of that name, by a token that one of its access
//! keys has signed. What it may do is configured ([`Permission`]); it reaches what the service
//! sees, and what it does is in the audit log under its name.

mod messages;
mod methods;
mod registry;
mod twins;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{Method, StatusCode};
use outgate_azure::service::{ErrorCode, Permission};
use outgate_core::Core;
use outgate_core::id::{DeviceId, ServiceId};
use outgate_core::identity::{Actor, Claim, Role};
use outgate_core::limits::Attempt;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;

use super::http::{Failure, steps, token, until};
use crate::api::{Bodies, Held};
use crate::dialects::caller::{Caller, guarded, share_of_anyone};
use crate::http::Cut;
use crate::hub::State;

/// What sessions of back ends are called.
const VIA: &str = "azure-service";

/// The most bytes of a body.
const MAX_BODY: usize = 1024 * 1024;

/// What requests share.
#[derive(Debug)]
pub(super) struct Service {
    state: State,
    bodies: Bodies,
}

/// Where it is served. What devices ask below `/devices/{id}` is theirs.
const ROUTES: [&str; 11] = [
    "/devices",
    "/devices/{id}",
    "/devices/{id}/commands",
    "/devices/{id}/modules",
    "/devices/{id}/modules/{module}",
    "/twins/{id}",
    "/twins/{id}/methods",
    "/twins/{id}/modules/{module}",
    "/twins/{id}/modules/{module}/methods",
    "/statistics/{what}",
    "/messages/{*rest}",
];

/// A back end that asks.
pub(super) struct Asker<'a> {
    service: &'a Service,
    caller: Caller,
    permissions: Vec<Permission>,
    held: Held,
    parts: &'a Parts,
}

/// The routes.
pub(super) fn router(state: &State) -> Router {
    let service = Arc::new(Service {
        state: state.clone(),
        bodies: Bodies::default(),
    });
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route, axum::routing::any(answer));
    }
    router.with_state(service)
}

async fn answer(Shared(service): Shared<Arc<Service>>, cut: Cut, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match operate(&service, &parts, body, cut).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

async fn operate(
    service: &Service,
    parts: &Parts,
    body: Body,
    cut: Cut,
) -> Result<Response, Failure> {
    let asker = sign_in(service, parts).await?;
    guarded(asker.caller.clone(), cut, dispatch(&asker, body)).await
}

/// Does what is asked for.
async fn dispatch(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let path = steps(asker.parts.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = &asker.parts.method;
    match path.as_slice() {
        ["devices"] if method == Method::GET => registry::list(asker).await,
        ["devices"] if method == Method::POST => registry::bulk(asker, body).await,
        ["devices", "query"] if method == Method::POST => twins::query(asker, body).await,
        ["devices", id] => registry::device(asker, &device(id)?, body).await,
        ["devices", id, "commands"] if method == Method::DELETE => {
            messages::purge(asker, &device(id)?).await
        }
        ["devices", id, "modules"] if method == Method::GET => {
            registry::modules(asker, &device(id)?).await
        }
        ["twins", id] => twins::twin(asker, &device(id)?, body).await,
        ["twins", id, "methods"] if method == Method::POST => {
            methods::call(asker, &device(id)?, body).await
        }
        ["devices" | "twins", _, "modules", _, ..] => Err(Failure::new(
            ErrorCode::ModuleNotFound,
            "modules are not in this registry",
        )),
        ["statistics", "devices"] if method == Method::GET => registry::statistics(asker).await,
        ["statistics", "service"] if method == Method::GET => registry::connected(asker),
        ["messages", rest @ ..] => messages::answer(asker, rest, body).await,
        _ => Err(unknown(asker.parts)),
    }
}

/// What is not there, or not with this method.
fn unknown(parts: &Parts) -> Failure {
    let why = format!("{} {} is not served", parts.method, parts.uri.path());
    Failure::new(ErrorCode::NotFound, why)
}

/// A device by the name in a path. What can be no name is nobody's.
fn device(name: &str) -> Result<DeviceId, Failure> {
    name.parse()
        .map_err(|_| Refusal::not_found("device", name).into())
}

/// Makes out which policy asks, as a session for as long as the answer takes.
async fn sign_in<'a>(service: &'a Service, parts: &'a Parts) -> Result<Asker<'a>, Failure> {
    let core = &service.state.core;
    let facts = parts.extensions.get::<Facts>();
    let facts = facts.ok_or(Refusal::Internal(
        "a request without the facts of its connection",
    ))?;
    let attempt = Attempt::new(facts.peer.ip(), None);
    core.failed_logins.check(&attempt)?;
    let identified = identify(service, core, parts).await;
    if let Err(Refusal::Unauthenticated) = &identified {
        core.failed_logins.count(&attempt)?;
    }
    let (identified, permissions) = identified?;
    let session = core.open_session(&identified, VIA, facts.peer).await?;
    Ok(Asker {
        held: service.bodies.none_yet(&share_of_anyone(&session.pass())),
        service,
        caller: Caller::from(session),
        permissions,
        parts,
    })
}

async fn identify(
    service: &Service,
    core: &Core,
    parts: &Parts,
) -> Result<(outgate_core::identity::Identified, Vec<Permission>), Refusal> {
    let entrance = service.state.entrance.load();
    let token = token(&parts.headers)?.ok_or(Refusal::Unauthenticated)?;
    let path = steps(parts.uri.path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let host = token.host().to_ascii_lowercase();
    if !entrance.names.contains(&host) || !token.covers(&path) {
        tracing::debug!(?token, "a shared access signature is for something else");
        return Err(Refusal::Unauthenticated);
    }
    let policy: Option<ServiceId> = token.policy().and_then(|name| name.parse().ok());
    let policy = policy.ok_or(Refusal::Unauthenticated)?;
    let permissions = entrance.policies.get(&policy);
    let permissions = permissions.cloned().ok_or(Refusal::Unauthenticated)?;
    let claim = Claim::Policy {
        service: &policy,
        device: None,
        text: token.signed().as_bytes(),
        signature: token.signature(),
        until: until(&token),
    };
    let identified = core.identity.authenticate(claim).await?;
    Ok((identified, permissions))
}

impl Asker<'_> {
    /// The hub's core.
    fn core(&self) -> &Core {
        &self.service.state.core
    }

    /// Whether the policy has this permission.
    fn may(&self, permission: Permission) -> bool {
        self.permissions.iter().any(|its| its.covers(permission))
    }

    /// Who acts, if the policy has this permission.
    fn actor(&self, permission: Permission) -> Result<Actor, Failure> {
        if !self.may(permission) {
            let why = format!("the policy has no permission {permission:?}");
            return Err(Failure::new(ErrorCode::Forbidden, why));
        }
        let role = match permission {
            Permission::RegistryRead | Permission::DeviceConnect => Role::Viewer,
            Permission::RegistryWrite | Permission::ServiceConnect => Role::Operator,
        };
        Ok(Actor::of_service(self.caller.session(), role)?)
    }
}

/// An answer without a body.
fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
