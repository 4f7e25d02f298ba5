//! A connection that has come through the door.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::seats::Seat;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, WebSocket included.
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// MQTT of any version.
    Mqtt,
}

/// What TLS agreed on.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// What ALPN (RFC 7301) agreed on.
    pub alpn: Option<String>,
    /// The name that the client asked for (SNI, RFC 6066).
    pub server_name: Option<String>,
    /// The client's certificate and what came with it; that it holds the key is verified, who
    /// signed it is not.
    pub client_chain: Arc<[CertificateDer<'static>]>,
    /// The exporter `EXPORTER-Channel-Binding` (RFC 9266); none where TLS 1.2 has no extended
    /// master secret.
    pub channel_binding: Option<[u8; 32]>,
    /// Whether the session was resumed.
    pub resumed: bool,
}

/// Whom a connection is with.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The other end, as the PROXY protocol says where that is trusted.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// What TLS agreed on; `None` on a listener without.
    pub tls: Option<Arc<TlsFacts>>,
}

/// A connection, its first bytes unread.
#[derive(Debug)]
pub struct Connection {
    facts: Facts,
    first: Bytes,
    stream: Stream,
    /// Counts it among the live ones for as long as it lives.
    seat: Option<Seat>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

/// The bytes below.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Connection {
    pub(crate) fn new(facts: Facts, stream: Stream, seat: Option<Seat>) -> Self {
        Self {
            facts,
            first: Bytes::new(),
            stream,
            seat,
        }
    }

    /// A connection without TLS that came in some other way than through a door, as in tests.
    ///
    /// # Errors
    /// When the socket does not know its ends.
    pub fn plain(stream: TcpStream) -> std::io::Result<Self> {
        let facts = Facts {
            peer: stream.peer_addr()?,
            local: stream.local_addr()?,
            tls: None,
        };
        Ok(Self::new(facts, Stream::Plain(stream), None))
    }

    /// Makes `first` what is read next.
    pub(crate) fn put_back(&mut self, first: Bytes) {
        self.first = first;
    }

    /// From here on its end is told as that of a connection that had arrived.
    pub(crate) fn arrive(&self) {
        if let Some(seat) = &self.seat {
            seat.arrive();
        }
    }

    /// Whom it is with.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(into.remaining());
            into.put_slice(&self.first[..length]);
            self.first.advance(length);
            if self.first.is_empty() {
                // An empty slice of them would keep them all.
                self.first = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
