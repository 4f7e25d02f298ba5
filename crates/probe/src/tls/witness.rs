//! A verifier that lets every chain pass and remembers it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::CHAIN_MAX;
use crate::path::ClientIdentity;

/// What a server showed and asked for during one handshake.
#[derive(Debug)]
pub(super) struct Witness {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<CertificateDer<'static>>>,
    client_certificate_asked: AtomicBool,
    /// What a server is shown that asks for a certificate.
    identity: Option<ClientIdentity>,
}

impl Witness {
    pub(super) fn new(provider: Arc<CryptoProvider>, identity: Option<ClientIdentity>) -> Self {
        Self {
            provider,
            identity,
            chain: Mutex::default(),
            client_certificate_asked: AtomicBool::new(false),
        }
    }

    /// The presented chain, the server's own certificate first.
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the server asked for a certificate and was shown none.
    pub(super) fn client_certificate_asked(&self) -> bool {
        self.client_certificate_asked.load(Ordering::Relaxed)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = [end_entity].into_iter().chain(intermediates);
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = presented
            .take(CHAIN_MAX)
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        if self.identity.is_none() {
            self.client_certificate_asked.store(true, Ordering::Relaxed);
        }
        self.identity.as_ref().map(ClientIdentity::certified)
    }

    /// Says yes, so that a server's wish is heard at all.
    fn has_certs(&self) -> bool {
        true
    }
}
