//! Why a request was not carried out, as problem details (RFC 9457).

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::inbox::InboxError;
use crate::queue::QueueError;
use crate::twin::TwinError;

/// When to come again while there is no room.
const ROOM_AFTER: u64 = 30;

/// Why a request was not carried out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `about:blank`: the status says what kind it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and what to do.
    detail: String,
    /// After how many seconds to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(super) fn later(status: StatusCode, detail: String, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(status, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let detail = error.to_string();
        match error {
            QueueError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            QueueError::Invalid { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            QueueError::Crowded { .. } | QueueError::DiskFull => {
                Self::later(StatusCode::INSUFFICIENT_STORAGE, detail, ROOM_AFTER)
            }
            QueueError::Busy { retry_after } => {
                let seconds = retry_after.as_secs().max(1);
                Self::later(StatusCode::TOO_MANY_REQUESTS, detail, seconds)
            }
            QueueError::Closing => Self::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1),
            QueueError::Store(source) => {
                tracing::error!(error = %source, "the queue failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Gone => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            InboxError::Otherwise => Self::new(StatusCode::CONFLICT, error.to_string()),
            InboxError::Queue(error) => error.into(),
        }
    }
}

impl From<TwinError> for Problem {
    fn from(error: TwinError) -> Self {
        let status = match &error {
            TwinError::Unfit(_) | TwinError::Reserved => StatusCode::UNPROCESSABLE_ENTITY,
            TwinError::Disk { source, .. } => {
                tracing::error!(error = %source, "the twin cannot be kept");
                StatusCode::INSUFFICIENT_STORAGE
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, rejection.body_text())
    }
}
