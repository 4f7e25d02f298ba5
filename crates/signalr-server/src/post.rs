//! What a client says by POST, where something else than a WebSocket carries what it hears.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::StatusCode;
use outgate_signalr::negotiate::Transport;

use crate::dispatch::{Pumped, hear as take, pump};
use crate::service::{Refused, refused, said};
use crate::shared::Shared;

/// Takes a body as it comes; while there is no room for what it says, nothing more of it is read.
/// It may come before the first poll, and may hold several messages or a part of one.
pub(crate) async fn hear(shared: &Arc<Shared>, body: Body) -> Result<Response, Refused> {
    if shared.state().transport == Some(Transport::WebSockets) {
        let text = "POST requests are not allowed for WebSocket connections.";
        return Err(refused(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let _one = shared.posting.lock().await;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        // What ends the connection was taken all the same; the other direction tells why it did.
        if shared.state().link.is_ended() {
            return Err(refused(StatusCode::NOT_FOUND, ""));
        }
        let broken = |_| refused(StatusCode::BAD_REQUEST, "");
        let mut taken = take(shared, &piece.map_err(broken)?, None);
        while taken == Pumped::Blocked {
            shared.room.notified().await;
            taken = pump(shared);
        }
        shared.outgoing.notify_one();
    }
    Ok(said(StatusCode::OK, ""))
}
