//! `/api/audit`.

use std::sync::Arc;

use axum::extract::State;
use http::Uri;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::caller::Caller;
use crate::api::extract::Asked;
use crate::api::pages::{List, Paging, Part, page};
use crate::api::problem::Problem;
use crate::api::{Api, view};

pub(crate) fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list_audit))
        .routes(routes!(verify_audit))
}

/// Read the audit log
///
/// The newest first. Only for who sees all sites.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(Paging),
    responses((status = 200, description = "A part of the log", body = List<view::AuditEntry>,
        headers(("link" = Option<String>, description = "Leads to the next part (RFC 8288)")))))]
async fn list_audit(
    State(api): State<Arc<Api>>,
    caller: Caller,
    uri: Uri,
    Asked(paging): Asked<Paging>,
) -> Result<Part<view::AuditEntry>, Problem> {
    let page = page(paging.after, paging.limit)?;
    let audit = &api.state.core.audit;
    let listed = audit.entries(&caller.actor()?, &page).await?;
    Ok(Part::new(&uri, listed))
}

/// Verify the audit log
///
/// Goes through the whole chain. A log that was cut off at its newest end is found out by
/// comparing `head` with one that was noted elsewhere.
#[utoipa::path(get, path = "/api/audit/verify", tag = "audit",
    responses((status = 200, description = "Whether it holds", body = view::Chain)))]
async fn verify_audit(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<axum::Json<view::Chain>, Problem> {
    let verified = api.state.core.audit.verify(&caller.actor()?).await?;
    Ok(axum::Json(verified.into()))
}
