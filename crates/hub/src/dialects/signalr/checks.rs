//! An end of SignalR for checks: whoever asks is given a connection over each transport, SignalR's
//! handshake and pings, and nothing else. So a check sees what the way does with realtime, without
//! the token of a device. Off unless it is configured.
//!
//! Nobody here is a device: there is no session, no method, and nobody is sent anything. Whoever
//! calls something is disconnected. What there is of it is bounded: connections in all and of one
//! source, how often one source may begin, and how long a connection lasts.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::StatusCode;
use http::request::Parts;
use outgate_core::limits::{Rate, Rates, source};
use outgate_door::Facts;
use outgate_signalr_server::{
    Connection, Extension, Hub, HubError, Identity, SignalR as Library, SignalRService, State,
};
use tokio::sync::watch;

use super::LAST_WORDS;
use super::entrance::{opens, pass_on};
use crate::api::{ApiProblem, Places};
use crate::config::SignalRChecks;
use crate::http::begun;
use crate::hub;
use crate::metrics::Metrics;

/// How often one source may begin: negotiate, or open a transport. A check begins 11 times, over
/// IPv4 and over IPv6, and a site's machines may share an address.
const BEGINNINGS: Rate = Rate {
    burst: 220,
    every: Duration::from_millis(500),
};

/// The most bytes of a message: a client's handshake takes 40, its ping 12.
const MESSAGE: usize = 256;

/// The most messages and bytes that wait for a client: pings.
const WAITING: (usize, usize) = (16, 4 * 1024);

/// How long a client may take for its handshake, and for a transport, and between two polls.
const SOON: Duration = Duration::from_secs(5);

/// What is counted as echoed.
const SERVICE: &str = "signalr";

/// What requests and connections share.
#[derive(Debug)]
struct Checks {
    settings: SignalRChecks,
    beginnings: Rates<IpAddr>,
    places: Places,
    metrics: Metrics,
    draining: watch::Receiver<bool>,
}

/// What is streamed to whoever wants a stream.
type NoItems = futures_util::stream::Empty<Result<(), HubError>>;

/// Where somebody asks from.
#[derive(Debug)]
struct From(IpAddr);

/// The end.
#[derive(Clone)]
struct End {
    checks: Arc<Checks>,
    service: SignalRService,
    hub: Hub,
}

/// The routes; none unless there is to be one.
pub(crate) fn router(state: &hub::State) -> Router {
    let Some(settings) = state.config.load().echo.signalr.clone() else {
        return Router::new();
    };
    let path = settings.path.clone();
    let end = End::new(state, settings);
    let mut router = Router::new();
    for path in [
        path.clone(),
        format!("{path}/"),
        format!("{path}/negotiate"),
    ] {
        let end = end.clone();
        router = router.route(&path, any(move |request| enter(end.clone(), request)));
    }
    router
}

impl End {
    fn new(state: &hub::State, settings: SignalRChecks) -> Self {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let most = number(settings.connections);
        let lasts = settings.lasts;
        let checks = Arc::new(Checks {
            settings,
            beginnings: Rates::new(BEGINNINGS, state.core.clock.clone()),
            places: Places::new(most),
            metrics: state.metrics.clone(),
            draining: state.draining.clone(),
        });
        let (service, hub) = Library::builder()
            .with_state(Arc::clone(&checks))
            .on_connect(begin)
            .fallback(turn_out)
            .fallback_stream(turn_out_of_stream)
            .authenticate(|parts| std::future::ready(Ok(identity(&parts))))
            .message_max(MESSAGE)
            .waiting_max(WAITING.0, WAITING.1)
            .connections_max(most)
            .unconnected_max(most)
            .handshake_timeout(SOON)
            .disconnect_timeout(SOON)
            .poll_timeout(lasts)
            .close_timeout(LAST_WORDS)
            .build();
        Self {
            checks,
            service,
            hub,
        }
    }
}

async fn enter(end: End, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if opens(&parts, end.hub.of_request(&parts.uri).as_ref()) {
        let allowed = match parts.extensions.get::<Facts>() {
            Some(facts) => end.checks.beginnings.take(&source(facts.peer.ip())),
            None => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        end.checks.metrics.echoed(SERVICE, allowed.is_ok());
        if let Err(wait) = allowed {
            return ApiProblem::limited("checks of SignalR", wait).into_response();
        }
    }
    pass_on(&end.hub, end.service, Request::from_parts(parts, body)).await
}

/// Where a connection is from goes along with it.
fn identity(parts: &Parts) -> Identity {
    let facts = parts.extensions.get::<Facts>();
    let from = facts.map(|facts| Arc::new(From(source(facts.peer.ip()))));
    Identity {
        user: None,
        extension: from.map(|from| from as Arc<dyn Any + Send + Sync>),
    }
}

/// Lets a connection last for as long as one may, if there is a place for it.
async fn begin(
    connection: Connection,
    Extension(from): Extension<From>,
    State(checks): State<Arc<Checks>>,
) -> Result<(), HubError> {
    let each = usize::try_from(checks.settings.connections_a_source).unwrap_or(usize::MAX);
    let Some(place) = checks.places.take(vec![(from.0.to_string(), each)]) else {
        checks.metrics.echoed(SERVICE, false);
        return Err(HubError::new("there are as many checks as there may be"));
    };
    let draining = checks.draining.clone();
    let lasts = checks.settings.lasts;
    tokio::spawn(async move {
        tokio::select! {
            () = connection.closed() => {}
            () = tokio::time::sleep(lasts) => {}
            () = begun(draining) => {}
        }
        connection.close(Some("a check lasts no longer"), false);
        if tokio::time::timeout(LAST_WORDS, connection.let_go())
            .await
            .is_err()
        {
            connection.cut();
            connection.let_go().await;
        }
        drop(place);
    });
    Ok(())
}

/// Whoever calls something is no check.
async fn turn_out(connection: Connection) -> Result<(), HubError> {
    connection.close(Some("nothing can be called here"), false);
    Err(HubError::new("nothing can be called here"))
}

async fn turn_out_of_stream(connection: Connection) -> Result<NoItems, HubError> {
    turn_out(connection).await?;
    Ok(futures_util::stream::empty())
}
