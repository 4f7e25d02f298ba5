//! What a door shows of itself, and the TLS that it speaks.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::Ticketer;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, danger::ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ServerConfig};

use crate::client_certificates::AnySigner;
use crate::connection::Protocol;
use crate::settings::{Carries, ClientCertificates};

/// The protocol in which an ACME server asks for the proof of a name (RFC 8737, section 4).
pub(crate) const ACME: &[u8] = b"acme-tls/1";

/// The names of ALPN (RFC 7301), what is spoken when they are agreed on, and whether HTTP alone
/// may be; the first that the client offers too is taken.
const NAMES: [(&[u8], Protocol); 5] = [
    (b"h2", Protocol::Http2),
    (b"http/1.1", Protocol::Http1),
    (b"mqtt", Protocol::Mqtt),
    // What AWS's SDKs offer for MQTT with a client certificate on port 443.
    (b"x-amzn-mqtt-ca", Protocol::Mqtt),
    // The same for HTTPS.
    (b"x-amzn-http-ca", Protocol::Http1),
];

/// What an ALPN name stands for.
pub(crate) fn named(alpn: &[u8]) -> Option<Protocol> {
    NAMES
        .iter()
        .find(|(name, _)| *name == alpn)
        .map(|(_, protocol)| *protocol)
}

/// The provider of all cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a door shows of itself: a certificate with its key, and the answers that an ACME server
/// asks for.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub(crate) certificate: Option<Arc<CertifiedKey>>,
    pub(crate) challenges: Challenges,
}

impl Tls {
    /// A certificate with its key.
    #[must_use]
    pub fn new(certificate: Arc<CertifiedKey>) -> Self {
        Self {
            certificate: Some(certificate),
            challenges: Challenges::default(),
        }
    }
}

/// The certificates by which an ACME server is shown that a name is ours (TLS-ALPN-01,
/// RFC 8737). Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Challenges(Arc<Mutex<HashMap<String, Arc<CertifiedKey>>>>);

impl Challenges {
    /// Answers for `name` with `certificate` until all are withdrawn.
    pub(crate) fn answer(&self, name: &str, certificate: Arc<CertifiedKey>) {
        self.0.lock().insert(name.to_ascii_lowercase(), certificate);
    }

    pub(crate) fn withdraw_all(&self) {
        self.0.lock().clear();
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.0.lock().get(&name).cloned()
    }
}

/// The certificate that new handshakes get.
#[derive(Debug)]
struct Current(ArcSwapOption<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// The configurations of a door's listeners, and what they share.
#[derive(Debug)]
pub(crate) struct Configurations {
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn rustls::server::ProducesTickets>,
    acme: Arc<ServerConfig>,
}

impl Configurations {
    /// With `tls` to begin with.
    pub(crate) fn new(tls: Tls) -> Result<Self, Error> {
        let provider = provider();
        let mut acme = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(tls.challenges));
        acme.alpn_protocols = vec![ACME.to_vec()];
        acme.send_tls13_tickets = 0;
        Ok(Self {
            current: Arc::new(Current(ArcSwapOption::new(tls.certificate))),
            // Its keys change every six hours, and tickets last no longer than two of them.
            tickets: Ticketer::new()?,
            provider,
            acme: Arc::new(acme),
        })
    }

    /// Gives new handshakes `certificate`. Connections stay, and so do sessions that they resume.
    pub(crate) fn reload(&self, certificate: Option<Arc<CertifiedKey>>) {
        self.current.0.store(certificate);
    }

    /// For ACME servers.
    pub(crate) fn acme(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.acme)
    }

    /// For a listener.
    pub(crate) fn listener(
        &self,
        carries: Carries,
        client_certificates: ClientCertificates,
    ) -> Result<Arc<ServerConfig>, Error> {
        let verifier: Arc<dyn ClientCertVerifier> = match client_certificates {
            ClientCertificates::Asked => Arc::new(AnySigner(Arc::clone(&self.provider))),
            ClientCertificates::NotAsked => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = NAMES
            .iter()
            .filter(|(_, protocol)| carries.allows(*protocol))
            .map(|(name, _)| name.to_vec())
            .collect();
        config.ticketer = Arc::clone(&self.tickets);
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }
}
