//! Why a request was not carried out, as problem details (RFC 9457). The only place where a
//! refusal becomes a status.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::Refusal;

/// When to come again if the hub is on its way down or up.
const DRAINING_RETRY: Duration = Duration::from_secs(5);

/// The kinds of problems; each has an address of its own below `/problems/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No credential, or one that does not hold.
    Unauthenticated,
    /// Known, and not allowed.
    Forbidden,
    /// What was to act, or to be acted on, has been revoked.
    Revoked,
    /// The enrolment waits for an operator.
    AwaitsApproval,
    /// No such thing, or none that the caller may see.
    NotFound,
    /// Not with this method.
    MethodNotAllowed,
    /// The body did not come in time.
    TooSlow,
    /// There is one of that name already.
    Exists,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// Something else needs it.
    InUse,
    /// A request with the same idempotency key has begun, and what came of it is not known.
    Unsettled,
    /// The device is not connected.
    Offline,
    /// What was asked for is no longer kept.
    Expired,
    /// The version in `If-Match` is not the one that is kept.
    Precondition,
    /// Larger than the stated limit.
    TooLarge,
    /// The address is too long.
    AddressTooLong,
    /// The body is of a type that is not taken here.
    MediaType,
    /// The request cannot be read.
    Malformed,
    /// The request can be read, and a value is not what it must be.
    Invalid,
    /// The idempotency key was used for another request.
    KeyReused,
    /// Too often, or too many at once.
    Limited,
    /// As many of them are kept as may be.
    TooMany,
    /// Something of ours is wrong.
    Internal,
    /// The hub is going down or starting.
    Draining,
    /// All callers together ask for more than the hub carries at once.
    Busy,
    /// The device is connected and takes no calls.
    TakesNoCalls,
    /// The device did not answer in time.
    DeadlineExceeded,
    /// The disk has no more room.
    Full,
    /// What is asked for the caller answers wrongly, or not at all.
    Upstream,
    /// What is asked for the caller does not answer in time.
    UpstreamLate,
    /// What is asked for the caller has failed, and is left alone for a while.
    UpstreamAway,
}

impl Kind {
    /// Every kind, for the documentation.
    pub(crate) const ALL: [Self; 31] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Revoked,
        Self::AwaitsApproval,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooSlow,
        Self::Exists,
        Self::Conflict,
        Self::InUse,
        Self::Unsettled,
        Self::Offline,
        Self::TakesNoCalls,
        Self::Expired,
        Self::Precondition,
        Self::TooLarge,
        Self::AddressTooLong,
        Self::MediaType,
        Self::Malformed,
        Self::Invalid,
        Self::KeyReused,
        Self::Limited,
        Self::TooMany,
        Self::Internal,
        Self::Draining,
        Self::Busy,
        Self::DeadlineExceeded,
        Self::Full,
        Self::Upstream,
        Self::UpstreamLate,
        Self::UpstreamAway,
    ];

    /// Its status, the last part of its address, and its title.
    pub(crate) fn told(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "No valid token"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed"),
            Self::Revoked => (S::FORBIDDEN, "revoked", "Access has been revoked"),
            Self::AwaitsApproval => (S::FORBIDDEN, "awaits-approval", "Waits for approval"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "No such thing"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Not with this method",
            ),
            Self::TooSlow => (S::REQUEST_TIMEOUT, "too-slow", "The body came too slowly"),
            Self::Exists => (S::CONFLICT, "exists", "Exists already"),
            Self::Conflict => (S::CONFLICT, "conflict", "Changed meanwhile"),
            Self::InUse => (S::CONFLICT, "in-use", "Something else needs it"),
            Self::Unsettled => (
                S::CONFLICT,
                "unsettled",
                "An earlier request with this idempotency key has no known outcome",
            ),
            Self::Offline => (S::CONFLICT, "offline", "The device is not connected"),
            Self::TakesNoCalls => (
                S::CONFLICT,
                "takes-no-calls",
                "The device is connected and takes no calls",
            ),
            Self::Expired => (S::GONE, "expired", "No longer kept"),
            Self::Precondition => (
                S::PRECONDITION_FAILED,
                "precondition",
                "Not the version that If-Match names",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::AddressTooLong => (S::URI_TOO_LONG, "address-too-long", "Address too long"),
            Self::MediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "Not a type of body that is taken here",
            ),
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Invalid => (S::UNPROCESSABLE_ENTITY, "invalid", "A value is not right"),
            Self::KeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "key-reused",
                "The idempotency key was used for another request",
            ),
            Self::Limited => (S::TOO_MANY_REQUESTS, "limited", "Too many"),
            Self::TooMany => (S::CONFLICT, "too-many", "One must go first"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Trouble in the hub"),
            Self::Draining => (S::SERVICE_UNAVAILABLE, "draining", "Not ready"),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy", "Too much at once"),
            Self::DeadlineExceeded => (
                S::GATEWAY_TIMEOUT,
                "deadline-exceeded",
                "The device did not answer in time",
            ),
            Self::Full => (S::INSUFFICIENT_STORAGE, "full", "The hub's disk is full"),
            Self::Upstream | Self::UpstreamLate | Self::UpstreamAway => self.told_of_upstream(),
        }
    }

    fn told_of_upstream(self) -> (StatusCode, &'static str, &'static str) {
        if self == Self::UpstreamLate {
            let title = "What was asked did not answer in time";
            (StatusCode::GATEWAY_TIMEOUT, "upstream-late", title)
        } else if self == Self::UpstreamAway {
            let title = "What was asked is left alone for a while";
            (StatusCode::SERVICE_UNAVAILABLE, "upstream-away", title)
        } else {
            let title = "What was asked answers wrongly";
            (StatusCode::BAD_GATEWAY, "upstream", title)
        }
    }
}

