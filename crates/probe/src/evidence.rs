//! What a probe found: the types a report is made of.
//!
//! Everything serialises: enum tags in kebab-case, durations as whole microseconds in fields that
//! end in `_micros`, times as RFC 3339.

mod dhcp;
mod http;
mod ldap;
mod mqtt;
mod multicast;
mod names;
mod proxy;
mod rtp;
mod sip;
mod ssh;
mod stream;
mod stun;
mod tls;
mod trouble;
mod whoami;
mod xmpp;

use std::{net::IpAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

pub use dhcp::{DhcpEvidence, DhcpServer, DhcpSettings};
pub use http::{DateWitness, HttpEvidence, WebSocketEvidence};
pub use ldap::LdapEvidence;
pub use mqtt::MqttEvidence;
pub use multicast::{MulticastAnswer, MulticastEvidence};
pub use names::{
    AddressRecord, Alias, DnsEvidence, DnsRecord, Elsewhere, FamilyAnswer, NameServer, Resolution,
    ServerAnswer, ServiceServer,
};
pub use proxy::{ProxyEvidence, ResolvedBy};
pub use rtp::{PortSpan, RtpEvidence, RtpStream};
pub use sip::{RewrittenLine, SipEvidence};
pub use ssh::SshEvidence;
pub use stream::{EventsEvidence, PollEvidence, SignalREvidence, SignalRTransportEvidence};
pub use stun::{NatBehaviour, StunEvidence};
pub use tls::{
    CertificateEvidence, ExpectedTrust, LegacyTls, RootSource, ShortSegments, TlsEvidence,
};
pub use trouble::{Trouble, Unit};
pub use whoami::{TlsEnds, WhoamiEvidence};
pub use xmpp::{StartTls, XmppEvidence};

/// How an exercise ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It worked.
    Pass,
    /// It worked in part, or could not be shown in full.
    Warn,
    /// It did not work.
    Fail,
    /// It makes no sense here, such as IPv6 on a machine without IPv6.
    NotApplicable,
    /// It was not tried; the trouble says why. Never to be shown as pass or fail.
    NotRun,
}

/// The whole result of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// All address families together: pass if every family passed, warn if some did, fail if none.
    pub outcome: Outcome,
    /// The reason for anything but a pass.
    pub trouble: Option<Trouble>,
    /// How the name was resolved; `None` if there was nothing to resolve.
    pub resolution: Option<Resolution>,
    /// One entry for each address that was tried.
    pub attempts: Vec<Attempt>,
    /// From start to end, resolution included.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}

impl Finding {
    /// A finding for a probe that was not run.
    pub fn not_run(trouble: Trouble) -> Self {
        Self {
            outcome: Outcome::NotRun,
            trouble: Some(trouble),
            resolution: None,
            attempts: Vec::new(),
            took: Duration::ZERO,
        }
    }
}

/// What happened with one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attempt {
    /// Where the packets went.
    pub address: IpAddr,
    /// To which port; `None` for ICMP.
    pub port: Option<u16>,
    /// The family of the address.
    pub family: Family,
    /// How it ended.
    pub outcome: Outcome,
    /// The reason for anything but a pass.
    pub trouble: Option<Trouble>,
    /// How long each part took, in order. A part that failed is the last one.
    pub phases: Vec<Phase>,
    /// The proxy that the packets went to, in place of the far end; `None` on a direct way.
    pub proxy: Option<ProxyEvidence>,
    /// What came of a second try with short packets; `None` where the first did not stall.
    pub short_segments: Option<ShortSegments>,
    /// What TLS showed, as far as it got.
    pub tls: Option<TlsEvidence>,
    /// How the far end sees such a connection, where the lane says that it tells.
    pub whoami: Option<WhoamiEvidence>,
    /// What HTTP answered, as far as it got.
    pub http: Option<HttpEvidence>,
    /// What the WebSocket did, as far as it got.
    pub websocket: Option<WebSocketEvidence>,
    /// What came on the stream of events.
    pub events: Option<EventsEvidence>,
    /// What came of the long poll.
    pub poll: Option<PollEvidence>,
    /// What the SignalR hub offers.
    pub signalr: Option<SignalREvidence>,
    /// What the MQTT server answered.
    pub mqtt: Option<MqttEvidence>,
    /// What the time server said.
    pub ntp: Option<NtpEvidence>,
    /// What the echo said.
    pub icmp: Option<IcmpEvidence>,
    /// Who hands out settings, and which.
    pub dhcp: Option<DhcpEvidence>,
    /// What the resolver said.
    pub dns: Option<DnsEvidence>,
    /// What the directory said.
    pub ldap: Option<LdapEvidence>,
    /// Who answered a question to everybody.
    pub multicast: Option<MulticastEvidence>,
    /// Who the SSH server says it is.
    pub ssh: Option<SshEvidence>,
    /// What the XMPP server offers.
    pub xmpp: Option<XmppEvidence>,
    /// Which ports for RTP pass.
    pub rtp: Option<RtpEvidence>,
    /// What the SIP server said.
    pub sip: Option<SipEvidence>,
    /// What the STUN server said.
    pub stun: Option<StunEvidence>,
}

impl Attempt {
    /// An attempt of which nothing is known yet but where it goes.
    pub fn new(address: IpAddr, port: Option<u16>) -> Self {
        Self {
            address,
            port,
            family: Family::of(address),
            outcome: Outcome::Pass,
            trouble: None,
            phases: Vec::new(),
            proxy: None,
            short_segments: None,
            tls: None,
            whoami: None,
            http: None,
            websocket: None,
            events: None,
            poll: None,
            signalr: None,
            mqtt: None,
            ntp: None,
            icmp: None,
            dhcp: None,
            dns: None,
            ldap: None,
            multicast: None,
            ssh: None,
            xmpp: None,
            rtp: None,
            sip: None,
            stun: None,
        }
    }
}

