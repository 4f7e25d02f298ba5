//! What the device proves itself by, as it is written and as it is checked.

use std::path::PathBuf;

use super::ConfigError;
use super::file::wrong;

/// What the device proves itself by at the hub. Only the agent may read its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The file of a token.
    Token(PathBuf),
    /// The files, in PEM, of a certificate, its chain behind it, and of its key (PKCS #8).
    Certificate {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

impl Proof {
    /// A token, or a certificate with its key.
    pub(super) fn checked(
        token: Option<PathBuf>,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        match (token, certificate, key) {
            (Some(token), None, None) => Ok(Self::Token(token)),
            (None, Some(certificate), Some(key)) => Ok(Self::Certificate { certificate, key }),
            _ => wrong("token-file", "there, or certificate-file with key-file"),
        }
    }
}
