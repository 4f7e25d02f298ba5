//! One question to everybody on the local networks, and all answers: mDNS, LLMNR.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{net::UdpSocket, time::Instant};

use crate::{
    datagram, dns,
    evidence::{Family, MulticastAnswer, MulticastEvidence, Outcome, PhaseName, Trouble},
    interfaces::{self, Interface},
    path::Source,
    run::{Run, Stop},
    stream::socket_address,
};

/// How long answers are waited for: mDNS answers within 120 ms of the last question (RFC 6762 §6),
/// LLMNR within a second (RFC 4795 §7).
const WINDOW: Duration = Duration::from_secs(2);
/// Most answers that are kept.
const ANSWERS_MAX: usize = 64;
/// Most datagrams that are looked at.
const DATAGRAMS_MAX: usize = 1000;
/// Largest datagram that is read; what is longer is cut.
const DATAGRAM_MAX: usize = 9000;
/// Most records of an answer that are kept.
const RECORDS_MAX: usize = 32;
/// Hops that a datagram may take. Groups of a link are not passed on whatever it is, and some
/// receivers want it whole (RFC 6762 §11, RFC 4795 §2.5).
const HOPS: u8 = 255;
/// Asks for an answer to nobody but the asker (RFC 6762 §5.4).
const UNICAST_RESPONSE: u16 = 0x8000;

/// What is asked, and of whom.
pub(crate) struct Wanted {
    pub(crate) name: Name,
    /// Each is a question of its own.
    pub(crate) record_types: Vec<RecordType>,
    /// Whether to ask for answers to nobody but us.
    pub(crate) unicast: bool,
    /// Whether one answer is enough.
    pub(crate) one_is_enough: bool,
    /// Whether what DNS calls AA says that others have the name too, as in LLMNR (RFC 4795
    /// §2.1.1).
    pub(crate) tells_conflicts: bool,
}

/// Asks the group, or the one machine, that the attempt goes to. What came back stands in the
/// evidence; nothing is a failure where a single machine was asked for, and else a warning, for
/// nobody may be there.
pub(crate) async fn ask(run: &mut Run<'_>, wanted: &Wanted) -> Result<(), Stop> {
    let target = socket_address(run)?;
    let neighbours = if target.ip().is_multicast() {
        on_networks(target, run.path.source())?
    } else {
        vec![Ear {
            interface: Interface::default(),
            socket: datagram::connected(run).await?,
        }]
    };
    let questions = questions(run, wanted)?;
    run.attempt.multicast = Some(MulticastEvidence {
        question: wanted.name.to_string(),
        record_types: wanted
            .record_types
            .iter()
            .map(ToString::to_string)
            .collect(),
        interfaces: neighbours
            .iter()
            .map(|ear| ear.interface.name.clone())
            .filter(|name| !name.is_empty())
            .collect(),
        answers: Vec::new(),
        sent: 0,
    });
    let mut asking = Asking {
        ears: neighbours,
        target,
        questions,
        answers: Vec::new(),
        heard: 0,
        enough: wanted.one_is_enough,
        tells_conflicts: wanted.tells_conflicts,
    };
    let start = Instant::now();
    let end = run.deadline().min(start + WINDOW);
    let mut sent = 0;
    let listened = run
        .phase(PhaseName::Exchange, asking.run(start, end, &mut sent))
        .await;
    if let Some(evidence) = &mut run.attempt.multicast {
        evidence.answers = asking.answers;
        evidence.sent = sent;
        if evidence.answers.is_empty() {
            listened?;
            let nobody = Trouble::NobodyAnswered;
            return Err(if wanted.one_is_enough {
                nobody.into()
            } else {
                Stop::warn(nobody)
            });
        }
    }
    Ok(())
}

/// A socket and the network it leads to.
struct Ear {
    interface: Interface,
    socket: UdpSocket,
}

/// A socket on each network that has the group's family, of those that everything may set out
/// from.
fn on_networks(group: SocketAddr, source: &Source) -> Result<Vec<Ear>, Stop> {
    let mut ears = Vec::new();
    for interface in interfaces::usable()? {
        let wanted = match source {
            Source::Any => true,
            Source::Interface(name) => interface.name == *name,
            Source::Address(address) => interface.has(*address),
        };
        let speaks = match Family::of(group.ip()) {
            Family::V4 => !interface.v4.is_empty(),
            Family::V6 => !interface.v6.is_empty(),
        };
        if speaks && wanted {
            let socket = socket_on(&interface, group.ip(), source).map_err(local)?;
            ears.push(Ear { interface, socket });
        }
    }
    if ears.is_empty() {
        return Err(Stop {
            outcome: Outcome::NotApplicable,
            trouble: Trouble::NetworkUnreachable,
        });
    }
    Ok(ears)
}

