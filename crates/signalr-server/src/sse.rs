//! Server-Sent Events (WHATWG HTML, section 9.2).

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use outgate_signalr::connection::End;
use outgate_signalr::event;
use outgate_signalr::negotiate::Transport;

use crate::Disconnected;
use crate::service::{Refused, attach, same_client, uncached};
use crate::shared::Shared;

/// What nginx reads: without it an event waits until a buffer is full.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(crate) async fn open(shared: &Arc<Shared>, parts: Parts) -> Result<Response, Refused> {
    same_client(shared, &parts).await?;
    let open = Open {
        generation: attach(shared, Transport::ServerSentEvents)?,
        shared: Arc::clone(shared),
    };
    let opening = stream::once(async { Bytes::from_static(event::OPENING.as_bytes()) });
    let events = stream::unfold(open, |open| async {
        let event = open.next().await?;
        Some((event, open))
    });
    let body = opening.chain(events).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    uncached(headers);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CONTENT_ENCODING, "identity"),
        (ACCEL_BUFFERING, "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// An event stream that somebody reads.
struct Open {
    shared: Arc<Shared>,
    generation: u64,
}

impl Open {
    /// The next events, as many as there are; nothing when the connection is over.
    async fn next(&self) -> Option<Bytes> {
        loop {
            let mut events = String::new();
            while let Some((bytes, _)) = self.shared.poll_output(self.generation) {
                // Records of text are text.
                events.push_str(&event::of(&String::from_utf8_lossy(&bytes)));
            }
            if !events.is_empty() {
                return Some(events.into());
            }
            if self.shared.state().link.is_ended() {
                return None;
            }
            self.shared.outgoing.notified().await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let end = End::Client { error: None };
        self.shared.end(Disconnected::Ended(end));
        self.shared.hub.registry.forget(&self.shared);
    }
}
