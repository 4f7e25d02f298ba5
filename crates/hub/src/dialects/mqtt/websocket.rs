//! MQTT over WebSocket (MQTT 5.0, section 6; RFC 6455): binary messages whose borders mean nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// Bytes read at a time: a device seldom says more at once, and this is held while it is silent.
const READ_BUFFER: usize = 2 * 1024;

/// The most bytes in a message to the client.
const MAX_CHUNK: usize = 32 * 1024;

/// The most bytes that wait to be written: a message, its header, and an answer to a ping.
const MAX_UNWRITTEN: usize = 2 * MAX_CHUNK;

/// Subprotocols by which clients say that they speak MQTT [MQTT-6.0.0-3]; the second is that of
/// 3.1.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotOurs {
    /// It asks for no WebSocket, or on a connection that cannot become one.
    NoUpgrade,
    /// It asks for another version of the WebSocket protocol.
    Version,
    /// It has no usable key.
    Key,
    /// It does not say that it speaks MQTT.
    Subprotocol,
}

/// What the client is answered, and the connection to come.
pub(super) struct Accepted {
    /// The answer.
    pub(super) response: Response,
    /// The connection, once the answer is out.
    pub(super) upgrade: hyper::upgrade::OnUpgrade,
}

/// Reads the opening handshake (RFC 6455, section 4.2).
pub(super) fn accept(request: &mut Request) -> Result<Accepted, NotOurs> {
    let headers = request.headers();
    let upgrades = request.method() == Method::GET
        && lists(headers, &header::CONNECTION, "upgrade")
        && lists(headers, &header::UPGRADE, "websocket");
    if !upgrades {
        return Err(NotOurs::NoUpgrade);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13")) {
        return Err(NotOurs::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NotOurs::Key)?;
    // 16 bytes in base 64.
    if key.len() != 24 {
        return Err(NotOurs::Key);
    }
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = SUBPROTOCOLS
        .into_iter()
        .find(|name| lists(headers, &header::SEC_WEBSOCKET_PROTOCOL, name))
        .ok_or(NotOurs::Subprotocol)?;
    let upgrade = request
        .extensions_mut()
        .remove::<hyper::upgrade::OnUpgrade>()
        .ok_or(NotOurs::NoUpgrade)?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .header(header::SEC_WEBSOCKET_PROTOCOL, subprotocol)
        .body(Body::empty())
        .map_err(|_| NotOurs::Key)?;
    Ok(Accepted { response, upgrade })
}

/// Whether one of the comma-separated items of the header is `item`, in whatever case.
fn lists(headers: &HeaderMap, name: &header::HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(item))
}

impl IntoResponse for NotOurs {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NoUpgrade => (
                StatusCode::UPGRADE_REQUIRED,
                "this is where MQTT over WebSocket connects\n",
            ),
            Self::Version => (
                StatusCode::UPGRADE_REQUIRED,
                "only version 13 of the WebSocket protocol is spoken\n",
            ),
            Self::Key => (StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is wrong\n"),
            Self::Subprotocol => (
                StatusCode::BAD_REQUEST,
                "Sec-WebSocket-Protocol must offer mqtt\n",
            ),
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(
                header::SEC_WEBSOCKET_VERSION,
                HeaderValue::from_static("13"),
            );
        }
        response
    }
}

/// A WebSocket as the stream of bytes that it carries.
pub(super) struct Carrier {
    socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>,
    /// What is left of the message that is being read.
    unread: Bytes,
}

impl Carrier {
    /// Speaks WebSocket over a connection whose handshake is done. A message of the client may
    /// have at most `max_message` bytes.
    pub(super) async fn new(upgraded: hyper::upgrade::Upgraded, max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNWRITTEN)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let stream = TokioIo::new(upgraded);
        Self {
            socket: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            unread: Bytes::new(),
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                // [MQTT-6.0.0-1]
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let length = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(io::Error::other)?;
        let chunk = &bytes[..bytes.len().min(MAX_CHUNK)];
        let message = Message::Binary(Bytes::copy_from_slice(chunk));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(io::Error::other)?;
        Poll::Ready(Ok(chunk.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(context)
            .map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_close(context)
            .map_err(io::Error::other)
    }
}
