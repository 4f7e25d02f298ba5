//! What a door listens on, and what it puts up with.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::connection::Protocol;

/// How a door is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// What it puts up with.
    pub limits: Limits,
}

/// One place to come in at.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The socket.
    pub at: At,
    /// Whether TLS comes first.
    pub security: Security,
    /// What may be spoken there.
    pub carries: Carries,
    /// The networks of the proxies in front, empty for none. A connection from one of them must
    /// start with a header of the PROXY protocol, version 2; from anywhere else such a header is
    /// refused, as it could claim any address.
    pub proxies: Vec<IpNet>,
}

/// Where the socket of a listener comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Bound to this address. Port 0 takes any that is free; `[::]` takes IPv4 as well.
    Address(SocketAddr),
    /// Handed in by systemd (`LISTEN_FDS`): the how manieth, from 0.
    Inherited(usize),
}

/// Whether TLS comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS 1.2 or 1.3.
    Tls(ClientCertificates),
    /// None, for a trusted network only.
    Plain,
}

/// Whether clients are asked for a certificate. They may always decline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are. A browser that has one may then ask its user which to send.
    Asked,
    /// They are not, so nobody can log in by certificate here.
    NotAsked,
}

/// What may be spoken at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Everything, told apart by ALPN and the first bytes.
    Everything,
    /// HTTP alone, WebSocket included.
    Http,
    /// MQTT alone, as on port 8883.
    Mqtt,
}

impl Carries {
    /// Whether `protocol` may be spoken.
    #[must_use]
    pub fn allows(self, protocol: Protocol) -> bool {
        match self {
            Self::Everything => true,
            Self::Http => matches!(protocol, Protocol::Http1 | Protocol::Http2),
            Self::Mqtt => protocol == Protocol::Mqtt,
        }
    }
}

/// How much the door puts up with. A silent or slow peer is dropped when a phase's time is over.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all. Held down to what the process may have open, less a reserve.
    pub connections: usize,
    /// Connections from one source: an IPv4 address, or the /64 of an IPv6 address.
    pub connections_per_source: usize,
    /// Connections that are being opened: accepted, and nothing said yet that the hub could act
    /// on. When so many are, the rest wait in the kernel's queue ([`Limits::BACKLOG`]).
    pub opening: usize,
    /// Of these, so many of one source. More of it wait, without counting among those being
    /// opened, for [`Limits::first_byte`] at most: few addresses that say nothing do not shut the
    /// door for others.
    pub opening_per_source: usize,
    /// For all phases together, but for the header of the PROXY protocol.
    pub opened_within: Duration,
    /// For the header of the PROXY protocol to be there.
    pub proxy_header: Duration,
    /// For the first byte to come, and, where ALPN has not said what is spoken, for enough bytes
    /// after the handshake to tell.
    pub first_byte: Duration,
    /// For the TLS handshake, from its first byte to its end.
    pub handshake: Duration,
}

impl Limits {
    /// How many connections the kernel keeps waiting for each listener, as far as the machine
    /// (`net.core.somaxconn`) allows.
    pub const BACKLOG: i32 = 4096;
}

impl Default for Limits {
    /// 50,000 connections, 2,000 a source (a customer's site comes from one address), 4,096 being
    /// opened, 128 of them a source; 5 seconds for a proxy's header, 10 for the first byte, 10 for
    /// the handshake, and 10 for all of it.
    fn default() -> Self {
        Self {
            connections: 50_000,
            connections_per_source: 2_000,
            opening: 4_096,
            opening_per_source: 128,
            opened_within: Duration::from_secs(10),
            proxy_header: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
        }
    }
}
