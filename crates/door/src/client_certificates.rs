//! Certificates of clients: any signer's, as long as the client holds the key.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// The most certificates a client may send. Chains of the web's authorities have two to four.
const MAX_CERTIFICATES: usize = 8;

/// The most bytes that a client's certificates may have together: they are kept for as long as
/// the connection lives, and go into its session tickets.
const MAX_BYTES: usize = 16_384;

/// Accepts a certificate whoever signed it, and verifies that the client holds its key. Whether
/// the certificate is anybody's is judged later, when it is known for which site, and again on
/// each connection: a pinned one needs no authority, and one that is withdrawn has one.
#[derive(Debug)]
pub(crate) struct AnySigner(pub(crate) Arc<CryptoProvider>);

impl ClientCertVerifier for AnySigner {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client that is told of authorities sends nothing when its own is not among them.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = intermediates
            .iter()
            .fold(end_entity.len(), |sum, one| sum.saturating_add(one.len()));
        if intermediates.len() >= MAX_CERTIFICATES || bytes > MAX_BYTES {
            return Err(CertificateError::BadEncoding.into());
        }
        ParsedCertificate::try_from(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
