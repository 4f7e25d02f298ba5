//! What DHCP hands out on this machine's networks, asked of everybody and without taking anything.
//!
//! Two questions go out together. DHCPINFORM is for machines that have an address; servers without
//! authority over the network stay silent to it, and those are just the ones that nobody wanted
//! there. DHCPDISCOVER is answered by all that have an address left; no DHCPREQUEST follows it, so
//! none is taken. Over IPv6 an INFORMATION-REQUEST is all: settings are told to whoever asks.

pub(crate) mod handed_out;
mod question;
mod reply;

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use outgate_wire::{
    dhcp::{MESSAGE_MAX, QUESTION_LEN},
    dhcp6,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{net::UdpSocket, time::Instant};

use crate::{
    datagram::{self, TIMES_SENT},
    evidence::{DhcpEvidence, DhcpServer, Family, Outcome, PhaseName, Trouble, Unit},
    interfaces::{self, Interface},
    path::{Path, Source},
    registry::Sent,
    run::Stop,
};
pub(crate) use handed_out::HandedOut;
pub(crate) use question::{Question, Unread, places};

/// How long answers are waited for: servers try out an address for up to three seconds before they
/// offer it (RFC 2131 §2.2; dnsmasq).
const WINDOW: Duration = Duration::from_secs(4);
/// Most servers that are kept.
const SERVERS_MAX: usize = 16;
/// Most datagrams that are looked at.
const DATAGRAMS_MAX: usize = 1000;

/// What is sent to find out what DHCP hands out.
pub(crate) fn questions() -> Vec<Sent> {
    [
        (
            "a question to everybody on the network for DHCP settings (DHCPINFORM)",
            QUESTION_LEN,
        ),
        (
            "a question to everybody on the network for an offer of DHCP (DHCPDISCOVER), which is \
             not taken",
            QUESTION_LEN,
        ),
        (
            "a question to the network's servers for DHCPv6 settings (INFORMATION-REQUEST)",
            dhcp6::QUESTION_LEN,
        ),
    ]
    .map(|(what, length)| Sent::new(what, length, TIMES_SENT.into()))
    .to_vec()
}

/// Asks on the networks that the path sets out on, and waits for all answers. Takes nine tenths of
/// the path's time-out and four seconds at the most.
pub(crate) async fn ask(path: &Path, family: Family) -> HandedOut {
    let mut evidence = DhcpEvidence::default();
    let asked = ask_into(&mut evidence, path, family).await;
    HandedOut {
        evidence,
        stop: asked.err(),
    }
}

async fn ask_into(evidence: &mut DhcpEvidence, path: &Path, family: Family) -> Result<(), Stop> {
    let mut ears = Vec::new();
    for interface in interfaces::of(path.source())? {
        let speaks = family == Family::V4 || !interface.v6.is_empty();
        if let Some(hardware) = interface.hardware.filter(|_| speaks) {
            ears.push(Ear::on(interface, hardware, path, family)?);
        }
    }
    if ears.is_empty() {
        return Err(Stop {
            outcome: Outcome::NotApplicable,
            trouble: Trouble::NetworkUnreachable,
        });
    }
    let names = ears.iter().map(|ear| ear.interface.name.clone());
    evidence.interfaces = names.collect();
    let start = Instant::now();
    let mut asking = Asking {
        family,
        ears,
        evidence,
        heard: 0,
        stray: None,
    };
    asking
        .run(start, start + WINDOW.min(path.timeout() * 9 / 10))
        .await?;
    asking.outcome()
}

/// A socket on a network, and the questions asked there.
struct Ear {
    interface: Interface,
    socket: UdpSocket,
    questions: Vec<Question>,
}

impl Ear {
    fn on(
        interface: Interface,
        hardware: [u8; 6],
        path: &Path,
        family: Family,
    ) -> Result<Self, Stop> {
        let mut questions = Vec::new();
        let own: Option<IpAddr> = match family {
            Family::V4 => interface.v4.first().copied().map(IpAddr::V4),
            Family::V6 => interface.v6.first().copied().map(IpAddr::V6),
        };
        if let Some(own) = own {
            questions.push(Question::inform(own, hardware, path)?);
        }
        if family == Family::V4 {
            questions.push(Question::discover(hardware, path)?);
        }
        let socket = socket_on(&interface, family).map_err(|error| not_open(&error, family))?;
        Ok(Self {
            interface,
            socket,
            questions,
        })
    }

    /// Everybody on this network.
    fn everybody(&self, family: Family) -> SocketAddr {
        let places = places(family);
        match places.everybody {
            IpAddr::V4(v4) => (v4, places.server).into(),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, places.server, 0, self.interface.index).into(),
        }
    }
}

/// Answers come to the client's port, whoever else on this machine listens there (RFC 2131 §4.1).
fn socket_on(interface: &Interface, family: Family) -> io::Result<UdpSocket> {
    let places = places(family);
    let far = places.everybody;
    let domain = Domain::for_address(SocketAddr::new(far, 0));
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    match family {
        Family::V4 => socket.set_broadcast(true)?,
        Family::V6 => socket.set_only_v6(true)?,
    }
    let source = Source::Interface(interface.name.clone());
    source.bind_at(SockRef::from(&socket), far, places.client)?;
    UdpSocket::from_std(socket.into())
}

