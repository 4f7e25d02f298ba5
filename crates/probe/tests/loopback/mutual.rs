//! Servers that want a client certificate, and say so each in its own way.

use std::{sync::Arc, time::Duration};

use outgate_probe::{Finding, Outcome, PathConfig, Roots, Trouble};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::asks::{ask, config_to, run};

/// What the server does with clients that have no certificate.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Sends an alert, as TLS libraries do by themselves, and closes.
    Alert,
    /// Takes the handshake, reads, and closes.
    Close,
    /// Takes the handshake, and resets the connection.
    Reset,
    /// Takes them.
    Content,
}

struct Server {
    config: PathConfig,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(version: &'static SupportedProtocolVersion, manner: Manner) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["api.example".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        if manner != Manner::Alert {
            verifier = verifier.allow_unauthenticated();
        }
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = PathConfig {
            roots: Roots::mozilla().give_pem(cert.pem().as_bytes()).unwrap(),
            ..config_to(listener.local_addr().unwrap())
        };
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(meet(acceptor.clone(), stream, manner));
            }
        });
        Self { config, task }
    }

    async fn asked(&self, protocol: &str) -> Finding {
        run(&ask(protocol), self.config.clone()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Dropping a connection with unread bytes resets it, so that the alert may be lost on its way.
async fn meet(acceptor: TlsAcceptor, stream: TcpStream, manner: Manner) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    match manner {
        Manner::Alert => unreachable!("the handshake fails"),
        Manner::Close => {
            let _ = stream.shutdown().await;
        }
        Manner::Reset => {
            let socket = socket2::SockRef::from(stream.get_ref().0);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        Manner::Content => {
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
            let _ = stream.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_reached_however_it_says_so() {
    let expected = (Outcome::Warn, Some(Trouble::ClientCertificateWanted));
    for version in [&TLS12, &TLS13] {
        for manner in [Manner::Alert, Manner::Close, Manner::Reset] {
            let server = Server::start(version, manner).await;
            let bare_shows_nothing = version.version == TLS12.version && manner != Manner::Alert;
            // What arrives first, the alert or the end, is chance: so, often.
            for protocol in ["tls", "https", "wss"].repeat(5) {
                if protocol == "tls" && bare_shows_nothing {
                    continue;
                }
                let finding = server.asked(protocol).await;
                let context = format!("{protocol} {:?}", version.version);
                assert_eq!((finding.outcome, finding.trouble), expected, "{context}");
                let tls = finding.attempts[0].tls.clone().unwrap();
                assert!(tls.client_certificate_asked);
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_clients_without_a_certificate_passes() {
    for version in [&TLS12, &TLS13] {
        let server = Server::start(version, Manner::Content).await;
        for protocol in ["tls", "https"] {
            let finding = server.asked(protocol).await;
            let context = format!("{protocol} {:?}", version.version);
            assert_eq!(
                (finding.outcome, finding.trouble),
                (Outcome::Pass, None),
                "{context}"
            );
            let tls = finding.attempts[0].tls.clone().unwrap();
            assert!(tls.client_certificate_asked);
        }
    }
}
