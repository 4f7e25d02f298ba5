//! How clients of Azure's storage are answered.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use outgate_azure::storage::condition::http_date;
use outgate_azure::storage::problem::Problem;
use outgate_core::files::{BLOCK, File};
use outgate_core::sessions::Ending;
use outgate_core::{Clock, Refusal};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The version that whoever names none is answered in.
const VERSION: HeaderValue = HeaderValue::from_static("2023-11-03");

/// The most bytes of what a client calls its request: Azure's 1 KiB.
const MAX_CLIENT_ID: usize = 1_024;

const X_MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const X_MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const X_MS_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
pub(super) const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// Why something was not done, with a header that says more.
#[derive(Debug)]
pub(super) struct Refused {
    problem: Problem,
    header: Option<(HeaderName, HeaderValue)>,
}

/// What every answer to a request has.
pub(super) struct Told {
    id: String,
    date: String,
    version: HeaderValue,
    client_id: Option<HeaderValue>,
}

impl Told {
    /// To a request with these headers, now.
    pub(super) fn of(headers: &HeaderMap, clock: &Clock) -> Self {
        let client_id = headers.get(X_MS_CLIENT_REQUEST_ID);
        Self {
            id: request_id(),
            date: http_date(unsigned_seconds(clock.now())),
            version: headers.get(X_MS_VERSION).cloned().unwrap_or(VERSION),
            client_id: client_id.filter(|id| id.len() <= MAX_CLIENT_ID).cloned(),
        }
    }

    pub(super) fn answered(self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(X_MS_VERSION, self.version);
        if let Some(id) = self.client_id {
            headers.insert(X_MS_CLIENT_REQUEST_ID, id);
        }
        insert(headers, X_MS_REQUEST_ID, &self.id);
        insert(headers, DATE, &self.date);
        response
    }

    pub(super) fn refused(self, refused: Refused) -> Response {
        let problem = refused.problem;
        let document = problem.document(&self.id, &self.date);
        let mut response = Response::new(Body::from(document));
        *response.status_mut() =
            StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, XML);
        headers.insert(ERROR_CODE, HeaderValue::from_static(problem.code()));
        if let Some((name, value)) = refused.header {
            headers.insert(name, value);
        }
        self.answered(response)
    }
}

/// The type of what is told in XML.
pub(super) const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// An answer without anything in it.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Which file it is that was asked for or made.
pub(super) fn identify(headers: &mut HeaderMap, file: &File) {
    insert(headers, ETAG, &tag(file));
    let changed = http_date(unsigned_seconds(file.changed));
    insert(headers, LAST_MODIFIED, &changed);
}

/// The entity tag of a file (RFC 9110, section 8.8.3).
pub(super) fn tag(file: &File) -> String {
    format!("\"{}\"", file.tag)
}

/// A header, if the text can be one.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

pub(super) fn unsigned_seconds(moment: outgate_core::Timestamp) -> u64 {
    u64::try_from(moment.as_millis().div_euclid(1_000)).unwrap_or_default()
}

/// What a request is called: random, in the form of a UUID.
fn request_id() -> String {
    let mut bytes = [0_u8; 16];
    // Nothing depends on it but who looks for it in two logs.
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return "00000000-0000-0000-0000-000000000000".to_owned();
    }
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts = parts.map(|part| hex.get(part).unwrap_or_default());
    parts.join("-")
}

impl Refused {
    /// With a header that says more.
    pub(super) fn with(problem: Problem, name: HeaderName, text: &str) -> Self {
        let value = HeaderValue::from_str(text).ok();
        Self {
            problem,
            header: value.map(|value| (name, value)),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            header: None,
        }
    }
}

impl From<Ending> for Refused {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Draining | Ending::Replaced => Problem::ServerBusy.into(),
            Ending::Revoked | Ending::Expired | Ending::Dismissed => {
                Problem::AuthenticationFailed.into()
            }
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Limited { retry_after, .. } = &refusal {
            let seconds = retry_after.as_secs().max(1).to_string();
            return Self::with(Problem::ServerBusy, RETRY_AFTER, &seconds);
        }
        problem(&refusal).into()
    }
}

/// What was refused, in Azure's words.
fn problem(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::Unauthenticated | Refusal::Revoked | Refusal::AwaitsApproval => {
            Problem::AuthenticationFailed
        }
        Refusal::Forbidden { .. } => Problem::AuthorizationPermissionMismatch,
        Refusal::NotFound { what: "block", .. } => Problem::InvalidBlockList,
        Refusal::NotFound { .. } => Problem::BlobNotFound,
        Refusal::Exists { .. } => Problem::BlobAlreadyExists,
        Refusal::Invalid { field, .. } if field == BLOCK => Problem::InvalidBlobOrBlock,
        Refusal::Invalid { .. } => Problem::InvalidHeaderValue,
        Refusal::Conflict { .. } => Problem::ConditionNotMet,
        Refusal::TooLarge { what, .. } if *what == "bytes of a file" => {
            Problem::RequestBodyTooLarge
        }
        Refusal::TooMany { what, .. } if what.contains("block") => Problem::BlockCountExceedsLimit,
        Refusal::TooLarge { .. } | Refusal::TooMany { .. } => Problem::QuotaExceeded,
        Refusal::Full => Problem::InsufficientStorage,
        Refusal::Limited { .. } | Refusal::Draining => Problem::ServerBusy,
        Refusal::Offline { .. }
        | Refusal::TakesNoCalls { .. }
        | Refusal::DeadlineExceeded
        | Refusal::Expired { .. }
        | Refusal::Randomness
        | Refusal::Store(_)
        | Refusal::Internal(_) => {
            tracing::error!(%refusal, "a file cannot be put or got");
            Problem::InternalError
        }
    }
}
