//! One question to a resolver (RFC 1035), over UDP or TCP.
//!
//! Any well-formed answer proves the lane, also "there is no such name": the resolver was reached
//! and did its work.

use futures_util::future::{BoxFuture, FutureExt};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    ask::{Ask, Transport},
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    dns::{rcode_name, records},
    evidence::{DnsEvidence, Finding, PhaseName, Trouble},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::connect,
};

/// Longest question: header, name, type and class (RFC 1035 §4.1).
const QUESTION_MAX: usize = 12 + 255 + 4;
/// Most records of an answer that are kept.
const RECORDS_MAX: usize = 32;

/// A resolver.
pub(crate) struct Dns;

impl Probe for Dns {
    fn protocols(&self) -> &'static [&'static str] {
        &["dns"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let asked = match &ask.question {
            Some(name) => format!("the address of {name}"),
            None => "the root's name servers".to_owned(),
        };
        let times = if ask.transport == Transport::Tcp {
            1
        } else {
            TIMES_SENT.into()
        };
        vec![Sent::new(
            &format!("a DNS question for {asked}"),
            QUESTION_MAX + 2,
            times,
        )]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let question = Question::new(run)?;
    let (answer, sent) = match run.ask.transport {
        Transport::Tcp => (over_tcp(run, &question).await?, 1),
        Transport::Udp => over_udp(run, &question).await?,
        Transport::Icmp => {
            return Err(Trouble::BadAsk {
                what: "DNS over ICMP".to_owned(),
            }
            .into());
        }
    };
    let code = answer.metadata.response_code;
    run.attempt.dns = Some(evidence(&question, &answer, sent));
    if matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Ok(());
    }
    Err(Trouble::ResolverRefused {
        rcode: rcode_name(code),
    }
    .into())
}

/// What is asked, and how the answer is known.
struct Question {
    id: u16,
    query: Query,
    bytes: Vec<u8>,
}

impl Question {
    fn new(run: &Run<'_>) -> Result<Self, Stop> {
        let query = match &run.ask.question {
            Some(name) => {
                let mut name = Name::from_utf8(name).map_err(|error| Trouble::BadAsk {
                    what: format!("name {name}: {error}"),
                })?;
                name.set_fqdn(true);
                Query::query(name, RecordType::A)
            }
            None => Query::query(Name::root(), RecordType::NS),
        };
        let id = u16::from_be_bytes(run.path.tls().random()?);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(query.clone());
        let bytes = message.to_vec().map_err(|error| Trouble::BadAsk {
            what: error.to_string(),
        })?;
        Ok(Self { id, query, bytes })
    }

    /// Reads an answer; an error says why it is none to this question.
    fn read(&self, bytes: &[u8]) -> Result<Message, Trouble> {
        let malformed = |what: String| Trouble::Malformed { what };
        let message = Message::from_vec(bytes).map_err(|error| malformed(error.to_string()))?;
        if message.metadata.message_type != MessageType::Response {
            return Err(malformed("a question, not an answer".to_owned()));
        }
        if message.metadata.id != self.id {
            return Err(malformed("an answer to another question".to_owned()));
        }
        let repeats = match message.queries.as_slice() {
            // Some resolvers leave the question out when they refuse.
            [] => !matches!(
                message.metadata.response_code,
                ResponseCode::NoError | ResponseCode::NXDomain
            ),
            [query] => *query == self.query,
            _ => false,
        };
        if repeats {
            Ok(message)
        } else {
            Err(malformed("another question".to_owned()))
        }
    }
}

async fn over_udp(run: &mut Run<'_>, question: &Question) -> Result<(Message, u8), Stop> {
    let socket = datagram::connected(run).await?;
    let hear = |bytes: &[u8]| match question.read(bytes) {
        Ok(message) => Heard::Answer(Ok(message)),
        Err(trouble) => Heard::Stray(Some(trouble)),
    };
    let Answered { answer, sent, .. } =
        datagram::ask(run, &socket, Pace::Free, |_| question.bytes.clone(), hear).await?;
    Ok((answer, sent))
}

/// Each message has its length before it (RFC 1035 §4.2.2), so none is longer than 65,535 bytes.
async fn over_tcp(run: &mut Run<'_>, question: &Question) -> Result<Message, Stop> {
    let mut stream = connect(run).await?;
    let start = Instant::now();
    let exchange = async {
        let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
        let length = u16::try_from(question.bytes.len()).unwrap_or(u16::MAX);
        let framed = [&length.to_be_bytes()[..], &question.bytes].concat();
        stream.write_all(&framed).await.map_err(stop)?;
        let length = stream.read_u16().await.map_err(stop)?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.map_err(stop)?;
        question.read(&answer).map_err(Stop::from)
    };
    run.phase(PhaseName::Exchange, exchange).await
}

fn evidence(question: &Question, answer: &Message, sent: u8) -> DnsEvidence {
    DnsEvidence {
        question: question.query.name().to_string(),
        record_type: question.query.query_type().to_string(),
        rcode: rcode_name(answer.metadata.response_code),
        answers: records(&answer.answers, RECORDS_MAX),
        truncated: answer.metadata.truncation,
        recursion_available: answer.metadata.recursion_available,
        sent,
    }
}
