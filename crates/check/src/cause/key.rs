//! From one trouble to the kind of its cause: the part that needs no other lane.

use outgate_probe::{PhaseName, Trouble};

use super::CauseKind;

/// The kind of a trouble, and what it is about: what shares both has one cause.
#[expect(
    clippy::too_many_lines,
    reason = "every trouble has its line, so that a new one cannot be forgotten"
)]
pub(super) fn key(trouble: &Trouble, host: String, port: String) -> (CauseKind, String) {
    use CauseKind as K;
    let none = String::new();
    match trouble {
        Trouble::NameNotFound
        | Trouble::NameHidden { .. }
        | Trouble::NameNowhere { .. }
        | Trouble::ServiceUnknown { .. }
        | Trouble::ServiceNotOffered { .. }
        | Trouble::ServiceWithoutAddress { .. }
        | Trouble::NoAddress
        | Trouble::NoNameServer
        | Trouble::AliasesEndless
        | Trouble::SignaturesBroken
        | Trouble::NameServerSilent { .. }
        | Trouble::LargeAnswersLost { .. }
        | Trouble::ResolverOverTcpOnly
        | Trouble::ResolverSilent
        | Trouble::ResolverUnreachable
        | Trouble::ResolverBroken { .. }
        | Trouble::ResolverRefused { .. } => key_of_names(trouble, host),
        Trouble::NetworkUnreachable | Trouble::HostUnreachable { .. } => (K::Unreachable, none),
        Trouble::AdminProhibited => (K::Prohibited, port),
        Trouble::Refused => (K::Refused, port),
        Trouble::TimedOut { phase } => key_of_silence(*phase, host, port),
        Trouble::Reset { phase } | Trouble::Closed { phase } => {
            key_of_break(*phase, K::Cut, host, port)
        }
        Trouble::NotTls | Trouble::NotHttp | Trouble::NotMqtt | Trouble::Malformed { .. } => {
            (K::WrongProtocol, host)
        }
        Trouble::TlsAlert { .. }
        | Trouble::TlsNoCommonCipher { .. }
        | Trouble::TlsBroken { .. }
        | Trouble::TlsTooOld { .. }
        | Trouble::ClientCertificateWanted
        | Trouble::CertificateNotPublic { .. }
        | Trouble::TlsOpened { .. }
        | Trouble::CertificateUntrusted { .. }
        | Trouble::CertificateExpired { .. }
        | Trouble::CertificateNotYetValid { .. }
        | Trouble::CertificateWrongName { .. }
        | Trouble::CertificateInvalid { .. }
        | Trouble::PinMismatch { .. }
        | Trouble::LongPacketsLost { .. } => key_of_tls(trouble, host),
        Trouble::ProxyForbids { .. }
        | Trouble::ProxyCannotReach { .. }
        | Trouble::ProxyUnreachable { .. }
        | Trouble::ProxyNeeded { .. }
        | Trouble::ProxyScript { .. }
        | Trouble::ProxyBroken { .. }
        | Trouble::ProxyLogin { .. } => key_of_proxy(trouble),
        Trouble::HttpStatus { .. }
        | Trouble::AnswerUnexpected { .. }
        | Trouble::LoginPage
        | Trouble::NotShownToBeTheVendor { .. }
        | Trouble::MqttRefused { .. }
        | Trouble::StartTlsMissing
        | Trouble::StartTlsRefused { .. }
        | Trouble::XmppError { .. }
        | Trouble::LdapResult { .. }
        | Trouble::SshTooOld { .. }
        | Trouble::TooMuch { .. }
        | Trouble::UpgradeRefused { .. }
        | Trouble::UpgradeBroken { .. }
        | Trouble::WebSocketClosed { .. }
        | Trouble::WebSocketSilent { .. }
        | Trouble::WebSocketAltered { .. }
        | Trouble::NotEventStream
        | Trouble::StreamBuffered
        | Trouble::StreamQuiet
        | Trouble::PollCut { .. }
        | Trouble::NotSignalR
        | Trouble::SignalRRefused { .. }
        | Trouble::SignalRElsewhere { .. }
        | Trouble::EchoMissing => key_of_answer(trouble, host),
        Trouble::SignalRPartly { because, .. } => key(because, host, port),
        Trouble::ClockOff { .. } => (K::ClocksDiffer, host),
        Trouble::NtpKiss { .. } | Trouble::NtpUnsynchronised { .. } => (K::TimeServerUnready, host),
        // One site, and one cause of each kind: which server it is, the sentence says.
        Trouble::DhcpSilent => (K::DhcpSilent, none),
        Trouble::DhcpServersDiffer { .. } => (K::DhcpServersDiffer, none),
        Trouble::NoTimeServer { .. } => (K::NoTimeServer, none),
        Trouble::NobodyAnswered => (K::NobodyAnswers, host),
        Trouble::RtpBlocked { .. }
        | Trouble::SpeechPoor { .. }
        | Trouble::SipRewritten { .. }
        | Trouble::SipStatus { .. }
        | Trouble::StunRefused { .. }
        | Trouble::NatVaries { .. } => key_of_voice(trouble, host),
        // In one family speech comes back, in the other it does not.
        Trouble::NobodyEchoes { .. } => (K::Silent, port),
        Trouble::NotPermitted { .. }
        | Trouble::AddressUnknown { .. }
        | Trouble::BadAsk { .. }
        | Trouble::Local { .. } => (K::NotPermitted, none),
    }
}

