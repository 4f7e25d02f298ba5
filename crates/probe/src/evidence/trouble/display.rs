//! Troubles in a few words, for logs and evidence lists.

use std::fmt;

use super::{Trouble, Unit};

impl fmt::Display for Trouble {
    #[expect(
        clippy::too_many_lines,
        reason = "a line a trouble, so that a new one does not compile without its words"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound => f.write_str("the name does not exist"),
            Self::NoNameServer => f.write_str(
                "/etc/resolv.conf names no name server, and this machine is none itself",
            ),
            Self::NoAddress => f.write_str("the name has no address"),
            Self::ResolverSilent => f.write_str("no resolver answered"),
            Self::ResolverUnreachable => f.write_str("no resolver could be reached"),
            Self::ResolverRefused { rcode } => write!(f, "the resolver answered {rcode}"),
            Self::ResolverBroken { .. }
            | Self::ResolverOverTcpOnly
            | Self::LargeAnswersLost { .. }
            | Self::NameServerSilent { .. }
            | Self::SignaturesBroken
            | Self::NameHidden { .. }
            | Self::ServiceUnknown { .. }
            | Self::ServiceNotOffered { .. }
            | Self::ServiceWithoutAddress { .. }
            | Self::NameNowhere { .. }
            | Self::AliasesEndless => self.write_names(f),
            Self::AddressUnknown { role } => write!(f, "the address of {role} is not known"),
            Self::Refused => f.write_str("connection refused"),
            Self::Reset { phase } => write!(f, "connection reset during {phase}"),
            Self::Closed { phase } => write!(f, "connection closed during {phase}"),
            Self::TimedOut { phase } => write!(f, "timed out during {phase}"),
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::HostUnreachable { at_once: _ } => f.write_str("host unreachable"),
            Self::AdminProhibited => f.write_str("forbidden by a packet filter"),
            Self::NotPermitted { what } => write!(f, "not permitted: {what}"),
            Self::BadAsk { what } => write!(f, "cannot be asked: {what}"),
            Self::Malformed { what } => write!(f, "malformed answer: {what}"),
            Self::Local { what } => write!(f, "this machine failed: {what}"),
            Self::ProxyLogin { .. }
            | Self::ProxyForbids { .. }
            | Self::ProxyCannotReach { .. }
            | Self::ProxyUnreachable { .. }
            | Self::ProxyScript { .. }
            | Self::ProxyBroken { .. }
            | Self::ProxyNeeded { .. } => self.write_proxy(f),
            Self::TlsAlert { .. }
            | Self::TlsTooOld { .. }
            | Self::TlsNoCommonCipher { .. }
            | Self::TlsBroken { .. }
            | Self::ClientCertificateWanted
            | Self::CertificateUntrusted { .. }
            | Self::CertificateNotPublic { .. }
            | Self::TlsOpened { .. }
            | Self::CertificateExpired { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::CertificateWrongName { .. }
            | Self::CertificateInvalid { .. }
            | Self::PinMismatch { .. }
            | Self::LongPacketsLost { .. }
            | Self::NotTls => self.write_tls(f),
            Self::UpgradeRefused { .. }
            | Self::UpgradeBroken { .. }
            | Self::WebSocketClosed { .. }
            | Self::WebSocketSilent { .. }
            | Self::WebSocketAltered { .. }
            | Self::NotEventStream
            | Self::StreamBuffered
            | Self::StreamQuiet
            | Self::PollCut { .. }
            | Self::NotSignalR
            | Self::SignalRRefused { .. }
            | Self::SignalRElsewhere { .. }
            | Self::SignalRPartly { .. }
            | Self::EchoMissing => self.write_stream(f),
            Self::HttpStatus { .. }
            | Self::NotShownToBeTheVendor { .. }
            | Self::AnswerUnexpected { .. }
            | Self::LoginPage
            | Self::NotHttp
            | Self::TooMuch { .. }
            | Self::MqttRefused { .. }
            | Self::NotMqtt
            | Self::ClockOff { .. }
            | Self::NtpKiss { .. }
            | Self::NtpUnsynchronised { .. } => self.write_application(f),
            Self::NobodyAnswered => f.write_str("nobody on the local network answered"),
            Self::DhcpSilent => f.write_str("no DHCP server answered"),
            Self::DhcpServersDiffer { servers } => write!(
                f,
                "{} DHCP servers hand out different things: {}",
                servers.len(),
                servers.join("; ")
            ),
            Self::NoTimeServer { servers } => write!(
                f,
                "DHCP ({}) hands out no time server (option 42)",
                servers.join(", ")
            ),
            Self::StartTlsMissing
            | Self::StartTlsRefused { .. }
            | Self::XmppError { .. }
            | Self::LdapResult { .. }
            | Self::SshTooOld { .. } => self.write_conversation(f),
            Self::RtpBlocked { .. }
            | Self::SpeechPoor { .. }
            | Self::NobodyEchoes { .. }
            | Self::SipRewritten { .. }
            | Self::SipStatus { .. }
            | Self::StunRefused { .. }
            | Self::NatVaries { .. } => self.write_voice(f),
        }
    }
}

