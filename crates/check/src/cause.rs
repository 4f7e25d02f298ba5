//! From outcomes to the reasons behind them: as few causes as explain what went wrong.

mod key;
mod owner;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use outgate_probe::{Ask, Finding, Outcome, PhaseName, Resolution, Transport, Trouble};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use crate::clock::{Clock, mends};
use crate::facts::Facts;
use crate::inspection::{Inspection, inspector};
use crate::judge::{ClockVerdict, Judged};
use crate::words::{self, Language};
use key::key;

pub use owner::Owner;

/// The reason behind one or more lanes that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What kind of thing is wrong.
    pub kind: CauseKind,
    /// What it is about: a name, a port, an issuer.
    pub subject: String,
    /// Whose it is to mend.
    pub owner: Owner,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do about it.
    pub act: String,
    /// The lanes that it takes down, as places in the report.
    pub lanes: Vec<usize>,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// This machine's clock is wrong.
    ClockWrong,
    /// A time server tells the wrong time.
    TimeServerWrong,
    /// A time server and this machine's clock differ, and nobody tells which is right.
    ClocksDiffer,
    /// A time server has no time to give.
    TimeServerUnready,
    /// This machine is told of no name server.
    NoNameServer,
    /// No resolver answers, or it refuses to.
    ResolverUnavailable,
    /// One name server says nothing, and another one answers in its place.
    NameServerSilent,
    /// Answers of name servers that are too long for UDP do not arrive.
    LargeDnsAnswersLost,
    /// Name servers are reached over TCP and not over UDP.
    DnsOverTcpOnly,
    /// Name servers refuse an answer because its signatures do not hold.
    NameSignaturesBroken,
    /// The name servers do not give a name that is there for others.
    NameHidden,
    /// A name does not exist for anybody.
    NameGone,
    /// Whoever owns a name says that a service is not offered there.
    ServiceNotOffered,
    /// A name does not exist.
    NameNotFound,
    /// A name exists and has no address.
    NameWithoutAddress,
    /// A name server sends a name nowhere, or to a machine of the site.
    NameBlocked,
    /// There is no way to a network or host.
    Unreachable,
    /// Nothing comes back from anybody.
    NothingPasses,
    /// There is IPv6 here, but it leads nowhere.
    Ipv6Broken,
    /// Packets beyond some length are lost, and nobody says so.
    MtuHole,
    /// A packet filter says no.
    Prohibited,
    /// A port is closed.
    Refused,
    /// Nothing comes back.
    Silent,
    /// Nothing comes back over UDP from anybody, while TCP works.
    UdpBlocked,
    /// The connection stands, but then nothing comes any more.
    Stalled,
    /// The connection is cut in the middle.
    Cut,
    /// What answers is not the protocol.
    WrongProtocol,
    /// The two ends cannot agree on TLS.
    TlsRefused,
    /// The server's TLS is too old.
    TlsTooOld,
    /// Somebody on the way opens TLS and closes it again with certificates of their own.
    TlsInspected,
    /// A certificate is from an authority that nobody here trusts.
    CertificateUntrusted,
    /// The server's own certificate is from an authority that is not public, and nobody inspects TLS.
    CertificatePrivate,
    /// A certificate is past its time or before it.
    CertificateOutOfDate,
    /// A certificate is for another name.
    CertificateWrongName,
    /// A certificate cannot be used, or is not the pinned one.
    CertificateWrong,
    /// A proxy wants a login.
    ProxyLogin,
    /// A proxy refuses to lead to a destination.
    ProxyForbids,
    /// A proxy does not get through to a destination.
    ProxyCannotReach,
    /// A proxy is not there, or no proxy.
    ProxyUnreachable,
    /// Only through a proxy there is a way.
    ProxyNeeded,
    /// A proxy script cannot be had, or does not work.
    ProxyScript,
    /// The server is out of order.
    ServerError,
    /// Somebody answers, but nothing shows that it is the vendor.
    SomebodyElse,
    /// The server answers something else than the manifest says.
    WrongAnswer,
    /// A WebSocket does not come about or does not last.
    #[serde(rename = "websocket-blocked")]
    WebSocketBlocked,
    /// Somebody on the way takes the WebSocket handshake away.
    #[serde(rename = "websocket-stripped")]
    WebSocketStripped,
    /// A WebSocket is accepted and closed at once.
    #[serde(rename = "websocket-closed")]
    WebSocketClosed,
    /// A WebSocket works and is cut after a while.
    #[serde(rename = "websocket-cut")]
    WebSocketCut,
    /// A stream is gathered on the way, and what it carries comes late.
    StreamBuffered,
    /// A question whose answer takes its time is cut off.
    PollCut,
    /// A portal answers in everybody's place until somebody logs in.
    CaptivePortal,
    /// MQTT does not get through although its connection opens.
    MqttBlocked,
    /// TLS is wanted, and a server that begins in the clear does not change to it.
    StartTlsMissing,
    /// No DHCP server answers.
    DhcpSilent,
    /// More than one DHCP server answers, and they hand out different things.
    DhcpServersDiffer,
    /// DHCP hands out no time server to a product that takes its own from there.
    NoTimeServer,
    /// Nobody answers on the local network.
    NobodyAnswers,
    /// A NAT shows this machine to each place under another address or port.
    NatVaries,
    /// A gateway on the way rewrites SIP.
    SipRewritten,
    /// A part of the ports for speech does not pass.
    RtpBlocked,
    /// The way loses more of speech, or delays it more unevenly, than it bears.
    SpeechPoor,
    /// This machine does not let a probe do its work.
    NotPermitted,
}

