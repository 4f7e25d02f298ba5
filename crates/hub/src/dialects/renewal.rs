//! Devices that get another certificate for the key that they have, over plain HTTP.

use axum::extract::State as Shared;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json, Router};
use http::StatusCode;
use outgate_core::identity::Given;
use outgate_core::{Core, Refusal};
use outgate_door::Facts;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::login;
use crate::api::{Problem, turned_away};

/// The most bytes of a request for a certificate.
const MAX_REQUEST: usize = 16 * 1024;

/// Another certificate.
#[derive(Debug, Serialize, ToSchema)]
struct Renewed {
    /// The chain in PEM, the device's first.
    certificate: String,
}

/// The route.
pub(crate) fn router(core: &Core) -> Router {
    routes()
        .layer(axum::extract::DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(core.clone())
        .into()
}

/// The operation.
pub(super) fn routes() -> OpenApiRouter<Core> {
    OpenApiRouter::new().routes(routes!(renew))
}

/// Renew the certificate
///
/// Shows a certificate of the hub's own authority in the TLS handshake, whose life is half over or
/// that ended at most 366 days ago, and sends a request (PKCS #10, PEM) for the same key.
#[utoipa::path(post, path = "/device/certificate", tag = "certificate",
    request_body(content = String, content_type = "application/x-pem-file"),
    responses((status = 200, description = "Another certificate for the key", body = Renewed)))]
async fn renew(
    Shared(core): Shared<Core>,
    Extension(facts): Extension<Facts>,
    request: String,
) -> Result<Response, Problem> {
    match login::renewed(&core, &facts, &request).await {
        Ok(issued) => {
            let Given::Certificate(certificate) = issued.given else {
                return Err(Refusal::Internal("a renewal gave no certificate").into());
            };
            Ok((StatusCode::OK, Json(Renewed { certificate })).into_response())
        }
        Err(refusal) => Ok(turned_away(refusal).into_response()),
    }
}
