//! WebSockets (RFC 6455): one task each.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use outgate_signalr::connection::End;
use outgate_signalr::negotiate::Transport;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use crate::Disconnected;
use crate::dispatch::{Pumped, hear, pump};
use crate::hub::Inner;
use crate::service::{
    Refused, attach, authenticated, find, is_current, offered, refused, same_client, token,
};
use crate::shared::{Life, Shared};

/// Bytes read at a time, which are held while nothing comes.
const READ_BUFFER: usize = 4 * 1024;

/// Bytes that are gathered before they are written.
const WRITE_BUFFER: usize = 4 * 1024;

/// Messages of a client that are answered before the answers are flushed, if they have come
/// together.
const GATHERED_MAX: usize = 32;

/// Beside the longest message of SignalR, what a WebSocket's may hold: its handshake, a length, and
/// what else a client may put in front.
const SLACK: usize = 8 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether the request asks for one.
pub(crate) fn is_asked(parts: &Parts) -> bool {
    lists(&parts.headers, &header::UPGRADE, "websocket")
        && lists(&parts.headers, &header::CONNECTION, "upgrade")
}

/// Whether one of the comma-separated items of the header is `item`, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

/// Opens one: for a connection that was negotiated, for one that goes on, or for a new one of a
/// client that negotiates nothing.
pub(crate) async fn open(hub: &Arc<Inner>, mut parts: Parts) -> Result<Response, Refused> {
    offered(hub, Transport::WebSockets)?;
    let version = parts.headers.get(header::SEC_WEBSOCKET_VERSION);
    if version != Some(&HeaderValue::from_static("13")) {
        let mut other = refused(StatusCode::UPGRADE_REQUIRED, "WebSocket version 13, please");
        let thirteen = HeaderValue::from_static("13");
        let headers = other.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_VERSION, thirteen);
        return Err(other);
    }
    let unusable = || refused(StatusCode::BAD_REQUEST, "the WebSocket's key is missing");
    let key = parts.headers.get(header::SEC_WEBSOCKET_KEY);
    let accept = derive_accept_key(key.ok_or_else(unusable)?.as_bytes());
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "no upgrade here"))?;
    let shared = if token(&parts.uri).is_some() {
        let shared = find(hub, &parts)?;
        same_client(&shared, &parts).await?;
        shared
    } else {
        let identity = authenticated(hub, &parts).await?;
        hub.connect(identity, None, true, false)
            .map_err(|none| none.refused())?
    };
    let generation = attach(&shared, Transport::WebSockets)?;
    tokio::spawn(carry(shared, generation, upgrade));
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response())
}

/// How a WebSocket ended.
enum Ended {
    /// A newer one has the connection.
    Replaced,
    /// The client closed it properly.
    Closed,
    /// It broke.
    Broken,
    /// The connection is over, and all is said.
    Over,
}

async fn carry(shared: Arc<Shared>, generation: u64, upgrade: OnUpgrade) {
    let ended = match upgrade.await {
        Err(_) => Ended::Broken,
        Ok(upgraded) => {
            let max = shared.hub.options.link.message_max.saturating_add(SLACK);
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(WRITE_BUFFER)
                .max_message_size(Some(max))
                .max_frame_size(Some(max));
            let stream = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config));
            let mut socket = socket.await;
            let to_its_end = async {
                let ended = converse(&shared, generation, &mut socket).await;
                close(&mut socket, shared.hub.options.close_timeout, &ended).await;
                ended
            };
            tokio::select! {
                ended = to_its_end => ended,
                () = shared.cut.cancelled() => Ended::Over,
            }
        }
    };
    left(&shared, generation, &ended);
}

/// What is left when a WebSocket has ended.
fn left(shared: &Arc<Shared>, generation: u64, ended: &Ended) {
    let reason = match ended {
        Ended::Replaced => return,
        Ended::Broken => {
            let mut state = shared.state();
            if state.generation != generation {
                return;
            }
            if state.link.is_stateful() && state.link.protocol().is_some() {
                state.left = Some(shared.hub.now());
                return;
            }
            Disconnected::TransportLost
        }
        Ended::Closed | Ended::Over => Disconnected::Ended(End::Client { error: None }),
    };
    shared.end(reason);
    shared.hub.registry.forget(shared);
}

