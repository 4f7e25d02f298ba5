//! The WebSocket handshake and an echo after it (RFC 6455).

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        error::CapacityError,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::listen;

/// The longest message that is taken, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The longest that a peer may say nothing, not even a ping.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest that a peer may leave an answer unread.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Buffer for reading, in bytes: connections are many and messages short.
const READ_BUFFER: usize = 8 * 1024;

/// Length of `Sec-WebSocket-Key`: 16 bytes in base64 (RFC 6455 §4.1).
const KEY_LENGTH: usize = 24;

/// Whether a request asks for a WebSocket, rightly or not.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// Checks a client's opening handshake (RFC 6455 §4.2.1) and returns the answer without a body:
/// 101, or what is wrong with it.
pub(crate) fn handshake<B>(request: &Request<B>) -> Response<()> {
    let headers = request.headers();
    let well_formed = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has_token(headers, header::CONNECTION, "upgrade");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    let key = headers.get(header::SEC_WEBSOCKET_KEY);

    let mut response = Response::new(());
    match key.map(|key| key.as_bytes()).filter(|key| is_key(key)) {
        _ if version.is_some_and(|version| version != "13") => {
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            insert(&mut response, header::SEC_WEBSOCKET_VERSION, "13");
        }
        Some(key) if well_formed && version.is_some() => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            insert(&mut response, header::UPGRADE, "websocket");
            insert(&mut response, header::CONNECTION, "Upgrade");
            insert(
                &mut response,
                header::SEC_WEBSOCKET_ACCEPT,
                &derive_accept_key(key),
            );
        }
        _ => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// The server's end of a WebSocket after its handshake.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_MESSAGE);
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

/// Sends text and binary messages back, answers pings and the close, until the peer goes, errs or
/// is idle for too long.
pub(crate) async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut socket = accept(stream).await;
    while let Ok(Some(received)) = time::timeout(IDLE_TIMEOUT, socket.next()).await {
        let answer = match received {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => message,
            // The library answers pings and closes by itself; reading on lets it.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_)) => {
                continue;
            }
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => too_long(),
            Err(_) => break,
        };
        let last = answer.is_close();
        let sent = time::timeout(SEND_TIMEOUT, socket.send(answer)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    listen::close(socket.into_inner()).await;
}

/// RFC 6455 §7.4.1, status 1009.
fn too_long() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Size,
        reason: "message too long".into(),
    }))
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn is_key(key: &[u8]) -> bool {
    key.len() == KEY_LENGTH
        && key.ends_with(b"==")
        && key[..KEY_LENGTH - 2]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn insert(response: &mut Response<()>, name: header::HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(change: impl FnOnce(&mut Request<()>)) -> StatusCode {
        // The example of RFC 6455 §1.2.
        let mut request = Request::get("/chat")
            .header("upgrade", "websocket")
            .header("connection", "keep-alive, Upgrade")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap();
        change(&mut request);
        let response = handshake(&request);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let accept = &response.headers()["sec-websocket-accept"];
            assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        }
        response.status()
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        assert_eq!(status(|_| {}), StatusCode::SWITCHING_PROTOCOLS);
    }

    #[test]
    fn a_handshake_that_is_not_one_is_refused() {
        let bad = StatusCode::BAD_REQUEST;
        assert_eq!(status(|r| *r.method_mut() = Method::POST), bad);
        assert_eq!(status(|r| *r.version_mut() = Version::HTTP_10), bad);
        for name in ["connection", "sec-websocket-key", "sec-websocket-version"] {
            let without = status(|request| {
                request.headers_mut().remove(name);
            });
            assert_eq!(without, bad, "{name}");
        }
        for key in [
            "",
            "AAAA",
            "dGhlIHNhbXBsZSBub25jZQ=A",
            "dGhl*HNhbXBsZSBub25jZQ==",
        ] {
            let with = status(|request| {
                let value = key.parse().unwrap();
                request.headers_mut().insert("sec-websocket-key", value);
            });
            assert_eq!(with, bad, "{key}");
        }
    }

    #[test]
    fn another_version_is_told_which_one_is_spoken() {
        let other = status(|request| {
            let value = "8".parse().unwrap();
            request.headers_mut().insert("sec-websocket-version", value);
        });
        assert_eq!(other, StatusCode::UPGRADE_REQUIRED);
    }
}
