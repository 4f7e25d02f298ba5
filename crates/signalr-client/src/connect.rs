//! How connections are made: by the caller, or by [`Direct`].

use std::fmt;
use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Whether TLS is spoken to it, and its certificate must be good for [`Authority::host`].
    pub secure: bool,
    /// A name or an address; one of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Makes connections. Whoever has a proxy, trust, pins or a source address of its own brings one.
///
/// HTTP/1.1 is spoken on what it returns; where TLS can agree on that (ALPN), it should.
pub trait Connect: Send + Sync {
    /// Connects, with TLS where [`Authority::secure`] says so. It may take as long as the client's
    /// limits allow, and is dropped then.
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>>;
}

/// Connects directly: TCP to what the system's resolver says, and TLS if the crate's feature `tls`
/// is on.
#[derive(Debug, Clone, Default)]
pub struct Direct {
    #[cfg(feature = "tls")]
    tls: Option<tls::Tls>,
}

impl Direct {
    /// Speaks TLS by a configuration of the caller's.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(config: std::sync::Arc<rustls::ClientConfig>) -> Self {
        Self {
            tls: Some(tls::Tls::new(config)),
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, stream: TcpStream, to: &Authority) -> io::Result<Box<dyn Stream>> {
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => tls::Tls::of_the_platform()?,
        };
        tls.connect(stream, &to.host).await
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "with TLS it waits")]
    async fn secure(&self, _: TcpStream, _: &Authority) -> io::Result<Box<dyn Stream>> {
        let advice = "this client was built without TLS: switch on the feature `tls`, or bring a `Connect` that speaks it";
        Err(io::Error::new(io::ErrorKind::Unsupported, advice))
    }
}

impl Connect for Direct {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect((to.host.as_str(), to.port)).await?;
            // Messages are short, and somebody waits for each.
            stream.set_nodelay(true)?;
            if to.secure {
                return self.secure(stream, to).await;
            }
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::io;
    use std::sync::{Arc, OnceLock};

    use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use super::Stream;

    #[derive(Clone)]
    pub(super) struct Tls(TlsConnector);

    impl std::fmt::Debug for Tls {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Tls")
        }
    }

    impl Tls {
        pub(super) fn new(config: Arc<ClientConfig>) -> Self {
            Self(TlsConnector::from(config))
        }

        /// Trusts whom the platform trusts. It is read once, since that takes a while.
        pub(super) fn of_the_platform() -> io::Result<Self> {
            static PLATFORM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
            if let Some(config) = PLATFORM.get() {
                return Ok(Self::new(config.clone()));
            }
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?;
            let mut config = config.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Self::new(PLATFORM.get_or_init(|| Arc::new(config)).clone()))
        }

        pub(super) async fn connect(
            &self,
            stream: TcpStream,
            host: &str,
        ) -> io::Result<Box<dyn Stream>> {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Ok(Box::new(self.0.connect(name, stream).await?))
        }
    }
}