/// Why a request was not carried out.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    field: Option<String>,
    oldest: Option<u64>,
    retry_after: Option<Duration>,
}

/// Problem details (RFC 9457) as they are written.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Written {
    /// What kind of problem it is: an address that does not change, and can be looked up at the
    /// hub.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found", format = "uri-reference")]
    kind: String,
    /// The same in a few words.
    #[schema(example = "No such thing")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    #[schema(example = "no device till-7")]
    detail: String,
    /// Which value is not right, for `/problems/invalid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The oldest place that is still kept, for `/problems/expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<u64>,
}

impl Problem {
    /// A problem of a kind, and what happened this time.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            field: None,
            oldest: None,
            retry_after: None,
        }
    }

    /// Nobody could be made out.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, detail)
    }

    /// Too many of something.
    pub(crate) fn limited(what: &'static str, retry_after: Duration) -> Self {
        Refusal::Limited { what, retry_after }.into()
    }

    /// All callers together ask for more of something than there is.
    pub(crate) fn busy(what: &str, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                Kind::Busy,
                format!("too much at once of all callers: {what}"),
            )
        }
    }

    /// What is asked for the caller is left alone for so long.
    pub(crate) fn away(detail: &str, left: Duration) -> Self {
        Self {
            retry_after: Some(left),
            ..Self::new(Kind::UpstreamAway, detail)
        }
    }

    /// The same problem where the request named the version it expects: a change meanwhile is
    /// then a failed precondition (RFC 9110, section 15.5.13).
    pub(crate) fn of_conditional(mut self) -> Self {
        if self.kind == Kind::Conflict {
            self.kind = Kind::Precondition;
        }
        self
    }

    /// What kind it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What happened this time.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// As it is written in a body.
    pub(crate) fn written(self) -> Written {
        let (status, slug, title) = self.kind.told();
        Written {
            kind: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            field: self.field,
            oldest: self.oldest,
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.kind == Kind::Unauthenticated {
            let challenge = HeaderValue::from_static("Bearer realm=\"outgate\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(wait) = self.retry_after {
            // Rounded up: whoever comes at the time named is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        headers
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let mut problem = Self::new(Kind::Internal, detail);
        problem.kind = match refusal {
            Refusal::Unauthenticated => Kind::Unauthenticated,
            Refusal::Forbidden { .. } => Kind::Forbidden,
            Refusal::Revoked => Kind::Revoked,
            Refusal::AwaitsApproval => Kind::AwaitsApproval,
            Refusal::NotFound { .. } => Kind::NotFound,
            Refusal::Exists { .. } => Kind::Exists,
            Refusal::Invalid { field, .. } => {
                problem.field = Some(field);
                Kind::Invalid
            }
            Refusal::Conflict { .. } => Kind::Conflict,
            Refusal::TooLarge { .. } => Kind::TooLarge,
            Refusal::TooMany { .. } => Kind::TooMany,
            Refusal::Limited { retry_after, .. } => {
                problem.retry_after = Some(retry_after);
                Kind::Limited
            }
            Refusal::Offline { .. } => Kind::Offline,
            Refusal::TakesNoCalls { .. } => Kind::TakesNoCalls,
            Refusal::DeadlineExceeded => Kind::DeadlineExceeded,
            Refusal::Expired { oldest } => {
                problem.oldest = Some(oldest);
                Kind::Expired
            }
            Refusal::Full => Kind::Full,
            Refusal::Draining => {
                problem.retry_after = Some(DRAINING_RETRY);
                Kind::Draining
            }
            Refusal::Randomness | Refusal::Store(_) | Refusal::Internal(_) => {
                tracing::error!(error = %refusal, source = ?std::error::Error::source(&refusal), "a request failed");
                problem.detail = "the hub's log says more".to_owned();
                Kind::Internal
            }
        };
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, _, _) = self.kind.told();
        let headers = self.headers();
        let body = serde_json::to_vec(&self.written()).unwrap_or_default();
        (status, headers, body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_of_ours_is_not_told_in_detail() {
        let problem = Problem::from(Refusal::Internal("the vault lies in /var/lib"));
        assert_eq!(problem.kind, Kind::Internal);
        assert!(!problem.detail.contains("vault"), "{}", problem.detail);
    }

    #[test]
    fn a_limit_says_when_to_come_again_and_never_too_early() {
        let problem = Problem::limited("requests", Duration::from_millis(1_200));
        assert_eq!(problem.headers()[RETRY_AFTER], "2");
        let problem = Problem::limited("requests", Duration::ZERO);
        assert_eq!(problem.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn only_a_missing_login_asks_for_one() {
        assert!(
            Problem::unauthenticated("")
                .headers()
                .contains_key(WWW_AUTHENTICATE)
        );
        let forbidden = Problem::from(Refusal::forbidden("x"));
        assert!(!forbidden.headers().contains_key(WWW_AUTHENTICATE));
    }

    #[test]
    fn every_kind_has_an_address_of_its_own() {
        let slugs: std::collections::BTreeSet<_> = Kind::ALL.map(|kind| kind.told().1).into();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
