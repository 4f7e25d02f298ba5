//! A client of MQTT 3.1.1 that does as little as it can, the same for every server: what is
//! measured is the server.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The most bytes of a packet that a server may send here.
const MAX_PACKET: usize = 1024 * 1024;

/// Whom to connect to, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) port: u16,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// A name and how it is proved.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// One live connection.
pub(crate) struct Link {
    pub(crate) read: Reader,
    pub(crate) write: WriteHalf<TlsStream<TcpStream>>,
}

/// The half of a connection that is read.
pub(crate) struct Reader {
    stream: ReadHalf<TlsStream<TcpStream>>,
    buffer: BytesMut,
}

/// A packet: its first byte, and what follows its length.
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Bytes,
}

impl Link {
    /// Connects and logs in.
    pub(crate) async fn open(target: &Target, client: &str, login: &Login) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::clone(&target.tls))
            .connect(name, stream)
            .await
            .context("TLS failed")?;
        let (read, mut write) = tokio::io::split(stream);
        let mut read = Reader {
            stream: read,
            buffer: BytesMut::new(),
        };
        write.write_all(&connect(client, login)).await?;
        write.flush().await?;
        let answer = read.packet().await?.context("closed before CONNACK")?;
        ensure!(answer.first == 0x20, "no CONNACK but {:#x}", answer.first);
        match answer.body.get(1) {
            Some(0) => Ok(Self { read, write }),
            code => bail!("refused: {code:?}"),
        }
    }

    /// Subscribes and waits for the answer.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) -> anyhow::Result<()> {
        let mut body = vec![0, 1];
        text(&mut body, filter);
        body.push(qos);
        let mut packet = Vec::new();
        frame(&mut packet, 0x82, &body);
        self.write.write_all(&packet).await?;
        self.write.flush().await?;
        let answer = self.read.packet().await?.context("closed before SUBACK")?;
        ensure!(answer.first == 0x90, "no SUBACK but {:#x}", answer.first);
        let granted = answer.body.last().copied().unwrap_or(0x80);
        ensure!(granted < 0x80, "the subscription to {filter} was refused");
        Ok(())
    }
}

impl Reader {
    /// The next packet; `None` when the server has closed.
    pub(crate) async fn packet(&mut self) -> anyhow::Result<Option<Packet>> {
        loop {
            if let Some(packet) = take(&mut self.buffer)? {
                return Ok(Some(packet));
            }
            self.buffer.reserve(16 * 1024);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits until the server has closed, whatever it says before.
    pub(crate) async fn closed(&mut self) {
        // A connection that was reset is closed as well.
        while let Ok(Some(_)) = self.packet().await {}
    }
}

/// A PUBLISH of QoS 0 or 1.
pub(crate) fn publish(into: &mut Vec<u8>, topic: &str, qos: u8, id: u16, payload: &[u8]) {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    text(&mut body, topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(payload);
    frame(into, 0x30 | qos << 1, &body);
}

/// A PUBACK.
pub(crate) fn puback(into: &mut Vec<u8>, id: [u8; 2]) {
    frame(into, 0x40, &id);
}

/// The packet id of a PUBLISH with QoS 1, if it is one.
pub(crate) fn to_acknowledge(packet: &Packet) -> Option<[u8; 2]> {
    if packet.first & 0xf6 != 0x32 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([
        *packet.body.first()?,
        *packet.body.get(1)?,
    ]));
    let id = packet.body.get(2 + length..4 + length)?;
    id.try_into().ok()
}

/// A CONNECT.
pub(crate) fn connect(client: &str, login: &Login) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    // Level 4; user name, password and a clean session; no keep-alive.
    body.extend([4, 0xc2, 0, 0]);
    for field in [client, &login.user, &login.password] {
        text(&mut body, field);
    }
    let mut packet = Vec::new();
    frame(&mut packet, 0x10, &body);
    packet
}

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    into.extend(text.as_bytes());
}

fn frame(into: &mut Vec<u8>, first: u8, body: &[u8]) {
    into.push(first);
    let mut left = body.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or(0x7f);
        left >>= 7;
        into.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    into.extend(body);
}

fn take(buffer: &mut BytesMut) -> anyhow::Result<Option<Packet>> {
    let (mut length, mut at) = (0_usize, 1);
    loop {
        let Some(byte) = buffer.get(at) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        ensure!(at <= 4, "a length of more than four bytes");
    }
    ensure!(length <= MAX_PACKET, "a packet of {length} bytes");
    if buffer.len() < at + length {
        return Ok(None);
    }
    let first = buffer.first().copied().unwrap_or_default();
    buffer.advance(at);
    let body = buffer.split_to(length).freeze();
    Ok(Some(Packet { first, body }))
}