impl Trouble {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResolverBroken { what } => write!(f, "the resolver's answer is broken: {what}"),
            Self::ResolverOverTcpOnly => {
                f.write_str("no resolver answers over UDP, but over TCP one does")
            }
            Self::LargeAnswersLost { why } => {
                write!(f, "the answer is too long for UDP, and over TCP: {why}")
            }
            Self::NameServerSilent { server } => {
                write!(
                    f,
                    "the name server {server} did not answer, the next one did"
                )
            }
            Self::SignaturesBroken => {
                f.write_str("the resolver refuses the answer: its signatures (DNSSEC) do not hold")
            }
            Self::NameHidden { here, elsewhere } => {
                write!(f, "{here}, but {elsewhere} knows the name")
            }
            Self::NameNowhere { elsewhere } => {
                write!(f, "there is no such name, and none for {elsewhere} either")
            }
            Self::ServiceUnknown { name } => {
                write!(f, "nothing says where the service {name} is (SRV)")
            }
            Self::ServiceNotOffered { name } => {
                write!(f, "the service {name} is said not to be offered (SRV `.`)")
            }
            Self::ServiceWithoutAddress { target } => {
                write!(f, "the server {target} of the service (SRV) has no address")
            }
            Self::AliasesEndless => f.write_str("the name's aliases (CNAME) have no end"),
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_proxy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProxyLogin { schemes, given } => {
                f.write_str(if *given {
                    "the proxy refuses the login"
                } else {
                    "the proxy wants a login"
                })?;
                if schemes.is_empty() {
                    return Ok(());
                }
                write!(f, " ({})", schemes.join(", "))
            }
            Self::ProxyForbids { answer } => write!(f, "the proxy forbids it: {answer}"),
            Self::ProxyCannotReach { answer } => write!(f, "the proxy cannot reach it: {answer}"),
            Self::ProxyUnreachable { proxy, why } => write!(f, "no way to proxy {proxy}: {why}"),
            Self::ProxyScript { what } => write!(f, "proxy script: {what}"),
            Self::ProxyBroken { what } => write!(f, "the answer is not a proxy's: {what}"),
            Self::ProxyNeeded { proxy, direct } => {
                write!(f, "{direct}, but it works through {proxy}")
            }
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_tls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsAlert { code, description } => write!(f, "TLS alert {description} ({code})"),
            Self::TlsTooOld { highest, floor } => {
                write!(f, "the server offers {highest} at most, {floor} is needed")
            }
            Self::TlsNoCommonCipher { cipher_suite } => {
                write!(
                    f,
                    "no common cipher suite, the server wants 0x{cipher_suite:04x}"
                )
            }
            Self::TlsBroken { why } => write!(f, "TLS handshake broke: {why}"),
            Self::ClientCertificateWanted => f.write_str("the server wants a client certificate"),
            Self::CertificateUntrusted { issuer } => write!(f, "certificate issued by {issuer}"),
            Self::CertificateNotPublic { issuer } => write!(
                f,
                "certificate issued by {issuer}, whom only this machine's store trusts"
            ),
            Self::CertificateExpired { not_after, .. } => {
                write!(f, "certificate expired at {not_after}")
            }
            Self::CertificateNotYetValid { not_before, .. } => {
                write!(f, "certificate not valid before {not_before}")
            }
            Self::CertificateWrongName { names } => {
                write!(f, "certificate is for {}", names.join(", "))
            }
            Self::CertificateInvalid { why } => write!(f, "certificate invalid: {why}"),
            Self::PinMismatch { .. } => f.write_str("no key of the chain is a pinned one"),
            Self::LongPacketsLost { segment } => write!(
                f,
                "the TLS handshake stalls, but not with short packets (at most {segment} bytes of \
                 data in each)"
            ),
            Self::TlsOpened { issuer } => write!(
                f,
                "the far end sees another TLS connection than this one, whose certificate is \
                 issued by {issuer}"
            ),
            Self::NotTls => f.write_str("the answer is not TLS"),
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_stream(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpgradeRefused { status } => {
                write!(f, "WebSocket handshake answered with status {status}")
            }
            Self::UpgradeBroken { why } => write!(f, "WebSocket handshake broke: {why}"),
            Self::WebSocketClosed {
                code, after_micros, ..
            } => {
                write!(
                    f,
                    "WebSocket accepted and closed after {}",
                    seconds(*after_micros)
                )?;
                code.map_or(Ok(()), |code| write!(f, " with code {code}"))
            }
            Self::WebSocketSilent { after_micros } => write!(
                f,
                "no pong to the WebSocket ping after {} of quiet",
                seconds(*after_micros)
            ),
            Self::WebSocketAltered { came: None } => {
                f.write_str("the WebSocket does not send back what it gets")
            }
            Self::WebSocketAltered { came: Some(came) } => {
                write!(f, "the WebSocket sends back something else: `{came}`")
            }
            Self::NotEventStream => f.write_str("the answer is not a stream of events"),
            Self::StreamBuffered => f.write_str("events do not come when they are sent"),
            Self::StreamQuiet => f.write_str("nothing came on the stream"),
            Self::PollCut {
                after_micros,
                status,
            } => {
                write!(f, "poll cut off after {}", seconds(*after_micros))?;
                status.map_or(Ok(()), |status| write!(f, " with HTTP status {status}"))
            }
            Self::NotSignalR => f.write_str("the answer is not SignalR"),
            Self::SignalRRefused { error } => write!(f, "the SignalR hub refused: {error}"),
            Self::SignalRElsewhere { host: Some(host) } => {
                write!(f, "the SignalR hub leads to {host}")
            }
            Self::SignalRElsewhere { host: None } => {
                f.write_str("the SignalR hub leads to somewhere else")
            }
            Self::SignalRPartly {
                fails,
                because,
                works,
                stranded,
            } => {
                let works = works.join(", ");
                write!(f, "SignalR over {works} alone; {fails}: {because}")?;
                if *stranded {
                    f.write_str(", and clients go no further")?;
                }
                Ok(())
            }
            Self::EchoMissing => f.write_str("no pong to the WebSocket ping"),
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_application(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpStatus { status } => write!(f, "HTTP status {status}"),
            Self::NotShownToBeTheVendor {
                status,
                location_host: Some(host),
            } => write!(f, "HTTP status {status} leads to {host}"),
            Self::NotShownToBeTheVendor {
                status,
                location_host: None,
            } => write!(f, "HTTP status {status}, from whomever"),
            Self::AnswerUnexpected { what } => write!(f, "not the answer that is due: {what}"),
            Self::LoginPage => f.write_str("a login page in place of the answer that is due"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::TooMuch { bound, unit } => write!(f, "more than {bound} {unit} came"),
            Self::MqttRefused { reason, .. } => {
                write!(f, "the MQTT server refused: {reason}")
            }
            Self::NotMqtt => f.write_str("the answer is not MQTT"),
            Self::ClockOff { offset_millis } => {
                write!(f, "local clock off by {} s", offset_millis / 1000)
            }
            Self::NtpKiss { code } => write!(f, "time server refused: {code}"),
            Self::NtpUnsynchronised { stratum } => {
                write!(f, "time server not synchronised (stratum {stratum})")
            }
            _ => Ok(()),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_conversation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartTlsMissing => f.write_str("the server offers no change to TLS"),
            Self::StartTlsRefused { why } => write!(f, "the change to TLS was refused: {why}"),
            Self::XmppError { condition } => write!(f, "XMPP refused: {condition}"),
            Self::LdapResult { code, name } => write!(f, "LDAP result {name} ({code})"),
            Self::SshTooOld { protocol } => {
                write!(f, "the server speaks SSH {protocol}, 2.0 is needed")
            }
            _ => Ok(()),
        }
    }
}

impl Trouble {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "Display lists every variant once"
    )]
    fn write_voice(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RtpBlocked {
                blocked,
                answered,
                asked,
            } => write!(
                f,
                "UDP {blocked} do not pass; {answered} of {asked} ports answered"
            ),
            Self::SpeechPoor {
                lost,
                sent,
                jitter_micros,
            } => write!(
                f,
                "of {sent} packets of speech there and back {lost} were lost, with a jitter of {} ms",
                jitter_micros / 1000
            ),
            Self::NobodyEchoes { closed: true } => f.write_str("nobody there echoes"),
            Self::NobodyEchoes { closed: false } => {
                f.write_str("nobody there echoes, or none of the ports passes")
            }
            Self::SipRewritten {
                lines,
                sent,
                arrived,
            } => write!(
                f,
                "{lines} lines of SIP rewritten on the way, such as `{sent}` to `{arrived}`"
            ),
            Self::SipStatus { status } => write!(f, "SIP status {status}"),
            Self::StunRefused { code, reason } => {
                write!(f, "STUN server refused: {code} {reason}")
            }
            Self::NatVaries { mapping } => {
                write!(f, "the NAT's mapping is {mapping}")
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageBytes => "bytes of one message",
            Self::HeadBytes => "bytes (or 100 fields) of head",
            Self::StreamBytes => "bytes of the stream",
            Self::Messages => "messages",
            Self::Datagrams => "datagrams",
            Self::ConversationBytes => "bytes of a server's words",
        })
    }
}

/// A time in seconds, to a tenth.
fn seconds(micros: u64) -> String {
    format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10)
}
