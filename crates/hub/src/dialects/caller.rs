//! Devices and services that ask over HTTP, and their sessions for as long as the answer takes.

use std::sync::Arc;

use axum::BoxError;
use axum::Extension;
use axum::body::HttpBody as _;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Uri};
use outgate_core::identity::Principal;
use outgate_core::limits::Share;
use outgate_core::sessions::{Ending, Pass, Session};
use outgate_core::{Core, Refusal};
use outgate_door::Facts;

use super::login;
use crate::api::{ApiProblem, ended, turned_away};
use crate::http::{Cut, watched};

/// Somebody who asks, made out and still in good standing. Keeping a copy keeps their session.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Arc<Session>);

impl Caller {
    /// Their session.
    pub(crate) fn session(&self) -> &Session {
        &self.0
    }
}

impl From<Session> for Caller {
    fn from(session: Session) -> Self {
        Self(Arc::new(session))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Refusal::Internal("a route without a login was asked who asks").into())
    }
}

/// Lets only those pass who can be made out, as a session over the dialect of that name; drops what
/// they asked for when that ends, and breaks off what they are still being sent.
pub(crate) async fn authenticate(
    State((core, via)): State<(Core, &'static str)>,
    Extension(facts): Extension<Facts>,
    cut: Cut,
    request: Request,
    next: Next,
) -> Response {
    match sign_in(&core, via, &facts, request.headers()).await {
        Ok(caller) => answered(caller, cut, request, next).await,
        Err(refusal) => turned_away(refusal).into_response(),
    }
}

/// What `caller` is answered, who has been made out.
pub(super) async fn answered(
    caller: Caller,
    cut: Cut,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(caller.clone());
    let answer = async { Ok(next.run(request).await) };
    guarded(caller, cut, answer)
        .await
        .unwrap_or_else(|ending: Ending| ended(ending).into_response())
}

/// What `answer` comes to, for as long as the session of who asks lasts: it is dropped when that
/// ends, and what they are still being sent is broken off.
///
/// # Errors
/// What `answer` fails with; how the session has ended.
pub(super) async fn guarded<E: From<Ending>>(
    caller: Caller,
    cut: Cut,
    answer: impl Future<Output = Result<Response, E>>,
) -> Result<Response, E> {
    let mut response = tokio::select! {
        response = answer => response?,
        ending = caller.0.ended() => return Err(ending.into()),
    };
    // What has no content may speak of the length of what it stands for (RFC 9110 §8.6).
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|length| *length > 0) {
        // Which the body that follows does not know.
        let headers = response.headers_mut();
        let length = HeaderValue::from(length);
        headers.entry(CONTENT_LENGTH).or_insert(length);
    }
    Ok(response.map(|body| {
        let over = caller.clone();
        let over = async move {
            over.0.ended().await;
        };
        let parts = until_ended(body.into_data_stream(), caller);
        Body::from_stream(watched(parts, cut, over))
    }))
}

/// The parts of an answer, broken off when the session of who asked ends.
fn until_ended(
    parts: BodyDataStream,
    caller: Caller,
) -> impl Stream<Item = Result<Bytes, BoxError>> {
    stream::unfold(Some((parts, caller)), |rest| async {
        let (mut parts, caller) = rest?;
        tokio::select! {
            biased;
            _ = caller.0.ended() => Some((Err("access has ended".into()), None)),
            part = parts.next() => {
                let part = part?.map_err(BoxError::from);
                Some((part, Some((parts, caller))))
            }
        }
    })
}

/// The hub's address as the client knows it: over HTTP/2 its name stands beside the path.
///
/// # Errors
/// [`Refusal::Invalid`] when the client does not say it, or what it says is no name of a host.
pub(super) fn hub(facts: &Facts, uri: &Uri, headers: &HeaderMap) -> Result<String, Refusal> {
    let scheme = if facts.tls.is_some() { "https" } else { "http" };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(Authority::as_str));
    let host = host.filter(|host| host.parse::<Authority>().is_ok() && !host.contains('@'));
    let host = host.ok_or_else(|| Refusal::invalid("Host", "the hub's name"))?;
    Ok(format!("{scheme}://{host}"))
}

/// Whose share of what is bounded is used by a device that asks for one thing.
///
/// # Errors
/// [`Refusal::Forbidden`] when it is no device.
pub(super) fn share(pass: &Pass) -> Result<Share, Refusal> {
    pass.device()?;
    Ok(share_of_anyone(pass))
}

/// Whose share of what is bounded is used by anyone.
pub(super) fn share_of_anyone(pass: &Pass) -> Share {
    let principal = pass.principal();
    let name = match principal {
        Principal::Device { device, .. } => format!("device/{device}"),
        Principal::Service { service, .. } => format!("service/{service}"),
        Principal::Operator { operator, .. } => format!("operator/{operator}"),
    };
    Share::new(name, principal.scope())
}

async fn sign_in(
    core: &Core,
    via: &'static str,
    facts: &Facts,
    headers: &HeaderMap,
) -> Result<Caller, Refusal> {
    let identified = login::over_http(core, headers, facts).await?;
    let session = core.open_session(&identified, via, facts.peer).await?;
    Ok(session.into())
}
