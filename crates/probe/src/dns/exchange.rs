//! A question to one name server and its answer: over UDP, and over TCP where the answer is too
//! long for that (RFC 1035 §4.2, RFC 7766 §5).

use std::{io, net::SocketAddr, time::Duration};

use hickory_proto::op::Message;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, UdpSocket},
    time::{Instant, timeout_at},
};

use super::question::Question;
use crate::{
    evidence::{PhaseName, Trouble, Unit},
    path::Source,
    run::Stop,
};

/// Largest datagram that is read; what is longer is cut.
const DATAGRAM_MAX: usize = 4096;
/// Most datagrams that are looked at for one answer.
const DATAGRAMS_MAX: usize = 200;
/// How often a question is sent at most, each time after twice the pause before.
const TIMES_SENT: u32 = 4;

/// What nothing came of.
const SILENCE: Trouble = Trouble::TimedOut {
    phase: PhaseName::Exchange,
};

/// An answer, and what carried it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) message: Message,
    pub(crate) over_tcp: bool,
}

/// How one name server is asked.
pub(crate) struct Asking<'a> {
    pub(crate) server: SocketAddr,
    pub(crate) source: &'a Source,
    /// How long its first answer may take; what is lost is sent again at half of it.
    pub(crate) wait: Duration,
    /// When it must be over.
    pub(crate) end: Instant,
}

impl Asking<'_> {
    /// Asks over UDP, and over TCP if the answer says so.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Heard, Trouble> {
        let message = self.over_udp(question).await?;
        if !message.metadata.truncation {
            return Ok(Heard {
                message,
                over_tcp: false,
            });
        }
        let lost = |why| Trouble::LargeAnswersLost { why: Box::new(why) };
        self.over_tcp(question).await.map_err(lost)
    }

    /// Asks over TCP alone.
    pub(crate) async fn over_tcp(&self, question: &Question) -> Result<Heard, Trouble> {
        let exchange = async {
            let start = Instant::now();
            let mut stream = async {
                let socket = match self.server {
                    SocketAddr::V4(_) => TcpSocket::new_v4(),
                    SocketAddr::V6(_) => TcpSocket::new_v6(),
                }?;
                self.source.bind(SockRef::from(&socket))?;
                socket.connect(self.server).await
            }
            .await
            .map_err(|error| Stop::io(&error, PhaseName::Connect, start).trouble)?;
            on_stream(&mut stream, question).await
        };
        let message = timeout_at(self.end, exchange).await;
        Ok(Heard {
            message: message.map_err(|_| SILENCE)??,
            over_tcp: true,
        })
    }

    async fn over_udp(&self, question: &Question) -> Result<Message, Trouble> {
        let start = Instant::now();
        let trouble = |error: io::Error| Stop::io(&error, PhaseName::Exchange, start).trouble;
        let socket = self.socket().await.map_err(trouble)?;
        let mut ears = Ears {
            socket: &socket,
            question,
            heard: 0,
            stray: None,
        };
        let mut pause = self.wait / 2;
        for time in 1..=TIMES_SENT {
            socket.send(&question.bytes).await.map_err(trouble)?;
            let until = if time == TIMES_SENT {
                self.end
            } else {
                self.end.min(Instant::now() + pause)
            };
            if let Some(answer) = ears.listen(until).await? {
                return Ok(answer);
            }
            if until == self.end {
                break;
            }
            pause *= 2;
        }
        Err(ears.stray.unwrap_or(SILENCE))
    }

    /// A socket that speaks with the server only, and so hears of refusals.
    async fn socket(&self) -> io::Result<UdpSocket> {
        let socket = self.source.datagram_socket(self.server.ip())?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.connect(self.server).await?;
        Ok(socket)
    }
}

/// A socket, and what was heard on it.
struct Ears<'a> {
    socket: &'a UdpSocket,
    question: &'a Question,
    heard: usize,
    /// The last that was not the answer.
    stray: Option<Trouble>,
}

impl Ears<'_> {
    async fn listen(&mut self, until: Instant) -> Result<Option<Message>, Trouble> {
        let start = Instant::now();
        let mut buffer = vec![0; DATAGRAM_MAX];
        while self.heard < DATAGRAMS_MAX {
            let Ok(received) = timeout_at(until, self.socket.recv(&mut buffer)).await else {
                return Ok(None);
            };
            let length =
                received.map_err(|error| Stop::io(&error, PhaseName::Exchange, start).trouble)?;
            self.heard += 1;
            match self.question.read(&buffer[..length]) {
                Ok(message) => return Ok(Some(message)),
                Err(stray) => self.stray = Some(stray),
            }
        }
        Err(Trouble::TooMuch {
            bound: DATAGRAMS_MAX as u64,
            unit: Unit::Datagrams,
        })
    }
}

/// Sends a question over a connection and reads the answer. Each message has its length before it
/// (RFC 1035 §4.2.2), so none is longer than 65,535 bytes.
pub(crate) async fn on_stream(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    question: &Question,
) -> Result<Message, Trouble> {
    let start = Instant::now();
    let exchange = async {
        let length = u16::try_from(question.bytes.len()).unwrap_or(u16::MAX);
        let framed = [&length.to_be_bytes()[..], &question.bytes].concat();
        stream.write_all(&framed).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let answer = exchange
        .await
        .map_err(|error: io::Error| Stop::io(&error, PhaseName::Exchange, start).trouble)?;
    question.read(&answer)
}
