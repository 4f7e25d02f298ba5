//! `/api/sites/{site}/roster`: which devices of a site know each other.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::api::extract::Named;
use crate::api::names::OfSite;
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(get_roster))
}

/// Get a site's roster
///
/// Which of its devices know each other on their local network: those whose agents have shown the
/// hub a key. The hub signs it, and tells them of each new one.
#[utoipa::path(get, path = "/api/sites/{site}/roster", tag = "sites", params(OfSite),
    responses((status = 200, description = "The roster", body = view::Roster)))]
async fn get_roster(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Named(OfSite { site }): Named<OfSite>,
) -> Result<Json<view::Roster>, Problem> {
    let identity = &api.state.core.identity;
    let roster = identity.roster(&caller.actor()?, &site).await?;
    Ok(Json(roster.into()))
}
