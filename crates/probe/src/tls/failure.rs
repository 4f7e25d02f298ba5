//! What an error of a TLS connection means.

use std::io;

use outgate_wire::tls_hello::alert_name;
use rustls::{CertificateError, pki_types::CertificateDer};
use tokio::time::Instant;

use super::certificate;
use crate::{
    evidence::{PhaseName, Trouble},
    run::Stop,
};

/// Alerts with which servers refuse a version or every cipher suite: handshake_failure,
/// protocol_version, insufficient_security (RFC 8446 §6).
const ALERTS_OF_OLD_SERVERS: [u8; 3] = [40, 70, 71];
/// The shortest RSA key whose signatures are accepted, in bits; so in every current TLS library.
const RSA_BITS_MIN: usize = 2048;

/// A handshake that did not end well.
pub(super) enum Failure {
    /// The server said no.
    Alert(u8),
    /// What the server chose is nothing that can be spoken.
    Incompatible(String),
    /// The server's signature of the handshake does not fit its certificate's key.
    BadSignature,
    /// The connection broke.
    Broken(Trouble),
    /// Something else, which an older handshake would not mend.
    Other(Trouble),
}

impl Failure {
    pub(super) fn of(error: &io::Error, since: Instant) -> Self {
        match tls_error(error) {
            None => {
                let trouble = Stop::io(error, PhaseName::Tls, since).trouble;
                let broken = matches!(trouble, Trouble::Reset { .. } | Trouble::Closed { .. });
                if broken {
                    Self::Broken(trouble)
                } else {
                    Self::Other(trouble)
                }
            }
            Some(rustls::Error::AlertReceived(alert)) => Self::Alert(u8::from(*alert)),
            Some(rustls::Error::PeerIncompatible(why)) => Self::Incompatible(format!("{why:?}")),
            Some(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) => {
                Self::BadSignature
            }
            Some(other) => Self::Other(read_trouble(other)),
        }
    }

    /// Whether a server that knows only older versions would fail like this.
    pub(super) fn may_be_old_server(&self) -> bool {
        match self {
            Self::Alert(code) => ALERTS_OF_OLD_SERVERS.contains(code),
            Self::Incompatible(_) | Self::Broken(_) => true,
            Self::BadSignature | Self::Other(_) => false,
        }
    }

    /// `chain` is what the server presented.
    pub(super) fn into_trouble(self, chain: &[CertificateDer<'_>]) -> Trouble {
        match self {
            Self::BadSignature => bad_signature(chain),
            Self::Alert(code) => alert(code),
            Self::Incompatible(why) => Trouble::TlsBroken { why },
            Self::Broken(trouble) | Self::Other(trouble) => trouble,
        }
    }
}

/// The TLS error inside an I/O error, if it is one.
pub(crate) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// A key that is too short makes no signature that would be accepted.
fn bad_signature(chain: &[CertificateDer<'_>]) -> Trouble {
    let why = match chain.first().and_then(certificate::rsa_bits) {
        Some(bits) if bits < RSA_BITS_MIN => {
            format!("RSA key of {bits} bits, {RSA_BITS_MIN} at least are needed")
        }
        Some(_) | None => "the server does not hold its key".to_owned(),
    };
    Trouble::CertificateInvalid { why }
}

/// What a TLS error means.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of TLS errors is open"
)]
pub(crate) fn read_trouble(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::AlertReceived(code) => alert(u8::from(*code)),
        // The first bytes make no record: another protocol.
        rustls::Error::InvalidMessage(_) => Trouble::NotTls,
        rustls::Error::InvalidCertificate(why) => Trouble::CertificateInvalid {
            why: why.to_string(),
        },
        other => Trouble::TlsBroken {
            why: other.to_string(),
        },
    }
}

fn alert(code: u8) -> Trouble {
    Trouble::TlsAlert {
        code,
        description: alert_name(code).to_owned(),
    }
}
