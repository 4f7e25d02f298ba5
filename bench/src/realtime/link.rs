//! A connection that does as little as it can, the same for every server: what is measured is the
//! server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::dialect::{Dialect, Step};
use super::frames;

/// The most bytes that a server may answer with before its WebSocket is open.
const MAX_HEAD: usize = 16 * 1024;

/// Whom to connect to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) dialect: Dialect,
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What clients show, where they are asked who they are.
    pub(crate) token: Option<String>,
}

/// What carries a WebSocket.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection over which the server has answered.
pub(crate) struct Link {
    pub(crate) dialect: Dialect,
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    message: Bytes,
}

impl Link {
    /// Opens one.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let mut link = Self {
            dialect: target.dialect,
            stream: stream(target).await?,
            buffer: BytesMut::new(),
            message: Bytes::new(),
        };
        link.upgrade(target.token.as_deref()).await?;
        for step in target.dialect.greeting() {
            match step {
                Step::Say(frame) => link.say(&frame).await?,
                Step::Hear(beginning) => {
                    let message = link.message().await?;
                    let said = String::from_utf8_lossy(&message);
                    ensure!(message.starts_with(beginning), "greeted with {said}");
                }
            }
        }
        Ok(link)
    }

    async fn upgrade(&mut self, token: Option<&str>) -> anyhow::Result<()> {
        let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            self.dialect.path(),
            shown.unwrap_or_default(),
        );
        self.say(request.as_bytes()).await?;
        let length = loop {
            let end = self.buffer.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            ensure!(self.buffer.len() < MAX_HEAD, "an endless answer");
            self.read().await?;
        };
        let head = self.buffer.split_to(length);
        let said = String::from_utf8_lossy(&head);
        ensure!(head.starts_with(b"HTTP/1.1 101"), "no WebSocket but {said}");
        Ok(())
    }

    /// Sends frames.
    pub(crate) async fn say(&mut self, frames: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(frames).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next record; pings are answered and given too.
    pub(crate) async fn record(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(record) = self.dialect.record(&mut self.message) {
                self.answer(&record).await?;
                return Ok(record);
            }
            ensure!(self.message.is_empty(), "half a record");
            if !self.has_more()? {
                self.read().await?;
            }
        }
    }

    /// Waits until the server has closed, whatever it says before; says goodbye as it does.
    pub(crate) async fn closed(&mut self) {
        while self.record().await.is_ok() {}
        // It may have gone without a word.
        let _ = self
            .say(&frames::masked(frames::CLOSE, &frames::NORMAL))
            .await;
        // A connection that was reset is closed as well.
        while self.read().await.is_ok() {
            self.buffer.clear();
        }
    }

    /// Whether something that has been read waits to be taken.
    pub(crate) fn has_more(&mut self) -> anyhow::Result<bool> {
        if self.message.is_empty() {
            self.message = frames::take(&mut self.buffer)?.unwrap_or_default();
        }
        Ok(!self.message.is_empty())
    }

    /// Answers a ping, where the server waits for that.
    async fn answer(&mut self, record: &[u8]) -> anyhow::Result<()> {
        match self.dialect.pong(record) {
            Some(pong) => self.say(&pong).await,
            None => Ok(()),
        }
    }

    /// The next message that is no ping.
    async fn message(&mut self) -> anyhow::Result<Bytes> {
        loop {
            if let Some(message) = frames::take(&mut self.buffer)? {
                if !self.dialect.is_ping(&message) {
                    return Ok(message);
                }
                self.answer(&message).await?;
            } else {
                self.read().await?;
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(4 * 1024);
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server has closed");
        Ok(())
    }
}

async fn stream(target: &Target) -> anyhow::Result<Box<dyn Stream>> {
    // Not from an address of our own: then a port would be taken for all servers together.
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, target.port)).await;
    let stream = stream.context("no connection")?;
    stream.set_nodelay(true)?;
    let Some(tls) = &target.tls else {
        return Ok(Box::new(stream));
    };
    let name = ServerName::try_from("localhost")?;
    let connector = TlsConnector::from(Arc::clone(tls));
    let stream = connector.connect(name, stream).await;
    Ok(Box::new(stream.context("TLS failed")?))
}
