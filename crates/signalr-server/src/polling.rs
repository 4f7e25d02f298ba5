//! Long polling: a GET that is held until there is something to say.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use outgate_signalr::connection::End;
use outgate_signalr::negotiate::Transport;

use crate::Disconnected;
use crate::service::{Refused, attach, is_current, refused, said, same_client, uncached};
use crate::shared::Shared;

pub(crate) async fn poll(shared: &Arc<Shared>, parts: Parts) -> Result<Response, Refused> {
    let first = shared.state().transport.is_none();
    if first {
        same_client(shared, &parts).await?;
    }
    let poll = Poll {
        generation: attach(shared, Transport::LongPolling)?,
        shared,
    };
    // The first says only that there is a connection.
    if first {
        return Ok(answered(Vec::new()));
    }
    let patience = shared.hub.options.poll_timeout;
    match tokio::time::timeout(patience, poll.messages()).await {
        // Nothing for so long is an answer too.
        Err(_) => Ok(answered(Vec::new())),
        Ok(Some(messages)) => Ok(answered(messages)),
        Ok(None) => Ok(nothing()),
    }
}

fn answered(messages: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(messages));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    uncached(response.headers_mut());
    response
}

/// There will be nothing more, or a newer poll gets it.
fn nothing() -> Response {
    let mut response = said(StatusCode::NO_CONTENT, "");
    uncached(response.headers_mut());
    response
}

/// A poll under way.
struct Poll<'a> {
    shared: &'a Arc<Shared>,
    generation: u64,
}

impl Poll<'_> {
    /// What there is to say, once there is something.
    async fn messages(&self) -> Option<Vec<u8>> {
        loop {
            if !is_current(self.shared, self.generation) {
                return None;
            }
            let mut messages = Vec::new();
            while let Some((bytes, _)) = self.shared.poll_output(self.generation) {
                messages.extend_from_slice(&bytes);
            }
            if !messages.is_empty() {
                return Some(messages);
            }
            if self.shared.state().link.is_ended() {
                self.shared.hub.registry.forget(self.shared);
                return None;
            }
            self.shared.outgoing.notified().await;
        }
    }
}

/// The next poll is to come within the time that a connection is kept without.
impl Drop for Poll<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.generation == self.generation {
            state.left = Some(self.shared.hub.now());
            drop(state);
            self.shared.changed();
        }
    }
}

pub(crate) fn delete(shared: &Arc<Shared>) -> Result<Response, Refused> {
    if shared.state().transport != Some(Transport::LongPolling) {
        let text = "Cannot terminate this connection using the DELETE endpoint.";
        return Err(refused(StatusCode::BAD_REQUEST, text));
    }
    shared.end(Disconnected::Ended(End::Client { error: None }));
    shared.hub.registry.forget(shared);
    Ok(said(StatusCode::ACCEPTED, ""))
}
