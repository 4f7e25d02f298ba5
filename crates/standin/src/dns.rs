//! A DNS server over UDP, TCP and HTTPS that knows what it was told and nothing else.

mod answers;
mod https;

use std::{sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode},
    rr::DNSClass,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time,
};

use crate::listen;
pub use answers::{Answers, BadName};

/// The longest question that is read, in bytes. Real ones stay under 512.
const MAX_QUESTION: usize = 4096;

/// The longest answer over UDP, in bytes, whatever the client would take: the size that fits
/// through every network (DNS flag day 2020).
const MAX_UDP_ANSWER: u16 = 1232;

/// Wait for a question over TCP, from its first byte to its last.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Questions on one TCP connection.
const MAX_TCP_QUESTIONS: usize = 100;

/// What a DNS stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DnsFault {
    /// Nothing.
    #[default]
    None,
    /// Hears and does not answer.
    Silent,
    /// Refuses every question (RCODE 5).
    Refused,
    /// Fails at every question (RCODE 2).
    ServerFailure,
    /// Denies that any name exists (RCODE 3).
    NoSuchName,
    /// Sends no records over UDP and asks to come again over TCP (bit TC).
    Truncated,
    /// As [`DnsFault::Truncated`], and hears over TCP and does not answer.
    TruncatedForEver,
    /// Hears over UDP and does not answer; over TCP it does.
    SilentOverUdp,
    /// Fails at every question (RCODE 2) but those that want signatures left unchecked (bit CD,
    /// RFC 4035 §3.2.2), as where a zone is signed wrongly.
    BrokenSignatures,
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// What both transports share.
pub(crate) struct Server {
    pub(crate) answers: Answers,
    pub(crate) fault: DnsFault,
}

/// Answers over UDP until dropped.
pub(crate) async fn serve_udp(socket: UdpSocket, server: Arc<Server>) {
    let mut heard = [0; MAX_QUESTION];
    loop {
        let (length, peer) = listen::receive(&socket, &mut heard).await;
        if let Some(answer) = server.respond(&heard[..length], Transport::Udp) {
            // A lost answer is the asker's to notice: UDP promises nothing.
            let _sent = socket.send_to(&answer, peer).await;
        }
    }
}

/// Answers over TCP until dropped.
pub(crate) async fn serve_tcp(listener: TcpListener, server: Arc<Server>) {
    listen::serve_each(listener, move |stream| connection(stream, server.clone())).await;
}

async fn connection(mut stream: TcpStream, server: Arc<Server>) {
    for _ in 0..MAX_TCP_QUESTIONS {
        let Ok(Some(question)) = time::timeout(TCP_TIMEOUT, read_question(&mut stream)).await
        else {
            return;
        };
        let Some(answer) = server.respond(&question, Transport::Tcp) else {
            return listen::hold_silently(stream).await;
        };
        let Ok(length) = u16::try_from(answer.len()) else {
            return;
        };
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        let sending = time::timeout(TCP_TIMEOUT, stream.write_all(&framed));
        if !matches!(sending.await, Ok(Ok(()))) {
            return;
        }
    }
}

/// A message with its length in front (RFC 1035 §4.2.2).
async fn read_question(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = usize::from(stream.read_u16().await.ok()?);
    if length > MAX_QUESTION {
        return None;
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await.ok()?;
    Some(question)
}

impl Server {
    /// The answer's bytes; `None` for what is not a question at all.
    fn respond(&self, bytes: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let question = Message::from_vec(bytes).ok()?;
        if question.metadata.message_type != MessageType::Query {
            return None;
        }
        let deaf = matches!(
            (self.fault, transport),
            (DnsFault::TruncatedForEver, Transport::Tcp)
                | (DnsFault::SilentOverUdp, Transport::Udp)
        );
        if deaf {
            return None;
        }
        let answer = self.answer(&question)?;
        let encoded = answer.to_vec().ok()?;
        let limit = usize::from(question.max_payload().min(MAX_UDP_ANSWER));
        let too_long = encoded.len() > limit
            || matches!(self.fault, DnsFault::Truncated | DnsFault::TruncatedForEver);
        if transport == Transport::Udp && too_long {
            return answer.truncate().to_vec().ok();
        }
        Some(encoded)
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let metadata = Metadata::response_from_request(&question.metadata);
        let mut answer = Message::response(metadata.id, metadata.op_code);
        answer.metadata = metadata;
        answer.metadata.recursion_available = true;
        answer.add_queries(question.queries.iter().cloned());
        if question.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP_ANSWER);
            answer.set_edns(edns);
        }

        let code = &mut answer.metadata.response_code;
        match (self.fault, &question.queries[..]) {
            (DnsFault::Silent, _) => return None,
            (DnsFault::Refused, _) => *code = ResponseCode::Refused,
            (DnsFault::BrokenSignatures, _) if !question.metadata.checking_disabled => {
                *code = ResponseCode::ServFail;
            }
            (DnsFault::ServerFailure, _) => *code = ResponseCode::ServFail,
            (_, _) if question.metadata.op_code != OpCode::Query => *code = ResponseCode::NotImp,
            (DnsFault::NoSuchName, [_]) => {
                *code = ResponseCode::NXDomain;
                answer.add_authority(answers::start_of_authority());
            }
            (_, [query]) => {
                if query.query_class() == DNSClass::IN {
                    self.answers.fill(query, &mut answer);
                } else {
                    *code = ResponseCode::Refused;
                }
            }
            (_, _) => *code = ResponseCode::FormErr,
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests;
