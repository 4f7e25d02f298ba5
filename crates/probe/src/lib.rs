//! Probes: one exercise of one lane in its own protocol, with evidence.
//!
//! A caller says what to ask ([`Ask`]), builds once the way that the product goes ([`Path`]),
//! finds the probe for the protocol ([`probe_for`]) and runs it. What comes back ([`Finding`])
//! says for each address what was sent, what came back and how long each part took, with the raw
//! reason ([`Trouble`]) when it did not work. Who is to blame is not for a probe to say: it knows
//! one lane and nothing else.
//!
//! IPv4 and IPv6 are asked separately and at the same time. Everything that a peer sends is
//! bounded in size and time.

mod address;
mod ask;
mod both_ends;
mod conversation;
mod datagram;
mod dhcp;
mod dns;
mod evidence;
mod families;
mod http;
mod interfaces;
mod multicast;
mod open;
mod path;
mod probes;
mod registry;
mod run;
mod stream;
mod text;
mod tls;
mod websocket;

pub use address::is_local;
pub use ask::{Ask, DEFAULT_HOLD, Expected, Host, HttpAsk, TlsAsk, TlsVersion, Transport, Trust};
pub use evidence::{
    AddressRecord, Alias, Attempt, CertificateEvidence, DateWitness, DhcpEvidence, DhcpServer,
    DhcpSettings, DnsEvidence, DnsRecord, Elsewhere, EventsEvidence, ExpectedTrust, Family,
    FamilyAnswer, Finding, HttpEvidence, IcmpEvidence, LdapEvidence, LegacyTls, MqttEvidence,
    MulticastAnswer, MulticastEvidence, NameServer, NatBehaviour, NtpEvidence, Outcome, Phase,
    PhaseName, PollEvidence, PortSpan, ProxyEvidence, Resolution, ResolvedBy, RewrittenLine,
    RootSource, RtpEvidence, RtpStream, ServerAnswer, ServiceServer, ShortSegments,
    SignalREvidence, SignalRTransportEvidence, SipEvidence, SshEvidence, StartTls, StunEvidence,
    TlsEnds, TlsEvidence, Trouble, Unit, WebSocketEvidence, WhoamiEvidence, XmppEvidence,
};
pub use open::{Shown, open, open_untimed};
pub use outgate_pac::{Script, ScriptError};
pub use path::{
    ClientIdentity, ClientIdentityError, ConnectTo, ConnectToError, Counted, DEFAULT_TIMEOUT,
    DohUrl, DohUrlError, Login, LoginError, NoProxy, Path, PathConfig, PathError, Proxy,
    ProxyChoice, ProxyEnvironment, ProxyError, ProxyKind, ProxyScript, Proxying, ResolverChoice,
    Roots, RootsError, Secrets, Source, SourceError, SystemClock, WallClock,
};
pub use registry::{Probe, Sent, probe_for, protocols};
