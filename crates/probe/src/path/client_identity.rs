//! What the product shows to servers that ask for a certificate.

use std::{fmt, sync::Arc};

use rustls::{
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

/// A certificate and its key.
#[derive(Clone)]
pub struct ClientIdentity(Arc<CertifiedKey>);

/// Why there is no identity in what was given.
#[derive(Debug, thiserror::Error)]
pub enum ClientIdentityError {
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// The certificates cannot be read.
    #[error("the certificates cannot be read")]
    Certificate(#[source] pem::Error),
    /// The key cannot be read.
    #[error("the key cannot be read")]
    Key(#[source] pem::Error),
    /// The key is not that of the certificate, or of a kind that is not known.
    #[error("the key does not go with the certificate")]
    Mismatch(#[source] rustls::Error),
}

impl ClientIdentity {
    /// From a chain and a key in PEM; the first certificate is the key's.
    ///
    /// # Errors
    /// [`ClientIdentityError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ClientIdentityError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(ClientIdentityError::Certificate)?;
        if chain.is_empty() {
            return Err(ClientIdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(ClientIdentityError::Key)?;
        let provider = rustls::crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider);
        let certified = certified.map_err(ClientIdentityError::Mismatch)?;
        Ok(Self(Arc::new(certified)))
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |first| first)
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

/// Nothing of the key.
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn made() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["till.test".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_key_goes_with_its_own_certificate_and_is_not_printed() {
        let (chain, key) = made();
        let identity = ClientIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        assert!(!identity.certificate().is_empty());
        assert_eq!(format!("{identity:?}"), "ClientIdentity");
        let (_, other) = made();
        let mismatch = ClientIdentity::from_pem(chain.as_bytes(), other.as_bytes());
        assert!(matches!(mismatch, Err(ClientIdentityError::Mismatch(_))));
    }

    #[test]
    fn what_holds_no_certificate_or_no_key_is_refused() {
        let (chain, key) = made();
        let none = ClientIdentity::from_pem(b"", key.as_bytes());
        assert!(matches!(none, Err(ClientIdentityError::NoCertificate)));
        let none = ClientIdentity::from_pem(chain.as_bytes(), b"");
        assert!(matches!(none, Err(ClientIdentityError::Key(_))));
    }
}
