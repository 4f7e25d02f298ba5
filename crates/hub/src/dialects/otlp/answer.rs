//! Answers in the encoding of the request.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use outgate_wire::otlp::{Code, Encoding, Reply, status};

use crate::api::{Kind, Problem};

/// When to come again if the disk is full: room is made by people, or once a minute.
const FULL_RETRY: Duration = Duration::from_secs(60);

/// The answer that a request was taken, perhaps in part.
pub(super) fn taken(encoding: Encoding, reply: &Reply) -> Response {
    (headers(encoding), reply.to_bytes(encoding)).into_response()
}

/// The answer that nothing of a request was taken. What can be sent again later is told with one of
/// the statuses after which senders do so: 429 and 503.
pub(super) fn refused(encoding: Encoding, problem: Problem) -> Response {
    let detail = problem.detail().to_owned();
    let full = problem.kind() == Kind::Full;
    let mut response = problem.into_response();
    response.headers_mut().extend(headers(encoding));
    if full {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        let wait = HeaderValue::from(FULL_RETRY.as_secs());
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    let body = status(encoding, code(response.status()), &detail);
    *response.body_mut() = body.into();
    response
}

fn headers(encoding: Encoding) -> HeaderMap {
    let media_type = HeaderValue::from_static(encoding.media_type());
    HeaderMap::from_iter([(CONTENT_TYPE, media_type)])
}

fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        status if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Internal,
    }
}
