//! MQTT over WebSocket (MQTT 5.0, section 6; RFC 6455): binary messages whose borders mean nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// Bytes read at a time: a device seldom says more at once, and this is held while it is silent.
const READ_BUFFER: usize = 2 * 1024;

/// The most bytes in a message to the client.
const MAX_CHUNK: usize = 32 * 1024;

/// The most bytes that wait to be written: a message, its header, and an answer to a ping.
const MAX_UNWRITTEN: usize = 2 * MAX_CHUNK;

/// Subprotocols by which clients say that they speak MQTT [MQTT-6.0.0-3]; the second is that of
/// 3.1.
pub(super) const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

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
