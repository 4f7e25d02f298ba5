//! What a door tells those who count.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::connection::Protocol;

/// Who is told what happens at the door. It must not wait: connections are held up meanwhile.
pub type Hook = Arc<dyn Fn(&Happening) + Send + Sync>;

/// Something that happened at the door.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happening {
    /// A connection was accepted; nothing is known of it yet.
    Accepted,
    /// A connection was handed to the hub.
    Arrived {
        /// What it speaks.
        protocol: Protocol,
        /// `TLSv1.2`, `TLSv1.3`, or none without TLS.
        tls: Option<&'static str>,
        /// Whether its TLS session was resumed.
        resumed: bool,
    },
    /// A connection was refused.
    Refused {
        /// The other end, as far as known.
        peer: SocketAddr,
        /// Why.
        why: Refused,
    },
    /// A connection that had arrived is gone.
    Left,
    /// No connection could be accepted for lack of something on this machine, such as file
    /// descriptors.
    AcceptFailed,
}

/// A phase that comes before any protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The header of the PROXY protocol.
    ProxyHeader,
    /// The first byte of all.
    FirstByte,
    /// The TLS handshake.
    Handshake,
    /// The first bytes after the handshake, where ALPN has not said what is spoken.
    FirstBytes,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// There are as many connections as may be.
    Full,
    /// There are as many from its source as may be.
    FullForSource,
    /// A phase took too long.
    TooSlow(Phase),
    /// The peer went away in a phase.
    WentAway(Phase),
    /// A trusted proxy sent no header of the PROXY protocol, or a bad one.
    BadProxyHeader,
    /// Something other than TLS came where TLS is spoken.
    NotTls,
    /// The handshake failed: no version, cipher suite or protocol in common, or bytes that are
    /// none.
    BadHandshake,
    /// The first bytes belong to no protocol that is spoken here.
    UnknownProtocol,
}

impl Refused {
    /// A short word for it, for the label of a counter.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullForSource => "full-for-source",
            Self::TooSlow(Phase::ProxyHeader) => "slow-proxy-header",
            Self::TooSlow(Phase::FirstByte) => "slow-first-byte",
            Self::TooSlow(Phase::Handshake) => "slow-handshake",
            Self::TooSlow(Phase::FirstBytes) => "slow-first-bytes",
            Self::WentAway(_) => "went-away",
            Self::BadProxyHeader => "bad-proxy-header",
            Self::NotTls => "not-tls",
            Self::BadHandshake => "bad-handshake",
            Self::UnknownProtocol => "unknown-protocol",
        }
    }
}
