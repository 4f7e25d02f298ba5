//! What is shown in place of a page.

use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use maud::html;
use outgate_core::Refusal;

use super::page;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Trouble(Refusal);

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title) = match &self.0 {
            Refusal::Unauthenticated | Refusal::Revoked | Refusal::AwaitsApproval => {
                return Redirect::to("/console/login").into_response();
            }
            Refusal::NotFound { .. } => (StatusCode::NOT_FOUND, "Not found"),
            Refusal::Forbidden { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
            Refusal::Invalid { .. } | Refusal::TooLarge { .. } => {
                (StatusCode::BAD_REQUEST, "This cannot be asked for")
            }
            Refusal::Limited { .. }
            | Refusal::Draining
            | Refusal::Full
            | Refusal::Offline { .. }
            | Refusal::TakesNoCalls { .. }
            | Refusal::DeadlineExceeded
            | Refusal::Expired { .. }
            | Refusal::Exists { .. }
            | Refusal::TooMany { .. }
            | Refusal::Conflict { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Not now"),
            Refusal::Randomness | Refusal::Store(_) | Refusal::Internal(_) => {
                tracing::error!(error = ?self.0, "a page of the console failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The hub failed")
            }
        };
        let body = html! {
            h1 { (title) }
            p { (self.0) "." }
            p { a href="/" { "All devices" } }
        };
        (status, page::bare(title, &body)).into_response()
    }
}