/// A port of its own: whoever asks from another port than the protocol's is answered there (RFC
/// 6762 §6.7, RFC 4795 §2.5).
fn socket_on(interface: &Interface, group: IpAddr, source: &Source) -> io::Result<UdpSocket> {
    let (domain, any): (_, IpAddr) = match group {
        IpAddr::V4(_) => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    let own = match source {
        Source::Address(address) => *address,
        Source::Any | Source::Interface(_) => any,
    };
    socket.bind(&SocketAddr::new(own, 0).into())?;
    let options = SockRef::from(&socket);
    match group {
        IpAddr::V4(_) => {
            let own = match source {
                Source::Address(IpAddr::V4(address)) => address,
                Source::Address(IpAddr::V6(_)) | Source::Any | Source::Interface(_) => {
                    interface.v4.first().unwrap_or(&Ipv4Addr::UNSPECIFIED)
                }
            };
            options.set_multicast_if_v4(own)?;
            options.set_multicast_ttl_v4(HOPS.into())?;
        }
        IpAddr::V6(_) => {
            options.set_multicast_if_v6(interface.index)?;
            options.set_multicast_hops_v6(HOPS.into())?;
        }
    }
    UdpSocket::from_std(socket.into())
}

/// A question and how its answer is known.
struct Question {
    id: u16,
    query: Query,
    bytes: Vec<u8>,
}

fn questions(run: &Run<'_>, wanted: &Wanted) -> Result<Vec<Question>, Stop> {
    let mut questions = Vec::new();
    for record_type in &wanted.record_types {
        let id = u16::from_be_bytes(run.path.tls().random()?);
        let query = Query::query(wanted.name.clone(), *record_type);
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(query.clone());
        let mut bytes = message.to_vec().map_err(|error| Trouble::BadAsk {
            what: error.to_string(),
        })?;
        // The class is the last of a question, and this its highest bit.
        if wanted.unicast
            && let Some(class) = bytes.len().checked_sub(2)
            && let Some(high) = bytes.get_mut(class)
        {
            *high |= UNICAST_RESPONSE.to_be_bytes()[0];
        }
        questions.push(Question { id, query, bytes });
    }
    Ok(questions)
}

/// Questions under way.
struct Asking {
    ears: Vec<Ear>,
    target: SocketAddr,
    questions: Vec<Question>,
    answers: Vec<MulticastAnswer>,
    heard: usize,
    enough: bool,
    tells_conflicts: bool,
}

impl Asking {
    /// Sends all questions, and once more at half time if nobody has answered.
    async fn run(&mut self, start: Instant, end: Instant, sent: &mut u8) -> Result<(), Stop> {
        let half_time = start + end.saturating_duration_since(start) / 2;
        for until in [half_time, end] {
            if self.answers.is_empty() {
                self.send().await?;
                *sent += 1;
            }
            self.listen(until).await?;
            if self.enough && !self.answers.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Sends every question on every network; that it leaves on one of them is enough.
    async fn send(&self) -> Result<(), Stop> {
        let start = Instant::now();
        let mut error = None;
        let mut left = false;
        for ear in &self.ears {
            for question in &self.questions {
                match ear.socket.send_to(&question.bytes, self.target).await {
                    Ok(_) => left = true,
                    Err(why) => error = Some(why),
                }
            }
        }
        match error {
            Some(error) if !left => Err(Stop::io(&error, PhaseName::Exchange, start)),
            Some(_) | None => Ok(()),
        }
    }

    async fn listen(&mut self, until: Instant) -> Result<(), Stop> {
        let start = Instant::now();
        let mut buffer = vec![0; DATAGRAM_MAX];
        while self.heard < DATAGRAMS_MAX && self.answers.len() < ANSWERS_MAX {
            if self.enough && !self.answers.is_empty() {
                return Ok(());
            }
            let sockets = self.ears.iter().map(|ear| &ear.socket);
            let next = datagram::next_of(sockets, until, &mut buffer).await;
            let Some((at, length, from)) =
                next.map_err(|error| Stop::io(&error, PhaseName::Exchange, start))?
            else {
                return Ok(());
            };
            self.heard += 1;
            if let Some(ear) = self.ears.get(at) {
                let answer = self.answer(ear, &buffer[..length], from);
                self.answers.extend(answer);
            }
        }
        Ok(())
    }

    /// What a datagram answers, if it does and comes from another machine's port of the protocol.
    fn answer(&self, ear: &Ear, bytes: &[u8], from: SocketAddr) -> Option<MulticastAnswer> {
        if from.port() != self.target.port() || ear.interface.has(from.ip()) {
            return None;
        }
        let message = Message::from_vec(bytes).ok()?;
        let asked = self
            .questions
            .iter()
            .find(|question| question.id == message.metadata.id)?;
        let fits = message.metadata.message_type == MessageType::Response
            && message.answers.iter().any(|record| {
                record.name == *asked.query.name()
                    && record.record_type() == asked.query.query_type()
            });
        fits.then(|| MulticastAnswer {
            from: from.ip(),
            records: dns::records(&message.answers, RECORDS_MAX),
            conflict: message.metadata.authoritative && self.tells_conflicts,
        })
    }
}

fn local(error: io::Error) -> Stop {
    Trouble::Local {
        what: error.to_string(),
    }
    .into()
}
