//! Requests, by what they are about (`TransportProtocols.md`).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::body::Body as HttpBody;
use outgate_signalr::negotiate::Transport;

use crate::hub::{Inner, NoConnection};
use crate::shared::Shared;
use crate::{Identity, negotiation, polling, post, sse, websocket};

/// A hub as a service: `router.nest_service("/chat", service)`. A clone is the same hub.
#[derive(Clone)]
pub struct SignalRService(Arc<Inner>);

impl std::fmt::Debug for SignalRService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalRService").finish_non_exhaustive()
    }
}

impl SignalRService {
    pub(crate) fn new(hub: Arc<Inner>) -> Self {
        Self(hub)
    }
}

impl<B> tower::Service<Request<B>> for SignalRService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let hub = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answered = respond(&hub, parts, Body::new(body)).await;
            Ok(answered.unwrap_or_else(|refused| *refused))
        })
    }
}

async fn respond(hub: &Arc<Inner>, parts: Parts, body: Body) -> Result<Response, Refused> {
    let last = parts.uri.path().rsplit('/').next();
    if last.is_some_and(|last| last.eq_ignore_ascii_case("negotiate")) {
        return match parts.method {
            Method::POST => negotiation::negotiate(hub, parts).await,
            _ => Err(refused(StatusCode::METHOD_NOT_ALLOWED, "")),
        };
    }
    match parts.method {
        Method::POST => post::hear(&find(hub, &parts)?, body).await,
        Method::DELETE => polling::delete(&find(hub, &parts)?),
        Method::GET if websocket::is_asked(&parts) => websocket::open(hub, parts).await,
        Method::GET if wants_events(&parts.headers) => {
            let shared = find(hub, &parts)?;
            offered(hub, Transport::ServerSentEvents)?;
            sse::open(&shared, parts).await
        }
        Method::GET => {
            let shared = find(hub, &parts)?;
            offered(hub, Transport::LongPolling)?;
            polling::poll(&shared, parts).await
        }
        _ => Err(refused(StatusCode::METHOD_NOT_ALLOWED, "")),
    }
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

pub(crate) fn offered(hub: &Inner, transport: Transport) -> Result<(), Refused> {
    if hub.options.transports.contains(&transport) {
        return Ok(());
    }
    let text = format!(
        "{} transport not supported by this end point type",
        transport.as_str()
    );
    Err(refused(StatusCode::NOT_FOUND, text))
}

/// The connection's token, if the request has one.
pub(crate) fn token(uri: &Uri) -> Option<&str> {
    let fields = uri.query().unwrap_or_default().split('&');
    fields
        .filter_map(|field| field.split_once('='))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("id").then_some(value))
        .filter(|token| !token.is_empty())
}

/// The connection that a request is about.
pub(crate) fn find(hub: &Inner, parts: &Parts) -> Result<Arc<Shared>, Refused> {
    let token = token(&parts.uri)
        .ok_or_else(|| refused(StatusCode::BAD_REQUEST, "Connection ID required"))?;
    let found = hub.registry.by_token(token);
    found.ok_or_else(|| refused(StatusCode::NOT_FOUND, "No Connection with that ID"))
}

/// Who the client is.
pub(crate) async fn authenticated(hub: &Inner, parts: &Parts) -> Result<Identity, Refused> {
    match &hub.authenticate {
        None => Ok(Identity::default()),
        Some(authenticate) => authenticate(parts.clone()).await.map_err(Box::new),
    }
}

/// That whoever opens a transport is whom it was negotiated with.
pub(crate) async fn same_client(shared: &Shared, parts: &Parts) -> Result<(), Refused> {
    let identity = authenticated(&shared.hub, parts).await?;
    if identity.user == shared.identity.user {
        return Ok(());
    }
    Err(refused(
        StatusCode::FORBIDDEN,
        "The connection is another user's",
    ))
}

/// The first transport of a connection, or the next of a stateful one's, or the next poll. What
/// had it before is ended. Gives the generation.
pub(crate) fn attach(shared: &Shared, transport: Transport) -> Result<u64, Refused> {
    let mut state = shared.state();
    let again = match state.transport {
        None => false,
        Some(known) if known != transport => {
            let text = "Cannot change transports mid-connection";
            return Err(refused(StatusCode::BAD_REQUEST, text));
        }
        Some(_) => true,
    };
    let may = match transport {
        Transport::WebSockets => state.link.is_stateful() && !state.link.is_ended(),
        Transport::ServerSentEvents => false,
        Transport::LongPolling => true,
    };
    if again && !may {
        return Err(refused(StatusCode::CONFLICT, ""));
    }
    state.transport = Some(transport);
    state.left = None;
    state.generation += 1;
    let generation = state.generation;
    if !again || transport == Transport::WebSockets {
        state.link.handle_transport(transport, shared.hub.now());
    }
    drop(state);
    if !again {
        shared.hub.registry.connected();
    }
    // Whatever had it looks whether it still has.
    shared.outgoing.notify_one();
    Ok(generation)
}

/// Whether a transport still has its connection. One that has not passes on what it was woken for.
pub(crate) fn is_current(shared: &Shared, generation: u64) -> bool {
    let current = shared.state().generation == generation;
    if !current {
        shared.outgoing.notify_one();
    }
    current
}

impl NoConnection {
    pub(crate) fn refused(self) -> Refused {
        let text = match self {
            Self::TooMany => "there are as many connections as there may be",
            Self::Closing => "the server is shutting down",
            Self::NoRandomness => "the server has no randomness",
        };
        let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, text);
        let wait = HeaderValue::from_static("5");
        response.headers_mut().insert(header::RETRY_AFTER, wait);
        response
    }
}

/// A response in place of what was asked for.
pub(crate) type Refused = Box<Response>;

/// Refuses, and says why.
pub(crate) fn refused(status: StatusCode, text: impl Into<String>) -> Refused {
    Box::new(said(status, text))
}

/// A response that says something.
pub(crate) fn said(status: StatusCode, text: impl Into<String>) -> Response {
    let kind = (header::CONTENT_TYPE, "text/plain");
    (status, [kind], text.into()).into_response()
}

/// Headers of what must not be kept on the way.
pub(crate) fn uncached(headers: &mut HeaderMap) {
    let control = HeaderValue::from_static("no-cache, no-store");
    headers.insert(header::CACHE_CONTROL, control);
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let past = HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT");
    headers.insert(header::EXPIRES, past);
}
