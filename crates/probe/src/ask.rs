//! What a caller wants exercised: one lane, in terms a probe needs.

use std::{fmt, net::IpAddr, ops::RangeInclusive, time::Duration};

use serde::{Serialize, Serializer};

/// How long a WebSocket is held open unless the caller says otherwise.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(1);

/// One lane to exercise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Protocol id, such as `https`; see [`probe_for`](crate::probe_for).
    pub protocol: String,
    /// Whom to ask.
    pub host: Host,
    /// Port; `None` only for protocols that have none (ICMP).
    pub port: Option<u16>,
    /// The end of a range of ports that begins with `port`, for protocols that try a whole range
    /// (RTP).
    pub last_port: Option<u16>,
    /// What carries the protocol.
    pub transport: Transport,
    /// What the lane demands of TLS; looked at by protocols that use it.
    pub tls: TlsAsk,
    /// What to ask over HTTP and what answers count. HTTP looks at all of it, WebSocket at the path
    /// alone: its handshake has one good status, 101.
    pub http: HttpAsk,
    /// How long a connection that should stay open is held.
    pub hold: Duration,
    /// Whether the far end is outside the site, so that somebody outside knows its name, too. Only
    /// then is a second opinion sought of a name that leaves a doubt.
    pub outside: bool,
    /// The name to ask a resolver for (type A); `None` asks for the root's name servers.
    pub question: Option<String>,
}

impl Ask {
    /// An ask with nothing special: TLS 1.2 at least, any root ([`Trust::Any`]), path `/`, any
    /// status below 500 but 407.
    pub fn new(protocol: &str, host: Host, port: Option<u16>, transport: Transport) -> Self {
        Self {
            protocol: protocol.to_owned(),
            host,
            port,
            last_port: None,
            transport,
            tls: TlsAsk::default(),
            http: HttpAsk::default(),
            hold: DEFAULT_HOLD,
            outside: false,
            question: None,
        }
    }
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// A fixed address.
    Address(IpAddr),
    /// The resolvers that this machine uses, or those that the [`Path`](crate::Path) was given.
    SystemResolvers,
    /// The time servers that DHCP hands out on this machine's network (option 42 of RFC 2132),
    /// which is asked once a [`Path`](crate::Path).
    TimeServers,
    /// A machine known only by what it is, such as a party of a manifest. Only a
    /// [`ConnectTo`](crate::ConnectTo) says where it is; without one the probe is not run.
    Role(String),
}

impl Host {
    /// The word a [`ConnectTo`](crate::ConnectTo) names this host by.
    pub fn word(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
            Self::SystemResolvers => f.write_str("dns-servers"),
            Self::TimeServers => f.write_str("ntp-servers"),
            Self::Role(word) => f.write_str(word),
        }
    }
}

/// What carries a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Internet Control Message Protocol, version 4 or 6 as the address wants.
    Icmp,
}

/// What a lane demands of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsAsk {
    /// The lowest version that is good enough.
    pub floor: TlsVersion,
    /// Who may vouch for the server.
    pub trust: Trust,
    /// Whether the lane must be exempt from TLS inspection. Then a chain that only this machine's
    /// store vouches for, as an inspecting proxy's, fails under [`Trust::Public`], and
    /// [`Trust::Any`] is judged as [`Trust::Public`]. [`Trust::Vendor`] cannot tell an inspector's
    /// authority from the vendor's in that store, and [`Trust::Pinned`] never lets one pass.
    pub exempt: bool,
    /// Whether the lane demands TLS of a protocol that begins in the clear (XMPP, LDAP).
    pub required: bool,
    /// Where the server tells how it sees a connection (`GET /whoami` of the hub), so that both
    /// ends of TLS can be compared; `None` where it does not. Looked at by protocols that begin
    /// with TLS.
    pub whoami: Option<String>,
}

impl Default for TlsAsk {
    fn default() -> Self {
        Self {
            floor: TlsVersion::Tls12,
            trust: Trust::Any,
            exempt: false,
            required: false,
            whoami: None,
        }
    }
}

/// A version of SSL or TLS, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
pub enum TlsVersion {
    /// SSL 3.0 (RFC 6101).
    #[schemars(rename = "SSL 3.0")]
    Ssl30,
    /// TLS 1.0 (RFC 2246).
    #[schemars(rename = "TLS 1.0")]
    Tls10,
    /// TLS 1.1 (RFC 4346).
    #[schemars(rename = "TLS 1.1")]
    Tls11,
    /// TLS 1.2 (RFC 5246).
    #[schemars(rename = "TLS 1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[schemars(rename = "TLS 1.3")]
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssl30 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

impl Serialize for TlsVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who may vouch for a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Any root of the [`Path`](crate::Path): Mozilla's list, the machine's store, roots given by
    /// the caller. The evidence says which. For lanes that state no trust.
    #[default]
    Any,
    /// A public authority: Mozilla's list, or a root given by the caller. A chain that the
    /// machine's own store alone vouches for is
    /// [`Trouble::CertificateNotPublic`](crate::Trouble::CertificateNotPublic): a warning, or a
    /// failure where the lane must be exempt from inspection.
    Public,
    /// The vendor's own authority, given by the caller or in the machine's store. A chain that
    /// leads to Mozilla's list passes too: a vendor may move to a public authority. The evidence
    /// says what was expected and who vouched.
    Vendor,
    /// A chain through one of these keys: SHA-256 of a certificate's SubjectPublicKeyInfo
    /// (RFC 7469 §2.4). The roots do not count.
    Pinned(Vec<[u8; 32]>),
}

/// What to ask over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAsk {
    /// Path and query, starting with `/`.
    pub path: String,
    /// Status codes that count as an answer; empty: any below 500 but 407.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// How far apart a stream's events are sent; `None` where nobody says. Only with it can
    /// Server-Sent Events that are gathered on the way be told from a server with little to say.
    pub events_apart: Option<Duration>,
    /// What the answer to an HTTP probe must have beside its status.
    pub expected: Expected,
    /// Whether a WebSocket sends back the text that it gets.
    pub echo: bool,
}

/// What an answer must have. Everything that is said must hold; nothing is said by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// A header field, and a text that its value contains; any value will do without one.
    pub header: Option<(String, Option<String>)>,
    /// A text that the body contains, within the 65,536 bytes of it that are read.
    pub body: Option<String>,
    /// The SHA-256 of the whole body, which must not be longer.
    pub sha256: Option<[u8; 32]>,
    /// A field of the body by its JSON Pointer (RFC 6901), and what it is: a text, or what JSON
    /// writes for anything else; anything will do without it.
    pub json: Option<(String, Option<String>)>,
    /// The host that a redirection leads to.
    pub redirect_host: Option<String>,
}

impl Expected {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for HttpAsk {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            statuses: Vec::new(),
            events_apart: None,
            expected: Expected::default(),
            echo: false,
        }
    }
}
