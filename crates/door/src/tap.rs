//! A socket whose first bytes are kept for a while.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How many bytes are kept at most: two TLS records. A longer hello is not looked into.
const KEPT_MAX: usize = 2 * (16_384 + 5);

/// A socket below the first step of TLS. It keeps what is read from it, because rustls does not
/// tell whether a client's hello asks for an extended master secret.
pub(crate) struct Tap {
    socket: TcpStream,
    kept: Vec<u8>,
}

impl Tap {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            kept: Vec::new(),
        }
    }

    /// The socket, and what was read from it, at most [`KEPT_MAX`] bytes.
    pub(crate) fn end(self) -> (TcpStream, Vec<u8>) {
        (self.socket, self.kept)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        let result = Pin::new(&mut this.socket).poll_read(context, into);
        let new = &into.filled()[before..];
        let room = KEPT_MAX - this.kept.len();
        this.kept.extend_from_slice(&new[..new.len().min(room)]);
        result
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}