/// The same for names and those who answer for them.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller passes only troubles with names"
)]
fn key_of_names(trouble: &Trouble, host: String) -> (CauseKind, String) {
    use CauseKind as K;
    let none = String::new();
    match trouble {
        Trouble::NameNotFound => (K::NameNotFound, host),
        Trouble::NameHidden { .. } => (K::NameHidden, host),
        Trouble::NameNowhere { .. } => (K::NameGone, host),
        Trouble::ServiceUnknown { name } => (K::NameNotFound, name.clone()),
        Trouble::ServiceNotOffered { name } => (K::ServiceNotOffered, name.clone()),
        Trouble::ServiceWithoutAddress { target } => {
            let target = target.trim_end_matches('.').to_owned();
            (K::NameWithoutAddress, target)
        }
        Trouble::NoAddress | Trouble::AliasesEndless => (K::NameWithoutAddress, host),
        Trouble::NoNameServer => (K::NoNameServer, none),
        Trouble::SignaturesBroken => (K::NameSignaturesBroken, none),
        Trouble::NameServerSilent { server } => (K::NameServerSilent, server.to_string()),
        Trouble::LargeAnswersLost { .. } => (K::LargeDnsAnswersLost, none),
        Trouble::ResolverOverTcpOnly => (K::DnsOverTcpOnly, none),
        _ => (K::ResolverUnavailable, none),
    }
}

/// The same for a part of an attempt in which nothing came.
fn key_of_silence(phase: PhaseName, host: String, port: String) -> (CauseKind, String) {
    if matches!(phase, PhaseName::Connect | PhaseName::Exchange) {
        (CauseKind::Silent, port)
    } else if phase == PhaseName::Proxy {
        (CauseKind::ProxyCannotReach, String::new())
    } else {
        key_of_break(phase, CauseKind::Stalled, host, port)
    }
}

/// A connection that stood and of which nothing more came: `otherwise`, unless what was under way
/// says more.
fn key_of_break(
    phase: PhaseName,
    otherwise: CauseKind,
    host: String,
    port: String,
) -> (CauseKind, String) {
    if phase == PhaseName::MqttConnect {
        (CauseKind::MqttBlocked, host)
    } else {
        (otherwise, port)
    }
}