impl CauseKind {
    /// The kind of a trouble by itself, without what other lanes would show.
    #[must_use]
    pub fn of(trouble: &Trouble) -> Self {
        let reason = trouble.underlying();
        if inspector(reason).is_some() {
            return Self::TlsInspected;
        }
        key(trouble, String::new(), String::new()).0
    }

    /// Every kind there is.
    pub const ALL: &'static [Self] = &[
        Self::ClockWrong,
        Self::TimeServerWrong,
        Self::ClocksDiffer,
        Self::TimeServerUnready,
        Self::NoNameServer,
        Self::ResolverUnavailable,
        Self::NameServerSilent,
        Self::LargeDnsAnswersLost,
        Self::DnsOverTcpOnly,
        Self::NameSignaturesBroken,
        Self::NameHidden,
        Self::NameGone,
        Self::ServiceNotOffered,
        Self::NameNotFound,
        Self::NameWithoutAddress,
        Self::NameBlocked,
        Self::Unreachable,
        Self::NothingPasses,
        Self::Ipv6Broken,
        Self::MtuHole,
        Self::Prohibited,
        Self::Refused,
        Self::Silent,
        Self::UdpBlocked,
        Self::Stalled,
        Self::Cut,
        Self::WrongProtocol,
        Self::TlsRefused,
        Self::TlsTooOld,
        Self::TlsInspected,
        Self::CertificateUntrusted,
        Self::CertificatePrivate,
        Self::CertificateOutOfDate,
        Self::CertificateWrongName,
        Self::CertificateWrong,
        Self::ProxyLogin,
        Self::ProxyForbids,
        Self::ProxyCannotReach,
        Self::ProxyUnreachable,
        Self::ProxyNeeded,
        Self::ProxyScript,
        Self::ServerError,
        Self::SomebodyElse,
        Self::WrongAnswer,
        Self::WebSocketBlocked,
        Self::WebSocketStripped,
        Self::WebSocketClosed,
        Self::WebSocketCut,
        Self::StreamBuffered,
        Self::PollCut,
        Self::CaptivePortal,
        Self::MqttBlocked,
        Self::StartTlsMissing,
        Self::DhcpSilent,
        Self::DhcpServersDiffer,
        Self::NoTimeServer,
        Self::NobodyAnswers,
        Self::NatVaries,
        Self::SipRewritten,
        Self::RtpBlocked,
        Self::SpeechPoor,
        Self::NotPermitted,
    ];

    /// Whose a cause of this kind is to mend.
    #[expect(clippy::too_many_lines, reason = "a list, with a line for each kind")]
    pub const fn owner(self) -> Owner {
        match self {
            Self::ClockWrong
            | Self::ClocksDiffer
            | Self::NoNameServer
            | Self::NotPermitted
            | Self::ProxyNeeded => Owner::ThisMachine,
            Self::TimeServerWrong | Self::TimeServerUnready => Owner::TimeServer,
            Self::ResolverUnavailable
            | Self::NameServerSilent
            | Self::NameSignaturesBroken
            | Self::NameHidden
            | Self::NameNotFound
            | Self::NameWithoutAddress
            | Self::NameBlocked => Owner::Dns,
            Self::Unreachable
            | Self::NothingPasses
            | Self::Ipv6Broken
            | Self::MtuHole
            | Self::LargeDnsAnswersLost
            | Self::DnsOverTcpOnly
            | Self::Prohibited
            | Self::Silent
            | Self::UdpBlocked
            | Self::CaptivePortal
            | Self::NatVaries
            | Self::SipRewritten
            | Self::RtpBlocked
            | Self::SpeechPoor => Owner::Firewall,
            Self::DhcpSilent | Self::DhcpServersDiffer | Self::NoTimeServer => Owner::Dhcp,
            Self::NobodyAnswers => Owner::Lan,
            Self::Refused
            | Self::Stalled
            | Self::Cut
            | Self::WrongProtocol
            | Self::TlsRefused
            | Self::TlsTooOld
            | Self::CertificateWrongName
            | Self::SomebodyElse
            | Self::StartTlsMissing
            | Self::WrongAnswer
            | Self::WebSocketClosed
            | Self::MqttBlocked => Owner::FirewallOrVendor,
            Self::TlsInspected
            | Self::CertificateUntrusted
            | Self::CertificateWrong
            | Self::ProxyLogin
            | Self::ProxyForbids
            | Self::ProxyCannotReach
            | Self::ProxyUnreachable
            | Self::ProxyScript
            | Self::WebSocketBlocked
            | Self::WebSocketStripped
            | Self::WebSocketCut
            | Self::StreamBuffered
            | Self::PollCut => Owner::Proxy,
            Self::CertificatePrivate
            | Self::CertificateOutOfDate
            | Self::ServerError
            | Self::NameGone
            | Self::ServiceNotOffered => Owner::Vendor,
        }
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A probe that ended in trouble, and its lane's place in the report.
pub(crate) struct Troubled<'a> {
    pub(crate) lane: usize,
    pub(crate) ask: &'a Ask,
    pub(crate) trouble: &'a Trouble,
}

