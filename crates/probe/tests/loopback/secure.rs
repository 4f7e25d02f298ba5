//! A TLS server that does one scripted thing with every connection.

use std::{future::Future, sync::Arc};

use outgate_probe::{Ask, Finding, PathConfig, Roots};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::asks::{config_to, run};

/// A connection of the server's.
pub(crate) type Secured = TlsStream<TcpStream>;

/// A running server; stops when dropped.
pub(crate) struct Secure {
    config: PathConfig,
    task: JoinHandle<()>,
}

impl Secure {
    pub(crate) async fn start<F>(script: fn(Secured) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (server, pem) = identity();
        let acceptor = TlsAcceptor::from(server);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = PathConfig {
            roots: Roots::mozilla().give_pem(pem.as_bytes()).unwrap(),
            ..config_to(listener.local_addr().unwrap())
        };
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        script(stream).await;
                    }
                });
            }
        });
        Self { config, task }
    }

    pub(crate) async fn asked(&self, ask: &Ask) -> Finding {
        run(ask, self.config.clone()).await
    }
}

/// How a server of `api.example` speaks TLS, and its certificate in PEM.
pub(crate) fn identity() -> (Arc<ServerConfig>, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["api.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    (Arc::new(server), cert.pem())
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request and returns its first line, or nothing when the other side has gone.
pub(crate) async fn request(stream: &mut Secured) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    head.lines().next().map(str::to_owned)
}

/// Sends this and lets it go at once.
pub(crate) async fn say(stream: &mut Secured, text: &str) {
    // The other side may have heard enough before the end.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.flush().await;
}

/// Waits until the other side goes.
pub(crate) async fn rest(stream: &mut Secured) {
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
