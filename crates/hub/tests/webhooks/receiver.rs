//! A receiver of webhooks whose every answer the test gives.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Request>,
    /// One of its own, so that all its connections can be cut at once.
    runtime: Option<Runtime>,
}

/// A request that waits for its answer.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    answer: oneshot::Sender<Response>,
}

impl Receiver {
    pub(crate) async fn new() -> Self {
        Self::on(([127, 0, 0, 1], 0).into()).await
    }

    /// One at an address where there was one before.
    pub(crate) async fn on(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bound = runtime.spawn(TcpListener::bind(address));
        let listener = bound.await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, requests) = mpsc::unbounded_channel();
        let app = Router::new().fallback(move |request: axum::extract::Request| {
            let arrived = arrived.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let (answer, answered) = oneshot::channel();
                let request = Request {
                    path: parts.uri.path().to_owned(),
                    headers: parts.headers,
                    body,
                    answer,
                };
                arrived.send(request).ok();
                match answered.await {
                    Ok(answer) => answer,
                    // The test does not answer: nor does the receiver.
                    Err(_) => std::future::pending().await,
                }
            }
        });
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            requests,
            runtime: Some(runtime),
        }
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        self.requests.recv().await.unwrap()
    }

    /// Takes the next request and everything in it.
    pub(crate) async fn take(&mut self) -> Value {
        let request = self.next().await;
        let body = request.json();
        request.answer(StatusCode::NO_CONTENT);
        body
    }

    /// Goes away, with all its connections.
    pub(crate) async fn kill(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        let ended = tokio::task::spawn_blocking(|| drop(runtime));
        ended.await.unwrap();
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn answer(self, status: StatusCode) {
        self.answer_with(status.into_response());
    }

    pub(crate) fn answer_with(self, answer: Response) {
        // The hub may have given up.
        self.answer.send(answer).ok();
    }
}

/// An answer that goes on for ever.
pub(crate) fn endless() -> Response {
    let parts = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 1024]));
    Body::from_stream(parts).into_response()
}
