//! A client of HTTP/1.1 that does as little as it can, the same for every server: what is measured
//! is the server.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::raw::Target;

/// The most bytes of an answer before its body.
const MAX_HEAD: usize = 16 * 1024;

/// How many bytes are read at a time.
const READ: usize = 64 * 1024;

/// What a body of no stated length ends with (RFC 9112 §7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A connection, which is kept.
pub(crate) struct Http {
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

/// What is known of an answer before its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Body,
}

#[derive(Debug, PartialEq, Eq)]
enum Body {
    Bytes(usize),
    Chunks,
}

impl Http {
    /// Connects.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let connector = TlsConnector::from(Arc::clone(&target.tls));
        let stream = connector.connect(name, stream).await;
        Ok(Self {
            stream: stream.context("TLS failed")?,
            buffer: BytesMut::with_capacity(READ),
        })
    }

    /// Sends a request's line and headers, each ending with a line feed; the empty line is added.
    pub(crate) async fn ask(&mut self, head: &str) -> anyhow::Result<()> {
        let head = format!("{head}host: localhost\n\n").replace('\n', "\r\n");
        self.send(head.as_bytes()).await
    }

    /// Sends bytes of a body.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// What is answered, as far as its body.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            let end = self.buffer.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.buffer.split_to(end + 4);
                return parse(&head);
            }
            ensure!(self.buffer.len() < MAX_HEAD, "an endless answer");
            ensure!(self.more().await? > 0, "closed before the answer");
        }
    }

    /// Takes all of the body, and says how many bytes it had. What comes in chunks must be little.
    pub(crate) async fn body(&mut self, answer: &Answer) -> anyhow::Result<usize> {
        let Body::Bytes(length) = answer.body else {
            while !self.buffer.ends_with(LAST_CHUNK) {
                ensure!(self.buffer.len() < MAX_HEAD, "an endless body");
                ensure!(self.more().await? > 0, "closed in the middle");
            }
            self.buffer.clear();
            return Ok(0);
        };
        let mut came = self.buffer.len();
        while came < length {
            self.buffer.clear();
            let more = self.more().await?;
            ensure!(more > 0, "closed in the middle");
            came += more;
        }
        ensure!(came == length, "{came} bytes in place of {length}");
        self.buffer.clear();
        Ok(length)
    }

    /// All of a short body.
    pub(crate) async fn text(&mut self, answer: &Answer) -> anyhow::Result<BytesMut> {
        let Body::Bytes(length) = answer.body else {
            bail!("a body in chunks");
        };
        ensure!(length <= MAX_HEAD, "a body of {length} bytes");
        while self.buffer.len() < length {
            ensure!(self.more().await? > 0, "closed in the middle");
        }
        Ok(self.buffer.split_to(length))
    }

    /// Both ways of it, for who sends and hears at the same time.
    pub(crate) fn into_stream(self) -> TlsStream<TcpStream> {
        self.stream
    }

    async fn more(&mut self) -> anyhow::Result<usize> {
        self.buffer.reserve(READ);
        Ok(self.stream.read_buf(&mut self.buffer).await?)
    }
}

impl Answer {
    /// Fails unless it is what was asked for.
    pub(crate) fn well(self) -> anyhow::Result<Self> {
        ensure!(
            (200..300).contains(&self.status),
            "answered {}",
            self.status
        );
        Ok(self)
    }
}

fn parse(head: &[u8]) -> anyhow::Result<Answer> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.context("no status")?.parse()?;
    // 204 has neither.
    let mut body = Body::Bytes(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = Body::Bytes(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.trim().eq_ignore_ascii_case("chunked") {
                bail!("a body in {value}");
            }
            body = Body::Chunks;
        }
    }
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_its_body_ends() {
        let of = |head: &str| parse(head.as_bytes()).unwrap();
        let answer = of("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 17\r\n\r\n");
        assert_eq!((answer.status, answer.body), (200, Body::Bytes(17)));
        let answer = of("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!((answer.status, answer.body), (204, Body::Bytes(0)));
        let answer = of("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!((answer.status, &answer.body), (201, &Body::Chunks));
        assert!(answer.well().is_ok());
        assert!(of("HTTP/1.1 403 Forbidden\r\n\r\n").well().is_err());
        assert!(parse(b"HTTP/1.1\r\n\r\n").is_err());
    }
}
