//! What an error of a TLS connection means.

use std::io;

use outgate_wire::tls_hello::alert_name;
use rustls::CertificateError;
use tokio::time::Instant;

use crate::{
    evidence::{PhaseName, Trouble},
    run::Stop,
};

/// Alerts with which servers refuse a version or every cipher suite: handshake_failure,
/// protocol_version, insufficient_security (RFC 8446 §6).
const ALERTS_OF_OLD_SERVERS: [u8; 3] = [40, 70, 71];
/// The alert certificate_required (RFC 8446 §6.2).
const ALERT_CERTIFICATE_REQUIRED: u8 = 116;

/// A handshake that did not end well.
pub(super) enum Failure {
    /// The server said no.
    Alert(u8),
    /// What the server chose is nothing that can be spoken.
    Incompatible(String),
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
            Some(other) => Self::Other(trouble_of(other)),
        }
    }

    pub(super) fn is_alert(&self) -> bool {
        matches!(self, Self::Alert(_))
    }

    /// Whether a server that knows only older versions would fail like this.
    pub(super) fn may_be_old_server(&self) -> bool {
        match self {
            Self::Alert(code) => ALERTS_OF_OLD_SERVERS.contains(code),
            Self::Incompatible(_) | Self::Broken(_) => true,
            Self::Other(_) => false,
        }
    }

    pub(super) fn into_trouble(self) -> Trouble {
        match self {
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

/// What a TLS error means after the handshake.
pub(crate) fn read_trouble(error: &rustls::Error) -> Stop {
    let trouble = trouble_of(error);
    if matches!(
        trouble,
        Trouble::TlsAlert {
            code: ALERT_CERTIFICATE_REQUIRED,
            ..
        }
    ) {
        return Stop::warn(Trouble::ClientCertificateWanted);
    }
    trouble.into()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of TLS errors is open"
)]
fn trouble_of(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::AlertReceived(code) => alert(u8::from(*code)),
        // The first bytes make no record: another protocol.
        rustls::Error::InvalidMessage(_) => Trouble::NotTls,
        rustls::Error::InvalidCertificate(why) => {
            let why = match why {
                CertificateError::BadSignature => "the server does not hold its key".to_owned(),
                other => other.to_string(),
            };
            Trouble::CertificateInvalid { why }
        }
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