async fn converse(shared: &Arc<Shared>, generation: u64, socket: &mut Socket) -> Ended {
    let (mut blocked, mut unflushed) = (false, 0);
    loop {
        match write(shared, generation, socket).await {
            ControlFlow::Break(ended) => return ended,
            ControlFlow::Continue(wrote) => unflushed += usize::from(wrote),
        }
        // Answers to what has come together go together.
        let at_hand = (!blocked && unflushed < GATHERED_MAX).then(|| socket.next().now_or_never());
        if let Some(message) = at_hand.flatten() {
            match heard(shared, generation, message) {
                ControlFlow::Break(ended) => return ended,
                ControlFlow::Continue(pumped) => blocked = pumped == Pumped::Blocked,
            }
        } else {
            if unflushed > 0
                && let ControlFlow::Break(ended) = in_time(shared, socket.flush()).await
            {
                return ended;
            }
            unflushed = 0;
            tokio::select! {
                message = socket.next(), if !blocked => match heard(shared, generation, message) {
                    ControlFlow::Break(ended) => return ended,
                    ControlFlow::Continue(pumped) => blocked = pumped == Pumped::Blocked,
                },
                () = shared.outgoing.notified() => {}
                () = shared.room.notified(), if blocked => blocked = pump(shared) == Pumped::Blocked,
            }
        }
        if !is_current(shared, generation) {
            return Ended::Replaced;
        }
    }
}

/// Takes what the client says, or sees that it says nothing more.
fn heard(
    shared: &Arc<Shared>,
    generation: u64,
    message: Option<Result<Message, tungstenite::Error>>,
) -> ControlFlow<Ended, Pumped> {
    match message {
        Some(Ok(Message::Text(text))) => {
            ControlFlow::Continue(hear(shared, text.as_bytes(), Some(generation)))
        }
        Some(Ok(Message::Binary(bytes))) => {
            ControlFlow::Continue(hear(shared, &bytes, Some(generation)))
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
            ControlFlow::Continue(Pumped::All)
        }
        Some(Ok(Message::Close(_))) => ControlFlow::Break(Ended::Closed),
        Some(Err(_)) | None => ControlFlow::Break(Ended::Broken),
    }
}

/// Hands over all that there is, and says whether there was anything; it is to be flushed.
async fn write(
    shared: &Arc<Shared>,
    generation: u64,
    socket: &mut Socket,
) -> ControlFlow<Ended, bool> {
    let mut wrote = false;
    while let Some((bytes, text)) = shared.poll_output(generation) {
        wrote = true;
        in_time(shared, socket.feed(message(bytes, text))).await?;
        if !is_current(shared, generation) {
            return ControlFlow::Break(Ended::Replaced);
        }
    }
    let state = shared.state();
    let over = !matches!(state.life, Life::New | Life::Open) && state.link.is_ended();
    drop(state);
    if over {
        return ControlFlow::Break(Ended::Over);
    }
    ControlFlow::Continue(wrote)
}

/// Waits until something is written, as long as the client may take.
async fn in_time(
    shared: &Shared,
    sending: impl Future<Output = Result<(), tungstenite::Error>>,
) -> ControlFlow<Ended> {
    let patience = shared.hub.options.send_timeout;
    match tokio::time::timeout(patience, sending).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(_)) | Err(_) => ControlFlow::Break(Ended::Broken),
    }
}

/// A frame as it is: what was written as JSON needs no look whether it is text.
fn message(bytes: Bytes, text: bool) -> Message {
    let kind = if text { Data::Text } else { Data::Binary };
    Message::Frame(Frame::message(bytes, OpCode::Data(kind), true))
}

async fn close(socket: &mut Socket, patience: Duration, ended: &Ended) {
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: Default::default(),
    };
    let closed = async {
        match ended {
            Ended::Broken => return,
            // The library has answered the client's; it has to be written.
            Ended::Closed => {
                let _ = socket.flush().await;
            }
            Ended::Over | Ended::Replaced => {
                let _ = socket.send(Message::Close(Some(frame))).await;
            }
        }
        while let Some(Ok(_)) = socket.next().await {}
    };
    // Whoever does not close in time is not waited for.
    let _ = tokio::time::timeout(patience, closed).await;
}
