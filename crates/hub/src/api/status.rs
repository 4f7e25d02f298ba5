//! `/api/status`, and the hub's own authority.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::Timestamp;
use outgate_core::events::EventFilter;
use outgate_core::identity::Scope;
use outgate_core::sessions::Selector;

use crate::api::Api;
use crate::api::caller::Caller;
use crate::api::problem::Problem;

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(get_status))
        .routes(routes!(get_authority))
}

/// How the hub is.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// What answers.
    #[schema(example = "outgate")]
    product: &'static str,
    /// Its version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Its time.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    /// For how many seconds it has been up.
    uptime: u64,
    /// How many sessions are live of those that the caller sees, their own included.
    #[schema(minimum = 0)]
    sessions: usize,
    /// The place of the newest event that the caller sees, or 0 when there is none among the
    /// newest of the hub.
    newest_event: u64,
    /// How many bytes its store takes on the disk; for those who see all sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<u64>,
}

/// Get how the hub is
#[utoipa::path(get, path = "/api/status", tag = "status",
    responses((status = 200, description = "How it is", body = Status)))]
async fn get_status(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<axum::Json<Status>, Problem> {
    let core = &api.state.core;
    let scope = caller.scope();
    let (sessions, newest_event, store_bytes) = match &scope {
        Scope::All => (
            core.sessions.count(),
            *core.events.newest().borrow(),
            Some(store_bytes(&api.state.config.load().data)),
        ),
        Scope::Site(site) => {
            let filter = EventFilter {
                scope: scope.clone(),
                device: None,
                prefix: None,
            };
            let newest = core.events.latest(&filter, 1).await?;
            (
                core.sessions.present(&Selector::Site(site.clone())).len(),
                newest.first().map_or(0, |event| event.seq),
                None,
            )
        }
    };
    Ok(axum::Json(Status {
        product: "outgate",
        version: env!("CARGO_PKG_VERSION"),
        now: core.clock.now(),
        uptime: api.started.elapsed().as_secs(),
        sessions,
        newest_event,
        store_bytes,
    }))
}

/// The size of the store's files.
fn store_bytes(folder: &Path) -> u64 {
    let files = ["hub.sqlite", "hub.sqlite-wal"].map(|name| folder.join(name));
    files
        .iter()
        .filter_map(|file| file.metadata().ok())
        .map(|found| found.len())
        .sum()
}

/// Get the hub's authority for devices
///
/// The certificates by which those that the hub has signed for devices can be verified.
#[utoipa::path(get, path = "/api/authority", tag = "status",
    responses((status = 200, description = "The certificates, in PEM",
        body = String, content_type = "application/pem-certificate-chain")))]
async fn get_authority(State(api): State<Arc<Api>>, _caller: Caller) -> Result<Response, Problem> {
    let chain = api.state.core.identity.authority().await?;
    let kind = [(CONTENT_TYPE, "application/pem-certificate-chain")];
    Ok((kind, chain).into_response())
}
