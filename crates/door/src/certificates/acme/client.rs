//! How an authority is asked: over HTTPS, and no more is read of its answers than they may have.

use std::path::Path;
use std::pin::Pin;

use bytes::Bytes;
use http_body_util::Limited;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// The most bytes of an answer: a chain has a few thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// Asks authorities.
pub(super) struct Client(Hyper<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

impl Client {
    /// One that trusts the authority whose certificate is in `root`, in PEM, or without that those
    /// that this machine trusts.
    pub(super) fn trusting(
        root: Option<&Path>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let connector = HttpsConnectorBuilder::new();
        let connector = match root {
            None => connector.try_with_platform_verifier()?,
            Some(root) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(root)?)?;
                let config = rustls::ClientConfig::builder_with_provider(crate::tls::provider())
                    .with_safe_default_protocol_versions()?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                connector.with_tls_config(config)
            }
        };
        let connector = connector.https_only().enable_http1().enable_http2().build();
        Ok(Self(Hyper::builder(TokioExecutor::new()).build(connector)))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = self.0.request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(|error| Error::Other(error.into()))?;
            Ok(answer.map(|body| Limited::new(body, MAX_ANSWER)).into())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use outgate_standin::{Authority, Validity};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn an_answer_beyond_the_bound_is_not_read() {
        for (length, fits) in [(MAX_ANSWER, true), (MAX_ANSWER + 1, false)] {
            let answer = ask_one_who_answers(length).await;
            assert_eq!(answer.map(|bytes| bytes.len()), fits.then_some(length));
        }
    }

    /// The body of an answer of so many bytes, if it is read.
    async fn ask_one_who_answers(length: usize) -> Option<Bytes> {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(SystemTime::now()).unwrap();
        let root = folder.path().join("root.pem");
        std::fs::write(&root, authority.pem()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor(&authority);
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            // Who reads no more may hang up meanwhile.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&vec![b'x'; length]).await;
            let _ = stream.shutdown().await;
        });
        let client = Client::trusting(Some(&root)).unwrap();
        let request = http::Request::builder()
            .uri(format!("https://localhost:{port}/"))
            .body(BodyWrapper::default())
            .unwrap();
        let mut answer = client.request(request).await.unwrap();
        let body = answer.body.into_bytes().await.ok();
        drop(client);
        serving.await.unwrap();
        body
    }

    fn acceptor(authority: &Authority) -> tokio_rustls::TlsAcceptor {
        let names = ["localhost".to_owned()];
        let identity = authority.issue(&names, Validity::around(SystemTime::now()));
        let identity = identity.unwrap();
        let chain = CertificateDer::pem_slice_iter(identity.chain_pem().as_bytes());
        let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes());
        let config = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key.unwrap());
        std::sync::Arc::new(config.unwrap()).into()
    }
}
