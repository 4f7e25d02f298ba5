//! Connections over which nobody asks for anything.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as Parts, Frame, SizeHint};
use tokio::sync::watch;

/// How long a connection may stay without a request under way. Over HTTP/1.1 the head of the next
/// request has its own, shorter time; over HTTP/2 pings alone would keep a connection for ever.
pub(super) const IDLE_WITHIN: Duration = Duration::from_secs(5 * 60);

/// The requests of one connection whose answers have not been sent to their end.
#[derive(Clone, Debug)]
pub(super) struct Requests(watch::Sender<usize>);

/// One of them, as long as it lives.
#[derive(Debug)]
pub(super) struct Request(watch::Sender<usize>);

/// A body that keeps its request under way.
struct Answering {
    body: Body,
    _request: Request,
}

impl Requests {
    pub(super) fn none() -> Self {
        Self(watch::Sender::new(0))
    }

    /// One more.
    pub(super) fn begin(&self) -> Request {
        self.0.send_modify(|open| *open += 1);
        Request(self.0.clone())
    }

    /// Waits until there has been none for [`IDLE_WITHIN`].
    pub(super) async fn ceased(&self) {
        let mut open = self.0.subscribe();
        loop {
            // Errors cannot be: this holds a sender.
            let _ = open.wait_for(|open| *open == 0).await;
            tokio::select! {
                _ = open.changed() => {}
                () = tokio::time::sleep(IDLE_WITHIN) => return,
            }
        }
    }
}

impl Request {
    /// Keeps the request under way until `body` has been sent.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Body::new(Answering {
            body,
            _request: self,
        })
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Parts for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Router;
    use axum::routing::get;
    use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
    use tokio::io::duplex;
    use tokio::time::{Instant, timeout};

    use super::*;

    /// A body that never ends.
    async fn endless() -> Body {
        Body::from_stream(futures_util::stream::pending::<Result<Bytes, Infallible>>())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_ends_although_it_answers_pings() {
        let (near, far) = duplex(64 * 1024);
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/endless", get(endless));
        let (_drain, draining) = watch::channel(false);
        let served = tokio::spawn(super::super::serve_stream(
            far,
            |request| request.map(Body::new),
            router,
            draining,
        ));
        let (mut client, connection) =
            hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .handshake::<_, Body>(TokioIo::new(near))
                .await
                .unwrap();
        tokio::spawn(connection);
        let ask = |path: &str| http::Request::get(format!("http://hub{path}")).body(Body::empty());
        let going_on = client.send_request(ask("/endless").unwrap()).await.unwrap();
        // What is under way is not cut off, however long it takes.
        tokio::time::sleep(10 * IDLE_WITHIN).await;
        assert!(!served.is_finished());
        drop(going_on);
        let answer = client.send_request(ask("/").unwrap()).await.unwrap();
        assert_eq!(answer.status(), http::StatusCode::OK);
        drop(answer);
        let idle = Instant::now();
        timeout(10 * IDLE_WITHIN, served).await.unwrap().unwrap();
        assert!(idle.elapsed() >= IDLE_WITHIN);
    }
}
