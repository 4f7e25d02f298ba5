//! What a site's DHCP servers hand out (RFC 2131, RFC 8415), and whether there is more than one.
//! No address is taken.

use std::{io, net::SocketAddr};

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::dhcp::QUESTION_LEN;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::{
    ask::{Ask, Host},
    datagram::{self, Answered, Heard, Pace, TIMES_SENT},
    dhcp::{self, Question, Unread, places},
    evidence::{DhcpEvidence, DhcpServer, Family, Finding, PhaseName, Trouble},
    families::exercise,
    interfaces,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::socket_address,
};

/// The id of the protocol.
pub(crate) const PROTOCOL: &str = "dhcp";

/// The DHCP servers of the local networks, or one that a detour leads to.
pub(crate) struct Dhcp;

impl Probe for Dhcp {
    fn protocols(&self) -> &'static [&'static str] {
        &[PROTOCOL]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        match ask.host {
            Host::Role(_) => dhcp::questions(),
            Host::Name(_) | Host::Address(_) | Host::SystemResolvers | Host::TimeServers => {
                let what = "a question for DHCP settings; no address is taken";
                vec![Sent::new(what, QUESTION_LEN, TIMES_SENT.into())]
            }
        }
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let family = run.attempt.family;
    if run.attempt.address != places(family).everybody {
        return ask_one(run).await;
    }
    let path = run.path;
    let handed_out = run
        .phase(PhaseName::Exchange, async {
            Ok(path.handed_out(family).await)
        })
        .await?;
    run.attempt.dhcp = Some(handed_out.evidence.clone());
    match &handed_out.stop {
        Some(stop) => Err(stop.clone()),
        None => judge(&handed_out.evidence),
    }
}

/// Servers of one network that agree, as a pair does that stands in for each other, are well.
fn judge(evidence: &DhcpEvidence) -> Result<(), Stop> {
    let differs = |one: &DhcpServer| {
        evidence.servers.iter().any(|other| {
            one.interface == other.interface && !one.settings.agrees_with(&other.settings)
        })
    };
    let differing: Vec<&DhcpServer> = evidence.servers.iter().filter(|it| differs(it)).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let servers = differing.iter().map(|it| it.to_string()).collect();
    Err(Stop::warn(Trouble::DhcpServersDiffer { servers }))
}

/// Asks a server whose place is known, for its settings alone (RFC 2131 §4.4.3, RFC 8415 §18.2.6).
async fn ask_one(run: &mut Run<'_>) -> Result<(), Stop> {
    let family = run.attempt.family;
    let socket = match socket_address(run)? {
        usual if usual.port() == places(family).server => {
            from_client_port(usual, run.path).map_err(|error| dhcp::not_open(&error, family))?
        }
        // Who listens elsewhere answers to where the question came from.
        _ => datagram::connected(run).await?,
    };
    let own = socket.local_addr().map_err(|error| Trouble::Local {
        what: error.to_string(),
    })?;
    let interfaces = interfaces::usable()?;
    let interface = interfaces.iter().find(|one| one.has(own.ip()));
    // Loopback has none.
    let hardware = interface.and_then(|one| one.hardware).unwrap_or_default();
    let question = Question::inform(own.ip(), hardware, run.path)?;
    let address = run.attempt.address;
    let Answered { answer, sent, .. } = datagram::ask(
        run,
        &socket,
        Pace::Free,
        |_| question.encode(),
        |datagram| match question.read(datagram, address, None) {
            Ok(server) => Heard::Answer(Ok(server)),
            Err(Unread::Another) => Heard::Stray(None),
            Err(Unread::Rubbish(what)) => Heard::Stray(Some(Trouble::Malformed { what })),
        },
    )
    .await?;
    run.attempt.dhcp = Some(DhcpEvidence {
        interfaces: Vec::new(),
        sent,
        servers: vec![answer],
    });
    Ok(())
}

/// A socket at the port that servers answer to.
fn from_client_port(server: SocketAddr, path: &Path) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(server),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    let client = places(Family::of(server.ip())).client;
    path.source()
        .bind_at(SockRef::from(&socket), server.ip(), client)?;
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}
