//! One echo, at most one a second to one address (RFC 792, RFC 4443).

use std::net::{IpAddr, SocketAddr};

use futures_util::future::{BoxFuture, FutureExt};
use outgate_wire::icmp::{DATA_MAX, Echo, Kind, Version, strip_ipv4_header};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::{
    ask::Ask,
    datagram::{self, Heard, Pace, TIMES_SENT},
    evidence::{Finding, IcmpEvidence, PhaseName, Trouble},
    families::exercise,
    path::{Path, Source},
    registry::{Probe, Sent},
    run::{Run, Stop},
};

/// Random bytes that tell our echo from every other.
const COOKIE_LEN: usize = 16;

/// An echo.
pub(crate) struct IcmpEcho;

impl Probe for IcmpEcho {
    fn protocols(&self) -> &'static [&'static str] {
        &["icmp-echo"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        let size = outgate_wire::icmp::HEADER_LEN + COOKIE_LEN;
        vec![Sent::new(
            "an ICMP echo, at most one a second",
            size,
            TIMES_SENT.into(),
        )]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let address = run.attempt.address;
    let opened = open(run.path.source(), address)?;
    let cookie: [u8; COOKIE_LEN] = run.path.tls().random()?;
    let [high, low, ..] = cookie;
    let identifier = u16::from_be_bytes([high, low]);
    let version = opened.version;
    let question = |sent: u8| {
        let sequence = u16::from(sent);
        Echo {
            kind: Kind::Request,
            identifier,
            sequence,
            data: &cookie,
        }
        .encode(version)
    };
    let hear = |packet: &[u8]| match opened.reply(packet, &cookie) {
        true => Heard::Answer(Ok(())),
        false => Heard::Stray(None),
    };
    let answered = datagram::ask(run, &opened.socket, Pace::Echo, question, hear).await?;
    run.attempt.icmp = Some(IcmpEvidence {
        round_trip: answered.sent_at.elapsed(),
        sent: answered.sent,
    });
    Ok(())
}

/// A socket for echoes with one address.
struct Opened {
    socket: UdpSocket,
    version: Version,
    /// Raw sockets deliver IPv4 packets with their header.
    with_ipv4_header: bool,
}

impl Opened {
    fn reply(&self, packet: &[u8], cookie: &[u8]) -> bool {
        let message = if self.with_ipv4_header {
            strip_ipv4_header(packet).unwrap_or_default()
        } else {
            packet
        };
        Echo::decode(self.version, message)
            .is_ok_and(|echo| echo.kind == Kind::Reply && echo.data == cookie)
    }
}

/// Opens the kind of socket that this process may have: one for pings alone, which some systems
/// allow to everybody, or a raw one.
fn open(source: &Source, address: IpAddr) -> Result<Opened, Stop> {
    let (domain, protocol, version) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, Version::V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, Version::V6),
    };
    let not_permitted = || {
        Stop::not_run(Trouble::NotPermitted {
            what: "ICMP sockets (net.ipv4.ping_group_range or CAP_NET_RAW)".to_owned(),
        })
    };
    let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        Err(_) => match Socket::new(domain, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(_) => return Err(not_permitted()),
        },
    };
    let start = tokio::time::Instant::now();
    let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
    source.bind(SockRef::from(&socket)).map_err(stop)?;
    socket.set_nonblocking(true).map_err(stop)?;
    socket
        .connect(&SocketAddr::new(address, 0).into())
        .map_err(stop)?;
    // The runtime only sends and receives on it, which works on every kind of socket.
    let socket = UdpSocket::from_std(socket.into()).map_err(stop)?;
    let with_ipv4_header = version == Version::V4 && (raw || cfg!(target_os = "macos"));
    Ok(Opened {
        socket,
        version,
        with_ipv4_header,
    })
}

const _: () = assert!(COOKIE_LEN <= DATA_MAX);
