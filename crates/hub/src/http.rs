//! HTTP over a connection that has come through the door.

mod cut;
mod heard;
mod idle;
pub(crate) mod origins;
mod patient;
mod streams;
mod time;
pub(crate) mod websocket;
mod whoami;

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use outgate_door::{Connection, Facts};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt as _;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tracing::{Instrument as _, field};

use crate::metrics::Metrics;
use idle::Requests;
use patient::Patient;
use streams::Streams;

pub(crate) use cut::{Cut, watched};

/// How long the head of a request may take, from the first byte or since the answer before.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long a body may stand still.
const BODY_MOVES_WITHIN: Duration = Duration::from_secs(30);

/// The most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;

/// The most headers of a request.
const MAX_HEADERS: usize = 100;

/// The most requests at a time over one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// How often an HTTP/2 connection is asked whether it is still there, and how long it may think.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long requests on their way may take once the hub goes down.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Everything that is served over HTTP; `dialects` are the routes of those, at least one.
pub(crate) fn router(state: &crate::State, dialects: Router) -> Router {
    let for_devices = dialects
        .merge(crate::dialects::assets::router(&state.core))
        .merge(crate::dialects::authzen::router(&state.core))
        .merge(crate::dialects::device::router(state))
        .merge(crate::dialects::renewal::router(&state.core))
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            origins::guard,
        ));
    // Layers hold for what there is before them: a router merged later brings its own answer for
    // what there is not, which nobody would count.
    Router::new()
        .merge(crate::api::router(state.clone()))
        .merge(crate::console::router(state.clone()))
        .merge(whoami::router(state.core.clock.clone()))
        .merge(time::router(state.core.clone()))
        .merge(for_devices)
        .layer(RequestBodyTimeoutLayer::new(BODY_MOVES_WITHIN))
        // Outside of that, whose bodies do not say how long they are.
        .layer(middleware::from_fn(heard::to_its_end))
        .layer(middleware::from_fn_with_state(
            state.metrics.clone(),
            counted,
        ))
}

/// Counts and traces an answer by the route that was asked, never by the path, which is the asker's.
async fn counted(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::debug_span!(
        "request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record(
        "http.response.status_code",
        i64::from(response.status().as_u16()),
    );
    metrics.request(route, response.status().as_u16(), began.elapsed());
    response
}

/// Serves one connection until it is over, nobody asks for anything over it any more, or the hub
/// goes down.
pub(crate) async fn serve(connection: Connection, router: Router, draining: watch::Receiver<bool>) {
    let facts = connection.facts().clone();
    let with_facts = move |request| with(request, facts.clone());
    serve_stream(connection, with_facts, router, draining).await;
}

/// As [`serve`], over any stream.
async fn serve_stream<S>(
    stream: S,
    with_facts: impl Fn(http::Request<Incoming>) -> Request + Send + 'static,
    router: Router,
    draining: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, cut) = (Requests::none(), Cut::default());
    let (begun_by, cutting) = (requests.clone(), cut.clone());
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let begun = begun_by.begin();
        let mut request = with_facts(request);
        let (router, whole) = (router.clone(), cut.clone());
        async move {
            // Over HTTP/1.1 an answer has the connection to itself.
            let cut = streams::cut().unwrap_or(whole);
            request.extensions_mut().insert(cut);
            let answer = router.oneshot(request).await;
            answer.map(|response| response.map(|body| begun.until_sent(body)))
        }
    });
    let (builder, io) = (builder(), TokioIo::new(Patient::new(stream)));
    let serving = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(serving);
    let enough = async {
        tokio::select! {
            () = begun(draining) => {}
            () = requests.ceased() => {}
        }
    };
    let over = tokio::select! {
        over = serving.as_mut() => over,
        () = cutting.wanted() => Ok(()),
        () = enough => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                over = serving => over,
                () = cutting.wanted() => Ok(()),
                () = tokio::time::sleep(DRAIN_WITHIN) => Ok(()),
            }
        }
    };
    if let Err(error) = over {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}

/// Waits until the hub goes down.
pub(crate) async fn begun(mut draining: watch::Receiver<bool>) {
    // An error means that the hub is gone already.
    drop(draining.wait_for(|draining| *draining).await);
}

fn builder() -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

/// A request that says whom it came from.
fn with(request: http::Request<Incoming>, facts: Facts) -> Request {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(facts);
    request
}
