//! What is answered over HTTPS to what was written for AWS IoT Core.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use outgate_core::refusal::Refusal;
use serde_json::json;

use crate::api::{Kind, Problem};

/// That something is refused.
pub(in crate::dialects) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        // Whoever signs wrongly is not told that they should sign.
        Refusal::Unauthenticated
        | Refusal::Revoked
        | Refusal::AwaitsApproval
        | Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
        Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
        Refusal::Invalid { .. } => StatusCode::BAD_REQUEST,
        Refusal::Exists { .. } | Refusal::Conflict { .. } | Refusal::TakesNoCalls { .. } => {
            StatusCode::CONFLICT
        }
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::TooMany { .. } | Refusal::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Expired { .. } => StatusCode::GONE,
        Refusal::Full | Refusal::Draining | Refusal::Offline { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Refusal::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Refusal::Randomness | Refusal::Store(_) | Refusal::Internal(_) => {
            tracing::error!(error = %refusal, "something asked for in AWS's words failed");
            return told(
                StatusCode::INTERNAL_SERVER_ERROR,
                "something of the hub's is wrong",
            );
        }
    };
    let mut response = told(status, &refusal.to_string());
    if let Refusal::Limited { retry_after, .. } = refusal {
        let seconds = HeaderValue::from(retry_after.as_secs().max(1));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

/// That a body cannot be taken.
pub(super) fn not_taken(problem: &Problem) -> Response {
    let kinds = [
        (Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE),
        (Kind::Limited, StatusCode::TOO_MANY_REQUESTS),
        (Kind::Busy, StatusCode::SERVICE_UNAVAILABLE),
    ];
    let status = kinds.iter().find(|(kind, _)| *kind == problem.kind());
    // Else it is not there, or not whole.
    let status = status.map_or(StatusCode::BAD_REQUEST, |(_, status)| *status);
    told(status, problem.detail())
}

/// An answer of this status that says why.
pub(super) fn told(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}
