//! The vendor's API: answers with what it was asked, and keeps count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// An API on loopback, until it is dropped.
pub(crate) struct Vendor {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    serving: JoinHandle<()>,
}

/// What it has seen.
#[derive(Default)]
pub(crate) struct Seen {
    asked: AtomicUsize,
    /// Somebody waits for `/v1/open/held`.
    pub(crate) held: Notify,
}

impl Seen {
    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Vendor {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&seen));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            serving,
        }
    }

    /// What configures it as `flow`: everything below `/v1/open`, and no more. How long it may take
    /// is for who asks to say.
    pub(crate) fn configured(&self) -> String {
        format!(
            "[[live.upstreams]]\nname = 'flow'\nurl = 'http://{}/v1'\npaths = ['open']\n\
             methods = ['GET', 'POST']\nnetworks = ['127.0.0.0/8']\n\
             request-kibibytes = 1\nanswer-kibibytes = 1\nbreak-after = 3\n",
            self.address
        )
    }
}

async fn answer(
    State(seen): State<Arc<Seen>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    seen.asked.fetch_add(1, Ordering::SeqCst);
    match uri.path() {
        "/v1/open/held" => {
            seen.held.notify_one();
            std::future::pending().await
        }
        "/v1/open/moved" => {
            let away = format!("http://{}/elsewhere", headers["host"].to_str().unwrap());
            (StatusCode::FOUND, [(LOCATION, away)]).into_response()
        }
        "/v1/open/large" => vec![b'a'; 1_025].into_response(),
        "/v1/open/endless" => {
            let parts = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("many more"));
            Body::from_stream(parts).into_response()
        }
        "/v1/open/broken" => StatusCode::BAD_GATEWAY.into_response(),
        "/v1/open/strange" => StatusCode::UNAUTHORIZED.into_response(),
        "/v1/open/missing" => (StatusCode::NOT_FOUND, "no such employee").into_response(),
        _ => {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            Json(json!({
                "method": method.as_str(), "uri": uri.to_string(), "headers": headers,
                "body": String::from_utf8_lossy(&body),
            }))
            .into_response()
        }
    }
}
