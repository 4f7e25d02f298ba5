//! A STUN binding (RFC 8489) over UDP, TCP or TLS: as whom this machine is seen from outside. Over
//! UDP, and if the server has another address, the behaviour of the NAT between (RFC 5780).

mod behaviour;

use std::{net::SocketAddr, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::stun::{
    self, Class, HEADER_LEN, Message, REQUEST_MAX, TransactionId, binding_request,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::tls as tls_probe;
use crate::{
    ask::{Ask, Transport},
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    evidence::{Finding, NatBehaviour, PhaseName, StunEvidence, Trouble},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{Stream, conclude, connect},
    text::cut,
    tls,
};

/// Longest text of a server that is kept, in characters; RFC 8489 §14.14 allows no longer.
const TEXT_MAX: usize = 127;

/// A STUN server over UDP, or over TCP where the lane says so.
pub(crate) struct Stun;

impl Probe for Stun {
    fn protocols(&self) -> &'static [&'static str] {
        &["stun"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        match ask.transport {
            Transport::Udp | Transport::Icmp => vec![
                Sent::new("a STUN binding request", HEADER_LEN, TIMES_SENT.into()),
                Sent::new(
                    "STUN binding requests to and from the other address that the server names, \
                     if it names one",
                    REQUEST_MAX,
                    behaviour::REQUESTS_MAX,
                ),
            ],
            Transport::Tcp => vec![Sent::new("a STUN binding request", HEADER_LEN, 1)],
        }
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        match ask.transport {
            Transport::Udp | Transport::Icmp => {
                exercise(ask, path, |run| attempt_udp(run).boxed()).boxed()
            }
            Transport::Tcp => exercise(ask, path, |run| attempt_tcp(run).boxed()).boxed(),
        }
    }
}

/// A STUN server over TLS.
pub(crate) struct Stuns;

impl Probe for Stuns {
    fn protocols(&self) -> &'static [&'static str] {
        &["stuns"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        let request = Sent::new("a STUN binding request", HEADER_LEN, 1);
        tls_probe::sent().into_iter().chain([request]).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_tls(run).boxed()).boxed()
    }
}

async fn attempt_udp(run: &mut Run<'_>) -> Result<(), Stop> {
    let socket = datagram::connected(run).await?;
    let local = socket.local_addr().map_err(|error| local_trouble(&error))?;
    // Repeated as it is (RFC 8489 §6.2.1), so that an answer to either will do.
    let id = TransactionId(run.path.tls().random()?);
    let Answered {
        answer: message,
        sent_at,
        sent,
    } = datagram::ask(
        run,
        &socket,
        Pace::Free,
        |_| binding_request(id, None),
        |datagram| hear(id, datagram),
    )
    .await?;
    let round_trip = (sent == 1).then(|| sent_at.elapsed());
    note(run, Some(local), message, round_trip)?;
    behaviour::find(run, local).await?;
    judge(run)
}

async fn attempt_tcp(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    binding_over(run, &mut stream).await
}

async fn attempt_tls(run: &mut Run<'_>) -> Result<(), Stop> {
    let stream = connect(run).await?;
    let mut secured = tls::secure(run, stream, &[]).await?;
    let result = binding_over(run, &mut secured.stream).await;
    tls::close(run, secured.stream).await;
    conclude(secured.doubt, result)
}

/// One request and its answer over a connection.
async fn binding_over(run: &mut Run<'_>, stream: &mut impl Stream) -> Result<(), Stop> {
    let id = TransactionId(run.path.tls().random()?);
    let start = Instant::now();
    let exchange = async {
        let stop = |error: std::io::Error| Stop::io(&error, PhaseName::Exchange, start);
        let request = binding_request(id, None);
        stream.write_all(&request).await.map_err(stop)?;
        stream.flush().await.map_err(stop)?;
        let mut header = [0; HEADER_LEN];
        stream.read_exact(&mut header).await.map_err(stop)?;
        let mut message = vec![0; Message::length(&header).map_err(malformed)?];
        message[..HEADER_LEN].copy_from_slice(&header);
        let rest = &mut message[HEADER_LEN..];
        stream.read_exact(rest).await.map_err(stop)?;
        let message = Message::read(&message).map_err(malformed)?;
        if message.id != id {
            return Err(other_transaction().into());
        }
        Ok(message)
    };
    let message = run.phase(PhaseName::Exchange, exchange).await?;
    let round_trip = start.elapsed();
    judge_answer(&message)?;
    note(run, run.local, message, Some(round_trip))?;
    if let Some(evidence) = &mut run.attempt.stun {
        let why = "a NAT's behaviour is asked over UDP";
        evidence.not_known = Some(why.to_owned());
    }
    Ok(())
}

fn hear(id: TransactionId, datagram: &[u8]) -> Heard<Message> {
    match Message::read(datagram) {
        Ok(message) if message.id == id => Heard::Answer(judge_answer(&message).map(|()| message)),
        Ok(_) => Heard::Stray(Some(other_transaction())),
        Err(error) => Heard::Stray(Some(malformed(error))),
    }
}

/// Whether an answer to our question is one that can be used.
fn judge_answer(message: &Message) -> Result<(), Stop> {
    let malformed = |what: &str| {
        let what = what.to_owned();
        Err(Trouble::Malformed { what }.into())
    };
    match message.class {
        Class::Success if !message.unknown.is_empty() => {
            // RFC 8489 §6.3.3.
            malformed("the STUN answer has attributes that nobody has to know")
        }
        Class::Success if message.reflexive.is_none() => {
            malformed("the STUN answer has no mapped address")
        }
        Class::Success => Ok(()),
        Class::Error => match &message.error {
            Some(error) => Err(Trouble::StunRefused {
                code: error.code,
                reason: cut(&error.reason, TEXT_MAX),
            }
            .into()),
            None => malformed("the STUN error has no code"),
        },
        Class::Request | Class::Indication => malformed("the STUN answer is no answer"),
    }
}

fn note(
    run: &mut Run<'_>,
    local: Option<SocketAddr>,
    message: Message,
    round_trip: Option<Duration>,
) -> Result<(), Stop> {
    let reflexive = message.reflexive.ok_or_else(other_transaction)?;
    run.attempt.stun = Some(StunEvidence {
        local,
        reflexive,
        translated: local.map(|local| !same_place(local, reflexive)),
        mapping: NatBehaviour::NotKnown,
        filtering: NatBehaviour::NotKnown,
        not_known: None,
        other_address: message.other_address,
        software: message.software.map(|software| cut(&software, TEXT_MAX)),
        round_trip,
    });
    Ok(())
}

/// Whether two addresses are the same place; a scope of IPv6 is only known on this machine.
fn same_place(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}

/// A NAT that is another to each place makes the address that was found here useless elsewhere.
fn judge(run: &Run<'_>) -> Result<(), Stop> {
    let Some(evidence) = &run.attempt.stun else {
        return Ok(());
    };
    match evidence.mapping {
        mapping @ (NatBehaviour::AddressDependent | NatBehaviour::AddressAndPortDependent) => {
            Err(Stop::warn(Trouble::NatVaries { mapping }))
        }
        NatBehaviour::EndpointIndependent | NatBehaviour::NotKnown => Ok(()),
    }
}

fn malformed(error: stun::ReadError) -> Trouble {
    Trouble::Malformed {
        what: error.to_string(),
    }
}

fn other_transaction() -> Trouble {
    Trouble::Malformed {
        what: "the STUN answer is to another question".to_owned(),
    }
}

fn local_trouble(error: &std::io::Error) -> Trouble {
    Trouble::Local {
        what: error.to_string(),
    }
}
