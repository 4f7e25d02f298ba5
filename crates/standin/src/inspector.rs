//! A middlebox that inspects TLS: it ends the client's handshake with a certificate of its own
//! making, and begins another towards the real server.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{Acceptor, WebPkiClientVerifier},
};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    time,
};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use crate::{
    Authority, TlsError, Validity,
    listen::{self, MAX_SILENCE},
    tls::{config, names::Names, provider},
};

/// The longest that both handshakes may take together.
const HANDSHAKES_TIMEOUT: Duration = Duration::from_secs(30);

/// What a middlebox inspects.
pub struct Inspection {
    /// Who signs the certificates that clients get to see.
    pub authority: Arc<Authority>,
    /// The names that are inspected, and where their servers are. A handshake that asks for any
    /// other name ends without an answer.
    pub servers: BTreeMap<String, IpAddr>,
    /// The servers' port.
    pub port: u16,
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection")
            .field("servers", &self.servers)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// What every connection needs.
pub(crate) struct Inspector {
    servers: BTreeMap<String, IpAddr>,
    port: u16,
    towards_clients: Arc<ServerConfig>,
    towards_servers: Arc<ClientConfig>,
}

impl Inspector {
    pub(crate) fn new(inspection: &Inspection, now: SystemTime) -> Result<Self, TlsError> {
        let names: Vec<String> = inspection.servers.keys().cloned().collect();
        let certificates = Names::issue(&inspection.authority, &names, Validity::around(now))?;
        let nobody = WebPkiClientVerifier::no_client_auth();
        let provider = provider();
        let anybody = Arc::new(Anybody(provider.signature_verification_algorithms));
        let mut towards_servers = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| TlsError::Config { source })?
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth();
        towards_servers.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            servers: inspection.servers.clone(),
            port: inspection.port,
            towards_clients: config(Arc::new(certificates), nobody)?,
            towards_servers: Arc::new(towards_servers),
        })
    }

    async fn meet(&self, stream: TcpStream) -> Option<()> {
        let handshakes = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
                .await
                .ok()?;
            let name = start.client_hello().server_name()?.to_ascii_lowercase();
            let address = SocketAddr::new(*self.servers.get(&name)?, self.port);
            let server = TcpStream::connect(address).await.ok()?;
            let name = ServerName::try_from(name).ok()?;
            let connector = TlsConnector::from(self.towards_servers.clone());
            let server = connector.connect(name, server).await.ok()?;
            let client = start.into_stream(self.towards_clients.clone()).await.ok()?;
            Some((client, server))
        };
        let (mut client, mut server) =
            time::timeout(HANDSHAKES_TIMEOUT, handshakes).await.ok()??;
        let copying = io::copy_bidirectional(&mut client, &mut server);
        // However it ends, both connections are dropped.
        let _ended = time::timeout(MAX_SILENCE, copying).await;
        Some(())
    }
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, inspector: Arc<Inspector>) {
    listen::serve_each(listener, move |stream| {
        let inspector = inspector.clone();
        async move {
            inspector.meet(stream).await;
        }
    })
    .await;
}

/// Takes any certificate: whether the server is the right one is not what a lab is about.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::{Place, Stage, SystemClock, TlsFault};

    /// The answer, seen through the middlebox; none without a handshake.
    async fn through(asked: &str) -> Option<String> {
        let now = SystemTime::now();
        let mut stage = Stage::new(Authority::new(now).unwrap(), SystemClock);
        let names = ["a.example".to_owned(), "b.example".to_owned()];
        let server = stage.https(Place::v4(), &names, TlsFault::None);
        let server = server.await.unwrap();
        let inspection = Inspection {
            authority: Arc::new(Authority::named("Company", now).unwrap()),
            servers: BTreeMap::from([("a.example".to_owned(), server.ip())]),
            port: server.port(),
        };
        let between = stage.inspector(Place::v4(), &inspection).await.unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(inspection.authority.certificate().clone())
            .unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(between).await.unwrap();
        let name = ServerName::try_from(asked.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await.ok()?;
        let request = format!("GET / HTTP/1.1\r\nHost: {asked}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        Some(heard)
    }

    #[tokio::test]
    async fn a_client_that_trusts_the_company_reaches_the_server_through_it() {
        let heard = through("a.example").await.unwrap();
        assert!(heard.contains("stand-in for a.example"), "{heard}");
    }

    #[tokio::test]
    async fn a_name_that_is_not_inspected_gets_no_handshake() {
        assert_eq!(through("b.example").await, None);
    }
}
