//! A TLS client of rustls.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use outgate_standin::{Authority, Validity};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) struct Client {
    pub(crate) config: ClientConfig,
}

impl Client {
    pub(crate) fn trusting(authority: &Path) -> Self {
        Self::of(authority, &[&TLS13, &TLS12], None)
    }

    pub(crate) fn of(
        authority: &Path,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        Self {
            config: match certificate {
                Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
                None => config.with_no_client_auth(),
            },
        }
    }

    pub(crate) fn offering(mut self, alpn: &[&str]) -> Self {
        self.config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_as("localhost", address).await
    }

    pub(crate) async fn connect_as(
        &self,
        name: &'static str,
        address: SocketAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name).unwrap();
        TlsConnector::from(Arc::new(self.config.clone()))
            .connect(name, socket)
            .await
    }
}

/// A client's certificate of an authority that nobody knows, and its key.
pub(crate) fn certificate() -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let now = std::time::SystemTime::now();
    let identity = Authority::new(now)
        .unwrap()
        .issue_client("device-1", Validity::around(now))
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).unwrap();
    (identity.chain().to_vec(), key)
}
