//! HTTP/1.1 with or without TLS, in front of either library.

use std::fs;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// TLS with a certificate and its key, from files in PEM.
pub(crate) fn tls(certificate: &str, key: &str) -> anyhow::Result<TlsAcceptor> {
    let chain =
        CertificateDer::pem_slice_iter(&fs::read(certificate)?).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(key)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves `app` on loopback until the process ends.
pub(crate) async fn serve(port: u16, tls: Option<TlsAcceptor>, app: Router) -> anyhow::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener: TcpListener = socket.listen(BACKLOG)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let app = app.clone();
        match tls.clone() {
            None => {
                tokio::spawn(converse(stream, app));
            }
            Some(tls) => {
                tokio::spawn(async move {
                    // Whoever breaks off a handshake is the load's to count.
                    if let Ok(stream) = tls.accept(stream).await {
                        converse(stream, app).await;
                    }
                });
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, app: Router) {
    let service = TowerToHyperService::new(app);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // As above.
    let _ = connection.with_upgrades().await;
}