/// The same for what a server, or somebody in its place, answered above TCP and TLS.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller passes only troubles about answers"
)]
fn key_of_answer(trouble: &Trouble, host: String) -> (CauseKind, String) {
    use CauseKind as K;
    let kind = match trouble {
        Trouble::HttpStatus { status: 407 } | Trouble::UpgradeRefused { status: 407 } => {
            return (K::ProxyLogin, String::new());
        }
        Trouble::LoginPage => K::CaptivePortal,
        Trouble::HttpStatus { status: 511 } | Trouble::NotShownToBeTheVendor { .. } => {
            K::SomebodyElse
        }
        Trouble::HttpStatus { status: 500.. } | Trouble::MqttRefused { .. } => K::ServerError,
        // What a server says that sees no handshake: to a plain request (2xx), and to one that asks
        // for less than it must (400, and 426 of RFC 9110 §15.5.22).
        Trouble::UpgradeRefused {
            status: 200..=299 | 400 | 426,
        }
        | Trouble::UpgradeBroken { .. } => K::WebSocketStripped,
        Trouble::WebSocketClosed {
            answered: false, ..
        } => K::WebSocketClosed,
        Trouble::WebSocketClosed { answered: true, .. } | Trouble::WebSocketSilent { .. } => {
            K::WebSocketCut
        }
        Trouble::UpgradeRefused { .. }
        | Trouble::EchoMissing
        | Trouble::WebSocketAltered { .. } => K::WebSocketBlocked,
        Trouble::StreamBuffered | Trouble::StreamQuiet => K::StreamBuffered,
        Trouble::PollCut { .. } => K::PollCut,
        Trouble::SignalRRefused { .. } => K::ServerError,
        Trouble::StartTlsMissing | Trouble::StartTlsRefused { .. } => K::StartTlsMissing,
        _ => K::WrongAnswer,
    };
    (kind, host)
}

/// The same for telephony.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller passes only troubles of telephony"
)]
fn key_of_voice(trouble: &Trouble, host: String) -> (CauseKind, String) {
    use CauseKind as K;
    let none = String::new();
    match trouble {
        Trouble::SipRewritten { .. } => (K::SipRewritten, none),
        Trouble::SipStatus { .. } => (K::ServerError, host),
        Trouble::NatVaries { .. } => (K::NatVaries, none),
        Trouble::RtpBlocked { .. } => (K::RtpBlocked, host),
        Trouble::SpeechPoor { .. } => (K::SpeechPoor, none),
        _ => (K::WrongAnswer, host),
    }
}

/// The same for what a proxy said or did not say.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller passes only troubles with proxies"
)]
fn key_of_proxy(trouble: &Trouble) -> (CauseKind, String) {
    use CauseKind as K;
    let none = String::new();
    match trouble {
        Trouble::ProxyForbids { .. } => (K::ProxyForbids, none),
        Trouble::ProxyCannotReach { .. } => (K::ProxyCannotReach, none),
        Trouble::ProxyUnreachable { proxy, .. } => (K::ProxyUnreachable, proxy.clone()),
        Trouble::ProxyNeeded { proxy, .. } => (K::ProxyNeeded, proxy.clone()),
        Trouble::ProxyScript { .. } => (K::ProxyScript, none),
        Trouble::ProxyBroken { .. } => (K::ProxyUnreachable, none),
        _ => (K::ProxyLogin, none),
    }
}

/// The same for TLS and its certificates.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller passes only troubles about TLS"
)]
fn key_of_tls(trouble: &Trouble, host: String) -> (CauseKind, String) {
    use CauseKind as K;
    match trouble {
        Trouble::TlsTooOld { .. } => (K::TlsTooOld, host),
        Trouble::CertificateNotPublic { issuer } | Trouble::TlsOpened { issuer } => {
            (K::TlsInspected, issuer.clone())
        }
        Trouble::CertificateUntrusted { issuer } => (K::CertificateUntrusted, issuer.clone()),
        Trouble::CertificateExpired { .. } | Trouble::CertificateNotYetValid { .. } => {
            (K::CertificateOutOfDate, host)
        }
        Trouble::CertificateWrongName { .. } => (K::CertificateWrongName, host),
        Trouble::LongPacketsLost { .. } => (K::MtuHole, String::new()),
        Trouble::CertificateInvalid { .. } | Trouble::PinMismatch { .. } => {
            (K::CertificateWrong, host)
        }
        _ => (K::TlsRefused, host),
    }
}
