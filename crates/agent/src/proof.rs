//! What the device proves itself by at the hub.

use std::io;
use std::path::{Path, PathBuf};

use outgate_probe::{ClientIdentity, ClientIdentityError};
use outgate_signalr_client::Token;
use thiserror::Error;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::chain::chain;
use crate::config::{self, Config};
use crate::disk;

/// The most bytes of a token.
const MAX_TOKEN: u64 = 1_024;

/// The most bytes of a chain or a key.
const MAX_PEM: u64 = 64 * 1024;

/// The certificate that the hub has given in place of the configured one, in the agent's folder.
const RENEWED: &str = "certificate.pem";

/// What is shown to the hub.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A token, in each request.
    Token(Token),
    /// A certificate, in the TLS handshake.
    Certificate(ClientIdentity),
}

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub enum ProofError {
    /// A file cannot be read.
    #[error("failed to read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no certificate with its key in the files.
    #[error("{path} is no certificate of the key")]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: ClientIdentityError,
    },
}

/// Where that lies which the device proves itself by. It is read anew each time, so that another
/// needs no restart.
#[derive(Clone, Debug)]
pub struct Proof {
    kind: config::Proof,
    renewed: PathBuf,
}

/// A certificate with its key, as it lies on the disk.
pub(crate) struct Held {
    pub(crate) identity: ClientIdentity,
    /// The key in PEM.
    pub(crate) key: Zeroizing<String>,
    pub(crate) life: Life,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) from: OffsetDateTime,
    pub(crate) until: OffsetDateTime,
}

impl Life {
    /// Whether it is time for another: two thirds of it are over.
    pub(crate) fn is_due(self, now: OffsetDateTime) -> bool {
        now >= self.until - (self.until - self.from) / 3
    }
}

impl Proof {
    /// What the configuration says.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            kind: config.proof.clone(),
            renewed: config.data.join(RENEWED),
        }
    }

    /// What is to be shown now.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn read(&self) -> Result<Shown, ProofError> {
        match &self.kind {
            config::Proof::Token(path) => Ok(Shown::Token(token(path)?)),
            config::Proof::Certificate { .. } => match self.held()? {
                Some(held) => Ok(Shown::Certificate(held.identity)),
                None => Err(ProofError::File {
                    path: self.renewed.clone(),
                    source: io::ErrorKind::NotFound.into(),
                }),
            },
        }
    }

    /// Where another certificate is put.
    pub(crate) fn renewed(&self) -> &Path {
        &self.renewed
    }

    /// The certificate that is shown, if it is one: the configured one, or that which the hub has
    /// given for the same key, whichever is newer.
    pub(crate) fn held(&self) -> Result<Option<Held>, ProofError> {
        let config::Proof::Certificate { certificate, key } = &self.kind else {
            return Ok(None);
        };
        let given = read(certificate, key)?;
        if !self.renewed.exists() {
            return Ok(Some(given));
        }
        Ok(Some(match read(&self.renewed, key) {
            Ok(renewed) if renewed.life.from > given.life.from => renewed,
            Ok(_) => given,
            // Of another key, which has been replaced since then, or of no use.
            Err(error) => {
                tracing::warn!(error = chain(&error), "the renewed certificate is not used");
                given
            }
        }))
    }
}

fn token(path: &Path) -> Result<Token, ProofError> {
    let read = || {
        let text = String::from_utf8(disk::read(path, MAX_TOKEN)?).map_err(io::Error::other)?;
        let text = text.trim();
        if text.is_empty() {
            let why = "there is no token in it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Token::new(text.to_owned()))
    };
    read().map_err(|source| file(path, source))
}

fn read(certificate: &Path, key: &Path) -> Result<Held, ProofError> {
    let chain = disk::read(certificate, MAX_PEM).map_err(|source| file(certificate, source))?;
    let secret = disk::read(key, MAX_PEM).map_err(|source| file(key, source))?;
    let secret = String::from_utf8(secret)
        .map(Zeroizing::new)
        .map_err(|error| file(key, io::Error::other(error)))?;
    let wrong = |source| ProofError::Certificate {
        path: certificate.to_owned(),
        source,
    };
    let identity = ClientIdentity::from_pem(&chain, secret.as_bytes()).map_err(wrong)?;
    let life = life(identity.certificate());
    let life = life.ok_or_else(|| wrong(ClientIdentityError::NoCertificate))?;
    Ok(Held {
        identity,
        key: secret,
        life,
    })
}

/// From when until when a certificate in DER is valid.
fn life(der: &[u8]) -> Option<Life> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Life {
        from: validity.not_before.to_datetime(),
        until: validity.not_after.to_datetime(),
    })
}

fn file(path: &Path, source: io::Error) -> ProofError {
    ProofError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_is_due_when_two_thirds_of_a_life_are_over() {
        let day = time::Duration::DAY;
        let from = OffsetDateTime::UNIX_EPOCH;
        let life = Life {
            from,
            until: from + 90 * day,
        };
        assert!(!life.is_due(from + 59 * day));
        assert!(life.is_due(from + 60 * day));
        assert!(life.is_due(from + 900 * day));
    }
}
