//! HTTP/1.1 for whoever may come, within bounds of time and room.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::serve::Listener;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::seats::{Seated, Seats};

/// How long the head of a request may take, and a connection may stand without one.
pub(super) const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of a head.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The most fields of a head.
const MAX_FIELDS: usize = 64;

/// How long somebody may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From the head of a request to the head of its answer, the reading of its body within.
    pub(super) request: Duration,
    /// A connection, from its beginning to its end.
    pub(super) connection: Option<Duration>,
}

/// Who a request comes from, where that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves everybody who comes, until it is dropped, and with it every connection. `peer` says who it
/// is that came.
pub(super) async fn serve<L: Listener>(
    mut listener: Seats<L>,
    router: Router,
    bounds: Bounds,
    peer: fn(&L::Addr) -> Option<SocketAddr>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (io, from) = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let serving = connection(io, peer(&from).map(Peer), router.clone(), bounds);
        connections.spawn(async move {
            match bounds.connection {
                Some(most) => drop(tokio::time::timeout(most, serving).await),
                None => serving.await,
            }
        });
    }
}

async fn connection<Io>(io: Seated<Io>, peer: Option<Peer>, router: Router, bounds: Bounds)
where
    Seated<Io>: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let answering = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = tokio::time::timeout(bounds.request, answering).await;
            Ok::<Response, Infallible>(match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(never)) => match never {},
                Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(io), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a local connection ended badly");
    }
}