/// Address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address; an IPv4-mapped IPv6 address is IPv6.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// One part of an attempt and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Phase {
    /// Which part.
    pub name: PhaseName,
    /// Its duration.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}

/// The parts of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// Opening the connection.
    Connect,
    /// The TLS handshake with a proxy.
    ProxyTls,
    /// Asking a proxy to lead on, until its answer.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Finding the highest version of a server that refused TLS 1.2 and 1.3.
    LegacyTls,
    /// Sending an HTTP request until the head of the answer is there.
    FirstByte,
    /// Reading the body of the answer.
    Body,
    /// The WebSocket handshake.
    Upgrade,
    /// A WebSocket ping until its pong.
    Ping,
    /// Holding the connection open.
    Hold,
    /// An MQTT CONNECT until its CONNACK.
    MqttConnect,
    /// Saying goodbye.
    Close,
    /// A question until its answer (DHCP, DNS, NTP, ICMP, RTP, SIP, STUN).
    Exchange,
    /// Words on an open connection until their answer (SSH, XMPP, LDAP).
    Conversation,
    /// Which algorithms both ends know (SSH).
    KeyExchange,
    /// Asking to change to TLS (XMPP, LDAP).
    StartTls,
    /// A packet to every port of a range.
    Sweep,
    /// A second of speech.
    Stream,
    /// Finding out how a NAT treats several places (RFC 5780).
    Nat,
}

/// What a time server said (RFC 5905 §7.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NtpEvidence {
    /// Milliseconds to add to the local clock; positive when it is behind.
    pub offset_millis: i64,
    /// Time the two datagrams spent on the way, in microseconds; negative if the server's own
    /// figures make no sense.
    pub delay_micros: i64,
    /// Distance of the server from a reference clock, 1 to 15.
    pub stratum: u8,
    /// What the server is synchronised to: letters for stratum 1, else an address or hash.
    pub reference: String,
    /// How many requests were sent until the answer came, 1 or 2.
    pub sent: u8,
}

/// What an echo said (RFC 792, RFC 4443 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IcmpEvidence {
    /// From the request that was answered to its reply.
    #[serde(rename = "round_trip_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub round_trip: Duration,
    /// How many requests were sent until the answer came, 1 or 2.
    pub sent: u8,
}

/// Serialises a duration as whole microseconds.
pub(crate) fn micros<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

/// Serialises a duration that may be missing as whole microseconds, or null.
pub(crate) fn optional_micros<S: Serializer>(
    took: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match took {
        Some(took) => micros(took, serializer),
        None => serializer.serialize_none(),
    }
}

impl std::fmt::Display for PhaseName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::ProxyTls => "TLS handshake with the proxy",
            Self::Proxy => "wait for the proxy",
            Self::Tls => "TLS handshake",
            Self::LegacyTls => "older TLS handshake",
            Self::FirstByte => "wait for the first byte",
            Self::Body => "body",
            Self::Upgrade => "WebSocket handshake",
            Self::Ping => "ping",
            Self::Hold => "hold",
            Self::MqttConnect => "wait for the MQTT server's answer",
            Self::Close => "close",
            Self::Exchange => "exchange",
            Self::Conversation => "conversation",
            Self::KeyExchange => "key exchange",
            Self::StartTls => "change to TLS",
            Self::Sweep => "sweep over the ports",
            Self::Stream => "stream",
            Self::Nat => "NAT tests",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_finding_serialises_with_stable_tags_and_units() {
        let mut attempt = Attempt::new([127, 0, 0, 1].into(), Some(443));
        attempt.outcome = Outcome::NotApplicable;
        attempt.phases.push(Phase {
            name: PhaseName::FirstByte,
            took: Duration::from_millis(2),
        });
        attempt.trouble = Some(Trouble::CertificateExpired {
            subject: "CN=server".to_owned(),
            not_after: datetime!(2026-01-02 03:04:05 UTC),
        });
        let finding = Finding {
            took: Duration::from_secs(1),
            attempts: vec![attempt],
            ..Finding::not_run(Trouble::TimedOut {
                phase: PhaseName::LegacyTls,
            })
        };
        let expected = json!({
            "outcome": "not-run",
            "trouble": { "kind": "timed-out", "phase": "legacy-tls" },
            "resolution": null,
            "attempts": [{
                "address": "127.0.0.1",
                "port": 443,
                "family": "v4",
                "outcome": "not-applicable",
                "trouble": {
                    "kind": "certificate-expired",
                    "subject": "CN=server",
                    "not_after": "2026-01-02T03:04:05Z",
                },
                "phases": [{ "name": "first-byte", "took_micros": 2000 }],
                "proxy": null,
                "short_segments": null,
                "tls": null,
                "whoami": null,
                "http": null,
                "websocket": null,
                "events": null,
                "poll": null,
                "signalr": null,
                "mqtt": null,
                "ntp": null,
                "icmp": null,
                "dhcp": null,
                "dns": null,
                "ldap": null,
                "multicast": null,
                "ssh": null,
                "xmpp": null,
                "rtp": null,
                "sip": null,
                "stun": null,
            }],
            "took_micros": 1_000_000,
        });
        assert_eq!(serde_json::to_value(finding).unwrap(), expected);
    }
}
