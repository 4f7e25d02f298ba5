//! What machines ask: whether the hub lives, whether it is ready, and what it counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, FORWARDED};
use tokio::sync::Mutex;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use outgate_core::identity::Scope;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use outgate_wire::exposition;

use crate::api::Api;
use crate::api::caller::make_out;
use crate::api::problem::Problem;

/// How long the disk may take before the hub is said not to be ready.
const DISK_WITHIN: Duration = Duration::from_secs(2);

/// For how long it is known whether the store takes events: whoever asks often costs no more.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// What was last found out about the store, and at which uptime. Who asks while it is being found
/// out waits for that.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Duration, Result<(), Refusal>)>>);

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(get_alive))
        .routes(routes!(get_ready))
        .routes(routes!(get_metrics))
}

/// Ask whether the hub lives
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain",
        example = "alive\n")))]
async fn get_alive() -> &'static str {
    "alive\n"
}

/// Ask whether the hub is ready
///
/// Its store takes events, and it is not going down.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, description = "It is", body = String, content_type = "text/plain",
        example = "ready\n")))]
async fn get_ready(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    if *api.state.draining.borrow() {
        return Err(Refusal::Draining.into());
    }
    api.readiness.of(&api.state.core).await?;
    Ok("ready\n")
}

impl Readiness {
    async fn of(&self, core: &Core) -> Result<(), Refusal> {
        let mut known = self.0.lock().await;
        let now = core.clock.uptime();
        if let Some((at, found)) = &*known
            && now.saturating_sub(*at) < KNOWN_FOR
        {
            return found.clone();
        }
        let found = match tokio::time::timeout(DISK_WITHIN, core.events.room()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::Full)) => Err(Refusal::Full),
            Ok(Err(refusal)) => {
                tracing::warn!(error = %refusal, "the store takes no events");
                Err(Refusal::Draining)
            }
            Err(_) => Err(Refusal::Draining),
        };
        *known = Some((now, found.clone()));
        found
    }
}

/// Read what the hub counts
///
/// In the text format of Prometheus, or as OpenMetrics for those who accept that. Needs a token of somebody who sees all sites, but for those networks that are configured to
/// need none: this machine itself by default, and not through a proxy on it.
#[utoipa::path(get, path = "/metrics", tag = "health", security((), ("bearer" = [])),
    responses((status = 200, description = "The numbers", body = String,
        content_type = "text/plain")))]
async fn get_metrics(
    State(api): State<Arc<Api>>,
    Extension(facts): Extension<Facts>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !open_to(&api, facts.peer.ip(), &headers) {
        let caller = make_out(&api, &headers, Some(&facts)).await?;
        if caller.scope() != Scope::All {
            return Err(Refusal::forbidden("reading the numbers of all sites").into());
        }
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) = exposition::answer(accept.unwrap_or_default(), api.state.metrics.text());
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

/// Whether `peer` needs no token. Who comes through a proxy is not who they seem to be.
fn open_to(api: &Api, peer: IpAddr, headers: &HeaderMap) -> bool {
    let proxied = headers.contains_key(FORWARDED)
        || headers.contains_key("x-forwarded-for")
        || headers.contains_key("via");
    let peer = peer.to_canonical();
    let config = api.state.config.load();
    let mut networks = config.metrics_open_to.iter();
    !proxied && networks.any(|network| network.contains(&peer))
}
