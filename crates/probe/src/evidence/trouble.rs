//! Why something did not work: the raw reason with its data, and nobody blamed.

use std::fmt;

use serde::Serialize;
use time::OffsetDateTime;

use super::PhaseName;
use crate::ask::TlsVersion;

/// The reason for an outcome other than pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Trouble {
    /// The resolver says that the name does not exist (NXDOMAIN).
    NameNotFound,
    /// The name exists and has no address of the wanted kind (NODATA).
    NoAddress,
    /// No resolver answered in time.
    ResolverSilent,
    /// No resolver could be reached: the port is closed or there is no route.
    ResolverUnreachable,
    /// The resolver answered that it cannot or will not.
    ResolverRefused {
        /// The response code, such as `SERVFAIL` or `REFUSED`.
        rcode: String,
    },
    /// Nothing says where this machine is.
    AddressUnknown {
        /// The word for the machine, such as `ntp-servers`.
        role: String,
    },
    /// The port is closed: a TCP reset or ICMP port unreachable to the first packet.
    Refused,
    /// A TCP reset in the middle.
    Reset {
        /// When.
        phase: PhaseName,
    },
    /// The other side hung up in the middle.
    Closed {
        /// When.
        phase: PhaseName,
    },
    /// Nothing came in time.
    TimedOut {
        /// While waiting for what.
        phase: PhaseName,
    },
    /// No route to the network, here or on the way.
    NetworkUnreachable,
    /// No route to the host. `at_once`: within a second, which a router's or firewall's ICMP
    /// message does and a missing neighbour does not.
    HostUnreachable {
        /// Whether the answer came within a second.
        at_once: bool,
    },
    /// Forbidden by a packet filter here or on the way (EACCES, EPERM).
    AdminProhibited,
    /// The server ended the handshake with an alert.
    TlsAlert {
        /// RFC 8446 §6.
        code: u8,
        /// Its name, such as `handshake_failure`.
        description: String,
    },
    /// The server speaks TLS, but no version that the lane allows.
    TlsTooOld {
        /// The highest version it offers.
        highest: TlsVersion,
        /// The lowest version that would do.
        floor: TlsVersion,
    },
    /// The server speaks TLS 1.2, but shares no cipher suite or parameter with us.
    TlsNoCommonCipher {
        /// The cipher suite it would choose, as the IANA number.
        cipher_suite: u16,
    },
    /// The TLS handshake broke for another reason.
    TlsBroken {
        /// What broke.
        why: String,
    },
    /// The server wants a client certificate, and a probe has none.
    ClientCertificateWanted,
    /// No root that counts vouches for the chain.
    CertificateUntrusted {
        /// Issuer of the last certificate that was presented.
        issuer: String,
    },
    /// A certificate of the chain is past its end.
    CertificateExpired {
        /// Whose.
        subject: String,
        /// Its end.
        #[serde(with = "time::serde::rfc3339")]
        not_after: OffsetDateTime,
    },
    /// A certificate of the chain is before its start.
    CertificateNotYetValid {
        /// Whose.
        subject: String,
        /// Its start.
        #[serde(with = "time::serde::rfc3339")]
        not_before: OffsetDateTime,
    },
    /// The certificate is for other names.
    CertificateWrongName {
        /// The names it is for, at most 64.
        names: Vec<String>,
    },
    /// The certificate cannot be used for another reason.
    CertificateInvalid {
        /// What is wrong with it.
        why: String,
    },
    /// No key of the chain is a pinned one.
    PinMismatch {
        /// SHA-256 of the SubjectPublicKeyInfo of each presented certificate, in hexadecimal.
        presented: Vec<String>,
    },
    /// What came back to the TLS handshake is not TLS.
    NotTls,
    /// The status is none of those that count.
    HttpStatus {
        /// The status.
        status: u16,
    },
    /// What came back is not HTTP.
    NotHttp,
    /// The other side sent more than is read.
    TooMuch {
        /// The bound in bytes.
        bound: u64,
    },
    /// The server answered the WebSocket handshake with something other than 101.
    UpgradeRefused {
        /// The status.
        status: u16,
    },
    /// The WebSocket handshake was answered wrongly.
    UpgradeBroken {
        /// What is wrong with it.
        why: String,
    },
    /// The WebSocket was accepted and then closed although it should have stayed open.
    #[serde(rename = "websocket-closed")]
    WebSocketClosed {
        /// The close code (RFC 6455 §7.4); `None` if there was none.
        code: Option<u16>,
        /// Microseconds after the handshake.
        after_micros: u64,
    },
    /// The WebSocket stayed open, but no pong came.
    EchoMissing,
    /// The local clock is more than a minute off.
    ClockOff {
        /// Milliseconds to add to the local clock; positive when it is behind.
        offset_millis: i64,
    },
    /// The time server refused (RFC 5905 §7.4).
    NtpKiss {
        /// The kiss code, such as `RATE`.
        code: String,
    },
    /// The time server says that its own clock is not set.
    NtpUnsynchronised {
        /// The stratum it claims.
        stratum: u8,
    },
    /// This process may not do it.
    NotPermitted {
        /// What.
        what: String,
    },
    /// The ask itself cannot be carried out.
    BadAsk {
        /// What is wrong with it.
        what: String,
    },
    /// The answer breaks its protocol.
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// This machine failed, such as too many open files.
    Local {
        /// The error of the system.
        what: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound => f.write_str("the name does not exist"),
            Self::NoAddress => f.write_str("the name has no address"),
            Self::ResolverSilent => f.write_str("no resolver answered"),
            Self::ResolverUnreachable => f.write_str("no resolver could be reached"),
            Self::ResolverRefused { rcode } => write!(f, "the resolver answered {rcode}"),
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
            Self::TlsAlert { .. }
            | Self::TlsTooOld { .. }
            | Self::TlsNoCommonCipher { .. }
            | Self::TlsBroken { .. }
            | Self::ClientCertificateWanted
            | Self::CertificateUntrusted { .. }
            | Self::CertificateExpired { .. }
            | Self::CertificateNotYetValid { .. }
            | Self::CertificateWrongName { .. }
            | Self::CertificateInvalid { .. }
            | Self::PinMismatch { .. }
            | Self::NotTls => self.write_tls(f),
            Self::HttpStatus { .. }
            | Self::NotHttp
            | Self::TooMuch { .. }
            | Self::UpgradeRefused { .. }
            | Self::UpgradeBroken { .. }
            | Self::WebSocketClosed { .. }
            | Self::EchoMissing
            | Self::ClockOff { .. }
            | Self::NtpKiss { .. }
            | Self::NtpUnsynchronised { .. } => self.write_application(f),
        }
    }
}

impl Trouble {
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
            Self::NotTls => f.write_str("the answer is not TLS"),
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
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::TooMuch { bound } => write!(f, "more than {bound} bytes came"),
            Self::UpgradeRefused { status } => {
                write!(f, "WebSocket handshake answered with status {status}")
            }
            Self::UpgradeBroken { why } => write!(f, "WebSocket handshake broke: {why}"),
            Self::WebSocketClosed {
                code: Some(code), ..
            } => {
                write!(f, "WebSocket accepted and closed with code {code}")
            }
            Self::WebSocketClosed { code: None, .. } => {
                f.write_str("WebSocket accepted and closed")
            }
            Self::EchoMissing => f.write_str("no pong to the WebSocket ping"),
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
}
