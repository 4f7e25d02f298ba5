//! Whom to believe that it is the hub.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::context::{Context, Trust};

/// The most certificates of authorities that a context may name.
const MAX_AUTHORITIES: usize = 16;

/// Why it cannot be made out whom to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// What should hold an authority's certificate holds none, or something else.
    #[error("the authority's file holds no certificates in PEM")]
    NoCertificate,
    /// There are more than 16.
    #[error("the authority's file holds more than {MAX_AUTHORITIES} certificates")]
    TooMany,
    /// A certificate is none that can be trusted.
    #[error("a certificate of the authority's file cannot be used")]
    Certificate(#[source] rustls::Error),
    /// TLS cannot be set up.
    #[error("no TLS version can be used")]
    Versions(#[source] rustls::Error),
}

/// The SHA-256 of a certificate, shown as pairs of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// The fingerprints of the certificates in `pem`, to be compared with what the hub's operator says.
///
/// # Errors
/// [`TrustError::NoCertificate`], [`TrustError::TooMany`].
pub fn fingerprints(pem: &str) -> Result<Vec<Fingerprint>, TrustError> {
    let digest = |certificate: &CertificateDer<'_>| {
        let mut bytes = [0; 32];
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        bytes.copy_from_slice(digest.as_ref());
        Fingerprint(bytes)
    };
    Ok(certificates(pem)?.iter().map(digest).collect())
}

/// TLS as `context` wants it.
pub(crate) fn tls(context: &Context) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    if context.trust == Trust::System {
        // A root of the system that cannot be read is one less to trust, not a reason to stop.
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
    }
    if let Some(pem) = &context.ca {
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(TrustError::Certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TrustError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(MAX_AUTHORITIES + 1)
        .collect();
    let found = found.map_err(|_| TrustError::NoCertificate)?;
    match found.len() {
        0 => Err(TrustError::NoCertificate),
        1..=MAX_AUTHORITIES => Ok(found),
        _ => Err(TrustError::TooMany),
    }
}
