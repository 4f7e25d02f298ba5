//! Reading requests strictly: what is not documented is refused, and told as a problem.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::bodies::Held;
use crate::api::bounds::{BODY_WITHIN, MAX_BODY};
use crate::api::problem::{Kind, Problem};

/// The names in a path. One that cannot be a name is the name of nothing: not found.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = axum::extract::Path::from_request_parts(parts, state).await;
        match taken {
            Ok(axum::extract::Path(names)) => Ok(Self(names)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::new(Kind::NotFound, "no such thing"))
            }
            Err(other) => Err(Problem::new(Kind::Malformed, other.body_text())),
        }
    }
}

/// What follows the question mark.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = axum::extract::Query::from_request_parts(parts, state).await;
        taken
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|refused| Problem::new(Kind::Malformed, refused.body_text()))
    }
}

/// A body in JSON.
pub(crate) struct Given<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Given<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        from_json(request, "application/json").await.map(Self)
    }
}

/// A merge patch (RFC 7396).
pub(crate) struct MergePatch(pub(crate) serde_json::Value);

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        from_json(request, "application/merge-patch+json")
            .await
            .map(Self)
    }
}

async fn from_json<T: DeserializeOwned>(request: Request, wanted: &str) -> Result<T, Problem> {
    from_json_within(request, wanted, MAX_BODY, BODY_WITHIN).await
}

/// A body in JSON of at most so many bytes, which comes within that time.
pub(crate) async fn from_json_within<T: DeserializeOwned>(
    request: Request,
    wanted: &str,
    most: usize,
    within: Duration,
) -> Result<T, Problem> {
    if !is_of_type(request.headers(), wanted) {
        let detail = format!("Content-Type: {wanted} is needed");
        return Err(Problem::new(Kind::MediaType, detail));
    }
    let (parts, body) = request.into_parts();
    let held = parts.extensions.get::<Held>();
    let bytes = whole_within(body, held, most, within).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let kind = match error.classify() {
            serde_json::error::Category::Data => Kind::Invalid,
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Kind::Malformed,
        };
        Problem::new(kind, error.to_string())
    })
}

fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    given
        .and_then(|given| given.split(';').next())
        .is_some_and(|given| given.trim().eq_ignore_ascii_case(wanted))
}

/// All of a body, if it is not too large and comes in time.
pub(crate) async fn whole(body: Body, held: Option<&Held>) -> Result<Bytes, Problem> {
    whole_within(body, held, MAX_BODY, BODY_WITHIN).await
}

/// As [`whole`], with other bounds.
pub(crate) async fn whole_within(
    body: Body,
    held: Option<&Held>,
    most: usize,
    within: Duration,
) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(within, read(body, held, most)).await;
    read.unwrap_or_else(|_| Err(Problem::new(Kind::TooSlow, "the body came too slowly")))
}

/// Reads a body; what has come of it counts as `held`.
async fn read(body: Body, held: Option<&Held>, most: usize) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, most);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let detail = format!("a body has at most {most} bytes here");
                Problem::new(Kind::TooLarge, detail)
            } else {
                Problem::new(Kind::Malformed, "the body broke off")
            }
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if let Some(held) = held {
            held.reach(whole.len() + data.len())?;
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The version that `If-Match` (RFC 9110, section 13.1.1) says is the one to change; `None` when
/// any will do.
pub(crate) struct IfMatch(pub(crate) Option<u64>);

/// A version that nothing ever has, for tags that are not ours.
const NO_VERSION: u64 = u64::MAX;

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut all = parts.headers.get_all(IF_MATCH).iter();
        let (Some(tag), None) = (all.next(), all.next()) else {
            return match parts.headers.contains_key(IF_MATCH) {
                true => Err(one_tag()),
                false => Ok(Self(None)),
            };
        };
        let tag = tag.to_str().map_err(|_| one_tag())?.trim();
        if tag == "*" {
            return Ok(Self(None));
        }
        // A weak tag never matches here (RFC 9110, section 13.1.1).
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        let inner = strong
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|inner| !inner.contains('"'))
            .ok_or_else(one_tag)?;
        let version = match tag.starts_with("W/") {
            true => NO_VERSION,
            false => inner.parse().unwrap_or(NO_VERSION),
        };
        // The store counts in signed numbers.
        Ok(Self(Some(version.min(i64::MAX.unsigned_abs()))))
    }
}

fn one_tag() -> Problem {
    Problem::new(Kind::Malformed, "If-Match: one quoted tag, or *, is needed")
}

/// An answer in JSON with the version it shows as its entity tag.
pub(crate) struct Tagged<T> {
    /// The status.
    pub(crate) status: StatusCode,
    /// Shown as `"VERSION"`.
    pub(crate) version: u64,
    /// The body.
    pub(crate) body: T,
}

impl<T> Tagged<T> {
    pub(crate) fn ok(version: u64, body: T) -> Self {
        Self {
            status: StatusCode::OK,
            version,
            body,
        }
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::try_from(format!("\"{}\"", self.version));
        let mut response = (self.status, axum::Json(self.body)).into_response();
        if let Ok(tag) = tag {
            response.headers_mut().insert(http::header::ETAG, tag);
        }
        response
    }
}

/// An answer in JSON that something new has been made, and where it is.
pub(crate) struct Created<T> {
    /// Its path.
    pub(crate) location: String,
    /// Shown as its entity tag, if it has versions.
    pub(crate) version: Option<u64>,
    /// The body.
    pub(crate) body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, axum::Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::try_from(self.location) {
            headers.insert(http::header::LOCATION, location);
        }
        let tag = self.version.map(|version| format!("\"{version}\""));
        if let Some(Ok(tag)) = tag.map(HeaderValue::try_from) {
            headers.insert(http::header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn if_match(values: &[&str]) -> Result<Option<u64>, Kind> {
        let mut request = http::Request::new(());
        for value in values {
            request
                .headers_mut()
                .append(IF_MATCH, value.parse().unwrap());
        }
        let (mut parts, ()) = request.into_parts();
        IfMatch::from_request_parts(&mut parts, &())
            .await
            .map(|it| it.0)
            .map_err(|problem| problem.kind())
    }

    #[tokio::test]
    async fn only_one_strong_tag_of_ours_can_match() {
        assert_eq!(if_match(&[]).await, Ok(None));
        assert_eq!(if_match(&["*"]).await, Ok(None));
        assert_eq!(if_match(&["\"7\""]).await, Ok(Some(7)));
        let never = Ok(Some(i64::MAX.unsigned_abs()));
        assert_eq!(if_match(&["W/\"7\""]).await, never);
        assert_eq!(if_match(&["\"seven\""]).await, never);
        for wrong in [&["7"][..], &["\"7\", \"8\""], &["\"7\"", "\"8\""], &["\""]] {
            assert_eq!(if_match(wrong).await, Err(Kind::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn a_charset_beside_the_type_does_not_matter() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
            is_of_type(&headers, "application/json")
        };
        assert!(of("Application/JSON; charset=utf-8"));
        assert!(!of("application/jsonp"));
        assert!(!of("text/plain"));
    }
}