/// Joins what went wrong into causes, the one that takes down most lanes first.
pub(crate) fn join(
    lanes: &[Judged],
    clock: Clock,
    now: SystemTime,
    language: Language,
) -> Vec<Cause> {
    let now = OffsetDateTime::from(now);
    let facts = Facts::of(lanes);
    let inspection = Inspection::of(lanes);
    let mut found: BTreeMap<(CauseKind, String), Vec<Troubled<'_>>> = BTreeMap::new();
    for (at, judged) in lanes
        .iter()
        .enumerate()
        .filter(|(_, judged)| judged.trouble.is_some())
    {
        for (ask, finding) in &judged.probes {
            for (subject, trouble) in silent_servers(finding) {
                let key = (CauseKind::NameServerSilent, subject);
                found.entry(key).or_default().push(Troubled {
                    lane: at,
                    ask,
                    trouble,
                });
            }
            if let Some(trouble) = &finding.trouble
                && matches!(finding.outcome, Outcome::Fail | Outcome::Warn)
                && !matches!(trouble, Trouble::NameServerSilent { .. })
            {
                let reason = trouble.underlying();
                let key = facts
                    .key(judged, ask, finding, reason, &way(judged, ask))
                    .or_else(|| {
                        let issuer = inspection.behind(reason, finding)?;
                        Some((CauseKind::TlsInspected, issuer))
                    })
                    .or_else(|| {
                        let issuer = inspection.private(reason, finding)?;
                        Some((CauseKind::CertificatePrivate, issuer))
                    })
                    .unwrap_or_else(|| key_of(judged, ask, reason, clock, now));
                found.entry(key).or_default().push(Troubled {
                    lane: at,
                    ask,
                    trouble,
                });
            }
        }
    }
    let mut causes: Vec<Cause> = found
        .into_iter()
        .map(|((kind, subject), probes)| {
            words::cause(kind, subject, &probes, &inspection, language)
        })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.lanes.len()));
    causes
}

/// Name servers that said nothing where another one answered. They are told of also where the lane
/// fails for another reason.
fn silent_servers(finding: &Finding) -> impl Iterator<Item = (String, &Trouble)> {
    let resolution = finding.resolution.iter();
    let silent = resolution.flat_map(Resolution::silent_servers);
    silent.filter_map(|server| Some((server.server.to_string(), server.trouble.as_ref()?)))
}

/// What shares this has one cause.
fn key_of(
    judged: &Judged,
    ask: &Ask,
    trouble: &Trouble,
    clock: Clock,
    now: OffsetDateTime,
) -> (CauseKind, String) {
    if let Clock::Off { offset_millis } = clock
        && mends(trouble, now, offset_millis)
    {
        return (CauseKind::ClockWrong, String::new());
    }
    let host = ask.host.to_string();
    match judged.clock {
        Some(ClockVerdict::Ours) => (CauseKind::ClockWrong, String::new()),
        Some(ClockVerdict::Theirs) => (CauseKind::TimeServerWrong, host),
        Some(ClockVerdict::Open) => (CauseKind::ClocksDiffer, host),
        None if is_stalled(ask, trouble) => (CauseKind::Stalled, way(judged, ask)),
        None => key(trouble, host, way(judged, ask)),
    }
}

/// Whether a connection stood, and then a question on it stayed without an answer.
fn is_stalled(ask: &Ask, trouble: &Trouble) -> bool {
    let phase = PhaseName::Exchange;
    ask.transport == Transport::Tcp && *trouble == (Trouble::TimedOut { phase })
}

/// What carries an ask, and to which port: `TCP 443`.
fn way(judged: &Judged, ask: &Ask) -> String {
    let port = ask.port.map_or_else(String::new, |port| format!(" {port}"));
    let carrier = judged.lane.transport.as_str().to_uppercase();
    format!("{carrier}{port}")
}
