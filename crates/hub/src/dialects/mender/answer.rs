//! Refusals in the words of a Mender server.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use outgate_core::Refusal;
use outgate_core::sessions::Ending;
use serde_json::json;

use crate::api::ApiProblem;

/// Why a client does not get what it asks for.
pub(super) struct Refused(pub(super) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Ending> for Refused {
    fn from(ending: Ending) -> Self {
        Self(match ending {
            Ending::Draining | Ending::Replaced => Refusal::Draining,
            Ending::Revoked | Ending::Expired | Ending::Dismissed => Refusal::Unauthenticated,
        })
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            // A client that gets this asks to be let in anew, and waits when that fails too.
            Refusal::Unauthenticated | Refusal::Revoked | Refusal::AwaitsApproval => {
                StatusCode::UNAUTHORIZED
            }
            Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
            Refusal::NotFound { .. } => StatusCode::NOT_FOUND,
            // The deployment was aborted; the client stops.
            Refusal::Conflict { .. } | Refusal::Exists { .. } => StatusCode::CONFLICT,
            Refusal::Invalid { .. } => StatusCode::BAD_REQUEST,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooMany { .. } | Refusal::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Offline { .. }
            | Refusal::TakesNoCalls { .. }
            | Refusal::DeadlineExceeded
            | Refusal::Expired { .. }
            | Refusal::Full
            | Refusal::Draining
            | Refusal::Randomness
            | Refusal::Store(_)
            | Refusal::Internal(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let wait = if let Refusal::Limited { retry_after, .. } = &self.0 {
            Some(retry_after.as_secs().max(1))
        } else {
            None
        };
        // As the API has it, which logs what is not to be told.
        let problem = ApiProblem::from(self.0);
        let body = json!({"error": problem.detail()});
        let mut response = (status, axum::Json(body)).into_response();
        if let Some(wait) = wait {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}
