//! What both sides of IoT Hub's HTTPS have in common: who asks, bodies, and what is told of what
//! goes wrong.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use outgate_azure::sas::Token;
use outgate_azure::service::ErrorCode;
use outgate_core::clock::Timestamp;
use outgate_core::refusal::Refusal;
use outgate_core::sessions::Ending;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::api::{BODY_WITHIN, Held, Kind, Problem, whole_within};

/// Under which an error's name is told beside the body.
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");

/// What a refusal is called by clients of IoT Hub, and why.
#[derive(Debug)]
pub(super) struct Failure {
    code: ErrorCode,
    why: String,
    retry_after: Option<u64>,
}

impl Failure {
    /// Something went wrong.
    pub(super) fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
            retry_after: None,
        }
    }

    /// What was said is not what it must be.
    pub(super) fn argument(why: impl Into<String>) -> Self {
        Self::new(ErrorCode::ArgumentInvalid, why)
    }

    /// What it is called.
    pub(super) fn code(&self) -> ErrorCode {
        self.code
    }

    /// Why, for people.
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let mut retry_after = None;
        if let Refusal::Limited {
            retry_after: wait, ..
        } = &refusal
        {
            retry_after = Some(wait.as_secs().max(1));
        }
        let code = match &refusal {
            Refusal::Unauthenticated | Refusal::Revoked | Refusal::AwaitsApproval => {
                ErrorCode::Unauthorized
            }
            Refusal::Forbidden { .. } => ErrorCode::Forbidden,
            Refusal::NotFound { what: "device", .. } => ErrorCode::DeviceNotFound,
            Refusal::NotFound { .. } | Refusal::Expired { .. } => ErrorCode::NotFound,
            Refusal::Exists { .. } => ErrorCode::DeviceAlreadyExists,
            Refusal::Invalid { .. } => ErrorCode::ArgumentInvalid,
            Refusal::Conflict {
                what: "the command",
            } => ErrorCode::MessageLockLost,
            Refusal::Conflict { .. } => ErrorCode::PreconditionFailed,
            Refusal::TooLarge { .. } => ErrorCode::TooLarge,
            Refusal::Limited {
                what: "commands in the device's queue",
                ..
            } => ErrorCode::QueueFull,
            Refusal::TooMany { .. } | Refusal::Limited { .. } => ErrorCode::Throttled,
            Refusal::Offline { .. } | Refusal::TakesNoCalls { .. } => ErrorCode::DeviceNotOnline,
            Refusal::DeadlineExceeded => ErrorCode::GatewayTimeout,
            Refusal::Full | Refusal::Draining => ErrorCode::Unavailable,
            Refusal::Randomness | Refusal::Store(_) | Refusal::Internal(_) => {
                ErrorCode::ServerError
            }
        };
        if code == ErrorCode::ServerError {
            tracing::error!(error = %refusal, "something asked for in Azure's words failed");
        }
        let why = if code == ErrorCode::ServerError {
            // What is told of the store is for the log.
            "something of the hub's is wrong".to_owned()
        } else {
            refusal.to_string()
        };
        Self {
            code,
            why,
            retry_after,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kinds = [
            (Kind::TooLarge, ErrorCode::TooLarge),
            (Kind::Limited, ErrorCode::Throttled),
            (Kind::Busy, ErrorCode::Unavailable),
        ];
        let code = kinds.iter().find(|(kind, _)| *kind == problem.kind());
        // Else it is a body that is not there, or not whole.
        let code = code.map_or(ErrorCode::ArgumentInvalid, |(_, code)| *code);
        Self::new(code, problem.detail())
    }
}

impl From<Ending> for Failure {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Draining | Ending::Replaced => Refusal::Draining.into(),
            Ending::Revoked | Ending::Expired | Ending::Dismissed => {
                Refusal::Unauthenticated.into()
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // There is nothing to be found by it: what is logged says enough by itself.
        let body = self.code.body(&self.why, "-");
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code.name()));
        if status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("SharedAccessSignature");
            headers.insert(WWW_AUTHENTICATE, how);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The token that a request shows, if it shows one and no other.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let header = match (all.next(), all.next()) {
        (None, _) => return Ok(None),
        (Some(header), None) => header,
        (Some(_), Some(_)) => return Err(Refusal::Unauthenticated),
    };
    let text = header.to_str().map_err(|_| Refusal::Unauthenticated)?;
    let token = Token::parse(text).map_err(|error| {
        tracing::debug!(%error, "a shared access signature cannot be read");
        Refusal::Unauthenticated
    })?;
    Ok(Some(token))
}

/// Until when a token holds.
pub(super) fn until(token: &Token) -> Timestamp {
    let seconds = i64::try_from(token.expires()).unwrap_or(i64::MAX);
    Timestamp::from_millis(seconds.saturating_mul(1_000))
}

/// The steps of a path, decoded.
pub(super) fn steps(path: &str) -> Vec<String> {
    let steps = path.split('/').filter(|step| !step.is_empty());
    let decoded = steps.map(|step| percent_decode_str(step).decode_utf8_lossy().into_owned());
    decoded.collect()
}

/// A body of at most `most` bytes.
pub(super) async fn whole(body: Body, held: &Held, most: usize) -> Result<Bytes, Failure> {
    Ok(whole_within(body, Some(held), most, BODY_WITHIN).await?)
}

/// The same as JSON.
pub(super) async fn json<T: DeserializeOwned>(
    body: Body,
    held: &Held,
    most: usize,
) -> Result<T, Failure> {
    let bytes = whole(body, held, most).await?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::argument(error.to_string()))
}

/// A header that is a text, if it is there.
///
/// # Errors
/// When it is none.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let text = headers.get(name).map(HeaderValue::to_str).transpose();
    text.map_err(|_| Failure::argument(format!("{name}: plain text")))
}

/// A text as a header, if it can be one.
pub(super) fn put(headers: &mut HeaderMap, name: &str, text: &str) {
    let name = HeaderName::try_from(name);
    if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(text)) {
        headers.insert(name, value);
    }
}

/// A field of a query, decoded.
pub(super) fn field<'a>(query: Option<&'a str>, wanted: &str) -> Option<std::borrow::Cow<'a, str>> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == wanted)?;
    percent_decode_str(value).decode_utf8().ok()
}
