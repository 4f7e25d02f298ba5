//! What can be wrong: small values that can be combined, read from a scenario's file.

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a site or with what it leads to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// The router's packet filter stops some of the device's traffic.
    Blocked(Blocked),
    /// The router lets only these names through, and name servers.
    OnlyNames {
        /// The names.
        names: Vec<String>,
        /// What it does with all the rest.
        way: Way,
    },
    /// The router lets only these ports of TCP through, and name servers.
    OnlyPorts {
        /// The ports.
        ports: Vec<u16>,
        /// What it does with all the rest.
        way: Way,
    },
    /// The name server answers wrongly.
    Dns {
        /// In which way.
        answer: DnsAnswer,
        /// For which name; for all of them when none is given.
        name: Option<String>,
    },
    /// The device has a name server before the site's, and nothing comes back from there.
    FirstNameServerSilent,
    /// Nobody names a name server to the device.
    NoNameServer,
    /// TCP leaves the site only through the proxy on port 3128.
    ProxyNeeded {
        /// Whether it wants a login: `lab` with `lab-password`.
        #[serde(default)]
        login: bool,
        /// The kinds of login that it names, such as `NTLM`; `Basic` when there are none.
        #[serde(default)]
        schemes: Vec<String>,
        /// Names that it refuses.
        #[serde(default)]
        refused: Vec<String>,
    },
    /// The router opens TLS and closes it again with certificates of the company's own authority.
    TlsInspection {
        /// The name of that authority.
        maker: String,
        /// Whether the device has it in its store.
        trusted: bool,
        /// Names that are left alone.
        #[serde(default)]
        exempt: Vec<String>,
    },
    /// The router sends everybody to a login page, and lets nothing else through.
    CaptivePortal,
    /// The device's clock is wrong: the rest of the world is this many seconds ahead of it.
    ClockBehind {
        /// Seconds; negative when the device is ahead.
        seconds: i64,
    },
    /// Packets longer than this are lost on the way, and nobody says so (RFC 2923 §2.1).
    MtuHole {
        /// The longest packet that passes, in bytes.
        bytes: u16,
    },
    /// The site has addresses and a router of IPv6, but nothing comes back.
    Ipv6Broken,
    /// How the router translates addresses of UDP, in the words of RFC 4787.
    Nat {
        /// The kind.
        nat: Nat,
    },
    /// The router rewrites SIP, as the kernel's own helper does.
    SipRewritten,
    /// A filter that reads along lets the first lines of SSH pass and drops the packets after them.
    SshStopped,
    /// A server is itself out of order.
    Server {
        /// Its name.
        name: String,
        /// What it does.
        serving: Serving,
    },
    /// Some packets are lost.
    Loss {
        /// How many of a hundred, 1 to 99, in each direction.
        percent: u8,
        /// Only those of UDP to and from these ports of servers, the first and the last.
        ports: Option<[u16; 2]>,
    },
    /// The way to a server ends at a router that does not find it: it says so after a while.
    Lost {
        /// The server's name.
        name: String,
    },
    /// Nobody on the site answers what is asked of everybody.
    NeighboursSilent,
    /// The time servers tell another time than everybody else.
    TimeServerAhead {
        /// Seconds; negative when it is behind.
        seconds: i64,
    },
    /// The time servers say that they have no time.
    TimeServerUnready,
    /// The site's DHCP server does not answer.
    DhcpSilent,
    /// The site's DHCP server hands out no time server, or one that is none.
    DhcpTimeServer {
        /// Which.
        server: HandedOut,
    },
    /// A neighbour is a DHCP server too, and hands out itself as router and name server.
    SecondDhcpServer,
}

/// What is stopped, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Blocked {
    /// How it is stopped.
    pub way: Way,
    /// Only what goes to this name.
    pub name: Option<String>,
    /// Only what goes to this port.
    pub port: Option<u16>,
    /// Where `port` begins a range: its last port.
    pub last_port: Option<u16>,
    /// Only what this carries.
    pub transport: Option<Transport>,
    /// Only after the connection stands: the first packet of TCP that carries something is the
    /// first to be stopped, as a filter does that reads what is in it.
    #[serde(default)]
    pub later: bool,
}

/// How a packet filter stops a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// It says nothing.
    Drop,
    /// It resets TCP, and says "port unreachable" to all else.
    Reset,
    /// It says that the administrator forbids it (ICMP).
    Reject,
}

/// What carries a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP of both families.
    Icmp,
}

/// A wrong answer of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsAnswer {
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// There is no such name, outside neither.
    Nowhere,
    /// The name has no address.
    NoAddress,
    /// The name is at 0.0.0.0 and `::`, as filters say of what they block.
    Sinkhole,
    /// The name is at a machine of the site.
    Private,
    /// The name's address of IPv6 leads nowhere; that of IPv4 is right.
    WrongIpv6,
    /// No answer. For all names alone.
    Silent,
    /// It refuses (REFUSED). For all names alone.
    Refused,
    /// It fails (SERVFAIL). For all names alone.
    Failure,
    /// It says over UDP that the answer is too long for it, and nothing over TCP. For all names
    /// alone.
    Truncated,
    /// It answers over TCP alone. For all names alone.
    TcpOnly,
    /// It fails unless signatures are left unchecked. For all names alone.
    BrokenSignatures,
}

/// What DHCP hands out in place of a time server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandedOut {
    /// Nothing.
    None,
    /// A machine of the site that serves no time.
    Wrong,
}

/// How addresses are translated (RFC 4787 §4, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// Endpoint-independent mapping and filtering.
    Open,
    /// Address and port-dependent mapping.
    Symmetric,
}

/// What is wrong with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Serving {
    /// Nothing listens there.
    Closed,
    /// It accepts and says nothing.
    Silent,
    /// It accepts and hangs up.
    HangsUp,
    /// Its certificate ended yesterday.
    Expired,
    /// Its certificate starts tomorrow.
    NotYetValid,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate is of an authority that nobody knows.
    OtherAuthority,
    /// It sends its certificate without the intermediate one.
    LeafOnly,
    /// It speaks nothing newer than TLS 1.1.
    OldTls,
    /// It listens to requests and answers none.
    SilentHttp,
    /// It answers 503.
    Unavailable,
    /// It answers 500.
    Broken,
    /// It answers 404.
    NotFound,
    /// It answers a request for a WebSocket as any other.
    WebSocketStripped,
    /// It accepts a WebSocket and drops it.
    WebSocketDropped,
    /// It accepts a WebSocket, answers on it, and drops it after two seconds.
    WebSocketCut,
    /// It answers 403.
    Forbidden,
    /// It sends whoever asks to a page of somebody else.
    Elsewhere,
    /// Its certificate is for clients.
    WrongPurpose,
    /// It knows nothing of the name that it is asked for, and ends the handshake.
    OtherSite,
    /// It speaks SSH, whatever is due.
    OtherProtocol,
    /// It begins in the clear and does not offer to change to TLS.
    TlsStripped,
    /// Its events come in lumps of a minute.
    Buffered,
    /// A poll that is not answered within two seconds is ended with 504.
    PollCut,
}
