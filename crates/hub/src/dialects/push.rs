//! Where devices say by which registrations they are reached by push: `PUT /push/registrations` with
//! `{"tokens": ["…"]}`, all that there are.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Router};
use http::StatusCode;
use outgate_core::Core;
use outgate_door::Facts;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::share;
use super::login::over_http;
use crate::api::{ApiProblem, BODY_WITHIN, Bodies, from_json_within, turned_away};

/// What sessions of this are called among the dialects.
const VIA: &str = "push";

/// The most bytes of a body: as many tokens as a device may have, each escaped.
const MAX_BODY: usize = 64 * 1024;

/// What requests share.
#[derive(Debug)]
pub(super) struct Reports {
    core: Core,
    bodies: Bodies,
}

/// What a device says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The registrations of the push service, all that there are.
    tokens: Vec<String>,
}

/// The routes, for devices that are known to `core`.
pub fn router(core: Core) -> Router {
    let bodies = Bodies::default();
    routes()
        .with_state(Arc::new(Reports { core, bodies }))
        .into()
}

/// The operations.
pub(super) fn routes() -> OpenApiRouter<Arc<Reports>> {
    OpenApiRouter::new().routes(routes!(replace))
}

/// Say by what to be reached
///
/// Takes the place of what the device said before.
#[utoipa::path(put, path = "/push/registrations", tag = "push", request_body = Said,
    operation_id = "replace_registrations",
    responses((status = 204, description = "It is kept")))]
async fn replace(
    State(reports): State<Arc<Reports>>,
    Extension(facts): Extension<Facts>,
    mut request: Request,
) -> Result<StatusCode, ApiProblem> {
    let core = &reports.core;
    let identified = over_http(core, request.headers(), &facts).await;
    let identified = identified.map_err(turned_away)?;
    let pass = core.admit(&identified, VIA, facts.peer).await?;
    let held = reports.bodies.none_yet(&share(&pass)?);
    request.extensions_mut().insert(held);
    let said: Said = from_json_within(request, "application/json", MAX_BODY, BODY_WITHIN).await?;
    core.registrations.replace(pass, said.tokens).await?;
    Ok(StatusCode::NO_CONTENT)
}