/// What it means that the client's port cannot be had. Nothing was asked then.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is this machine's own"
)]
pub(crate) fn not_open(error: &io::Error, family: Family) -> Stop {
    let port = places(family).client;
    let what = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("DHCP answers to UDP port {port}, which needs root or CAP_NET_BIND_SERVICE")
        }
        io::ErrorKind::AddrInUse => format!(
            "another program holds UDP port {port}, to which DHCP answers, for itself \
             (this machine's own DHCP client)"
        ),
        _ => {
            return Stop::not_run(Trouble::Local {
                what: error.to_string(),
            });
        }
    };
    Stop::not_run(Trouble::NotPermitted { what })
}

/// Questions under way.
struct Asking<'a> {
    family: Family,
    ears: Vec<Ear>,
    evidence: &'a mut DhcpEvidence,
    heard: usize,
    /// The last answer that could not be read.
    stray: Option<String>,
}

impl Asking<'_> {
    /// Sends all questions, and once more at half time if nobody has answered; then waits on, for
    /// there may be more who answer.
    async fn run(&mut self, start: Instant, end: Instant) -> Result<(), Stop> {
        let half_time = start + end.saturating_duration_since(start) / 2;
        for until in [half_time, end] {
            if self.evidence.servers.is_empty() && self.evidence.sent < TIMES_SENT {
                self.send().await?;
                self.evidence.sent += 1;
            }
            self.listen(until).await?;
        }
        Ok(())
    }

    /// Sends every question on its network; that it leaves on one of them is enough.
    async fn send(&self) -> Result<(), Stop> {
        let start = Instant::now();
        let mut error = None;
        let mut left = false;
        for ear in &self.ears {
            let to = ear.everybody(self.family);
            for question in &ear.questions {
                match ear.socket.send_to(&question.encode(), to).await {
                    Ok(_) => left = true,
                    Err(why) => error = Some(why),
                }
            }
        }
        match error {
            Some(error) if !left && self.family == Family::V6 && no_address(&error) => Err(Stop {
                outcome: Outcome::NotApplicable,
                trouble: Trouble::NetworkUnreachable,
            }),
            Some(error) if !left => Err(Stop::io(&error, PhaseName::Exchange, start)),
            Some(_) | None => Ok(()),
        }
    }

    async fn listen(&mut self, until: Instant) -> Result<(), Stop> {
        let start = Instant::now();
        // One byte more than is read shows what is longer.
        let mut buffer = vec![0; MESSAGE_MAX + 1];
        while self.heard < DATAGRAMS_MAX {
            let sockets = self.ears.iter().map(|ear| &ear.socket);
            let next = datagram::next_of(sockets, until, &mut buffer).await;
            let Some((at, length, from)) =
                next.map_err(|error| Stop::io(&error, PhaseName::Exchange, start))?
            else {
                return Ok(());
            };
            self.heard += 1;
            if let Some(ear) = self.ears.get(at) {
                let heard = hear(ear, &buffer[..length], from);
                self.keep(heard);
            }
        }
        Ok(())
    }

    fn keep(&mut self, heard: Result<DhcpServer, Unread>) {
        let new = match heard {
            Ok(new) => new,
            // Answers to others come to everybody, too.
            Err(Unread::Another) => return,
            Err(Unread::Rubbish(why)) => {
                self.stray = Some(why);
                return;
            }
        };
        let servers = &mut self.evidence.servers;
        let same =
            |one: &&mut DhcpServer| (one.server, &one.interface) == (new.server, &new.interface);
        if let Some(known) = servers.iter_mut().find(same) {
            known.offers |= new.offers;
            known.informs |= new.informs;
            known.settings.complete(new.settings);
        } else if servers.len() < SERVERS_MAX {
            servers.push(new);
        }
    }

    /// What it comes to that nobody has answered, or somebody without end.
    fn outcome(self) -> Result<(), Stop> {
        let nobody = self.evidence.servers.is_empty();
        if self.heard >= DATAGRAMS_MAX {
            let bound = DATAGRAMS_MAX as u64;
            let unit = Unit::Datagrams;
            let flood = Trouble::TooMuch { bound, unit };
            return Err(if nobody {
                flood.into()
            } else {
                Stop::warn(flood)
            });
        }
        if !nobody {
            return Ok(());
        }
        Err(match (self.stray, self.family) {
            (Some(what), _) => Trouble::Malformed { what }.into(),
            (None, Family::V4) => Trouble::DhcpSilent.into(),
            // Most networks with IPv6 have no use for it: router advertisements tell the rest.
            (None, Family::V6) => Stop {
                outcome: Outcome::NotApplicable,
                trouble: Trouble::DhcpSilent,
            },
        })
    }
}

/// Whether IPv6 is not in use there: its only address may not be used, or not yet.
fn no_address(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::NetworkUnreachable
    )
}

/// What a datagram says, if it answers a question that was asked on that network.
fn hear(ear: &Ear, bytes: &[u8], from: SocketAddr) -> Result<DhcpServer, Unread> {
    let mut worst = Unread::Another;
    for question in &ear.questions {
        match question.read(bytes, from.ip(), Some(&ear.interface.name)) {
            Ok(server) => return Ok(server),
            Err(Unread::Another) => {}
            Err(rubbish @ Unread::Rubbish(_)) => worst = rubbish,
        }
    }
    Err(worst)
}
