//! One question to a resolver (RFC 1035), over UDP or TCP.
//!
//! Any well-formed answer proves the lane, also "there is no such name": the resolver was reached
//! and did its work. Only a service that is asked for (SRV) must be there, too, and its servers have
//! addresses. What UDP leaves open is asked again over TCP: an answer that is too long for
//! it, and whether a resolver that says nothing is there at all.

mod service;

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RecordType},
};

use crate::{
    ask::{Ask, Transport},
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    dns::{Manner, QUESTION_MAX, Question, on_stream, rcode_name, records},
    evidence::{DnsEvidence, Finding, PhaseName, Trouble},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::connect,
};
use service::{SERVERS_MAX, is_service};

/// Most records of an answer that are kept.
const RECORDS_MAX: usize = 32;
/// How long a resolver that said nothing over UDP may take over TCP.
const OVER_TCP_WAIT: Duration = Duration::from_secs(1);

/// A resolver.
pub(crate) struct Dns;

impl Probe for Dns {
    fn protocols(&self) -> &'static [&'static str] {
        &["dns"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let asked = match &ask.question {
            Some(name) if is_service(name) => format!("the servers of {name}"),
            Some(name) => format!("the address of {name}"),
            None => "the root's name servers".to_owned(),
        };
        let question = |what: &str, times| Sent::new(what, QUESTION_MAX + 2, times);
        let over = |carrier| format!("a DNS question for {asked}, over {carrier}");
        // Asked again where a resolver fails: whether only signatures are to blame.
        let mut sends = if ask.transport == Transport::Tcp {
            vec![question(&over("TCP"), 2)]
        } else {
            vec![
                question(&over("UDP"), 2 * u32::from(TIMES_SENT)),
                question(&format!("{}, where UDP is not enough", over("TCP")), 2),
            ]
        };
        if ask.question.as_deref().is_some_and(is_service) {
            // Each is asked for as the service was, over UDP twice and over TCP once.
            let times = 2 * u32::try_from(SERVERS_MAX).unwrap_or(u32::MAX);
            let what = "DNS questions for the addresses of these servers";
            sends.push(question(what, times * (u32::from(TIMES_SENT) + 1)));
        }
        sends
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let question = question(run, Manner::default())?;
    let answer = exchange(run, &question).await?;
    let code = answer.metadata.response_code;
    if matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return if question.query.query_type() == RecordType::SRV {
            service::find(run, &question, &answer).await
        } else {
            Ok(())
        };
    }
    if code == ResponseCode::ServFail && holds_unchecked(run).await {
        return Err(Trouble::SignaturesBroken.into());
    }
    Err(Trouble::ResolverRefused {
        rcode: rcode_name(code),
    }
    .into())
}

/// Asks and notes what comes.
async fn exchange(run: &mut Run<'_>, question: &Question) -> Result<Message, Stop> {
    match run.ask.transport {
        Transport::Tcp => {
            let answer = over_tcp(run, question).await?;
            run.attempt.dns = Some(evidence(question, &answer, 1));
            Ok(answer)
        }
        Transport::Udp => {
            let (answer, sent) = match over_udp(run, question).await {
                Err(stop) => return Err(silence(run, question, stop).await),
                Ok(answered) => answered,
            };
            let truncated = answer.metadata.truncation;
            run.attempt.dns = Some(evidence(question, &answer, sent));
            if !truncated {
                return Ok(answer);
            }
            let whole = over_tcp(run, question).await.map_err(|stop| {
                Stop::warn(Trouble::LargeAnswersLost {
                    why: Box::new(stop.trouble),
                })
            })?;
            run.attempt.dns = Some(DnsEvidence {
                truncated,
                over_tcp: true,
                ..evidence(question, &whole, sent)
            });
            Ok(whole)
        }
        Transport::Icmp => Err(Trouble::BadAsk {
            what: "DNS over ICMP".to_owned(),
        }
        .into()),
    }
}

/// Whether the resolver answers as soon as it need not look at signatures.
async fn holds_unchecked(run: &mut Run<'_>) -> bool {
    let unchecked = Manner {
        unchecked: true,
        ..Manner::default()
    };
    let Ok(question) = question(run, unchecked) else {
        return false;
    };
    let seen = run.attempt.dns.clone();
    let answer = exchange(run, &question).await;
    run.attempt.dns = seen;
    answer.is_ok_and(|answer| answer.metadata.response_code == ResponseCode::NoError)
}

/// What it means that nothing came over UDP: a filter that lets only TCP pass, or what it was.
async fn silence(run: &mut Run<'_>, question: &Question, stop: Stop) -> Stop {
    if !matches!(stop.trouble, Trouble::TimedOut { .. }) {
        return stop;
    }
    run.extend(OVER_TCP_WAIT);
    match over_tcp(run, question).await {
        Ok(answer) => {
            run.attempt.dns = Some(DnsEvidence {
                over_tcp: true,
                ..evidence(question, &answer, TIMES_SENT)
            });
            Trouble::ResolverOverTcpOnly.into()
        }
        Err(_) => stop,
    }
}

/// What the lane's resolver is asked.
fn question(run: &Run<'_>, manner: Manner) -> Result<Question, Stop> {
    let (name, record_type) = match &run.ask.question {
        Some(name) => {
            let mut name = Name::from_utf8(name).map_err(|error| Trouble::BadAsk {
                what: format!("name {name}: {error}"),
            })?;
            name.set_fqdn(true);
            let service = run.ask.question.as_deref().is_some_and(is_service);
            (
                name,
                if service {
                    RecordType::SRV
                } else {
                    RecordType::A
                },
            )
        }
        None => (Name::root(), RecordType::NS),
    };
    question_for(run, name, record_type, manner)
}

fn question_for(
    run: &Run<'_>,
    name: Name,
    record_type: RecordType,
    manner: Manner,
) -> Result<Question, Stop> {
    let id = u16::from_be_bytes(run.path.tls().random()?);
    Ok(Question::new(id, name, record_type, manner)?)
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

async fn over_tcp(run: &mut Run<'_>, question: &Question) -> Result<Message, Stop> {
    let mut stream = connect(run).await?;
    let exchange = async { Ok(on_stream(&mut stream, question).await?) };
    run.phase(PhaseName::Exchange, exchange).await
}

fn evidence(question: &Question, answer: &Message, sent: u8) -> DnsEvidence {
    DnsEvidence {
        question: question.query.name().to_string(),
        record_type: question.query.query_type().to_string(),
        rcode: rcode_name(answer.metadata.response_code),
        answers: records(&answer.answers, RECORDS_MAX),
        truncated: answer.metadata.truncation,
        over_tcp: false,
        recursion_available: answer.metadata.recursion_available,
        sent,
        services: Vec::new(),
    }
}
