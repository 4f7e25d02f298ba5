//! The TLS door: many names behind one port, and what can be wrong with it.

pub(crate) mod names;
mod old;

use std::{sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{
        Acceptor, NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier,
        danger::ClientCertVerifier,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{
    Authority, AuthorityError, Validity,
    http::{self, HttpFault, Site},
    listen, sip,
};
use names::Names;

/// The longest that a handshake may take, from the connection to its last message.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// A fatal alert `unrecognized_name` (RFC 6066 §3) in a record of its own (RFC 8446 §5.1, §6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// What a TLS stand-in does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsFault {
    /// Nothing.
    #[default]
    None,
    /// Accepts, listens, says nothing: the handshake never ends.
    Silent,
    /// Accepts and closes.
    CloseAtOnce,
    /// The certificates are of an authority that the client does not know.
    OtherAuthority,
    /// The certificates ended a day ago.
    Expired,
    /// The certificates start in a day.
    NotYetValid,
    /// The certificate is for `wrong-name.invalid`, whatever was asked for.
    WrongName,
    /// The intermediate certificate is not sent.
    LeafOnly,
    /// TLS 1.1 is the newest version spoken: a client that offers it is answered with it (and
    /// left there), any other is refused with the alert `protocol_version`.
    OldVersions,
    /// The certificate is for clients, and no server may show it (RFC 5280 §4.2.1.12).
    WrongPurpose,
    /// Only another name is served: whoever asks for these is refused with the alert
    /// `unrecognized_name`.
    OtherSite,
    /// The handshake is right, and what comes after it is wrong.
    Http(HttpFault),
}

impl TlsFault {
    /// The fault behind the door.
    pub(crate) fn http(self) -> HttpFault {
        match self {
            Self::Http(fault) => fault,
            Self::None
            | Self::Silent
            | Self::CloseAtOnce
            | Self::OtherAuthority
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongName
            | Self::LeafOnly
            | Self::WrongPurpose
            | Self::OtherSite
            | Self::OldVersions => HttpFault::None,
        }
    }
}

/// A door cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate for one of the names.
    #[error("failed to make the certificate for {name:?}")]
    Certificate {
        /// The name, or the addresses.
        name: String,
        /// Why.
        source: AuthorityError,
    },
    /// No authority for [`TlsFault::OtherAuthority`].
    #[error("failed to make the other authority")]
    OtherAuthority {
        /// Why.
        source: AuthorityError,
    },
    /// Client certificates cannot be judged.
    #[error("failed to set up the judging of client certificates")]
    ClientVerifier {
        /// Why.
        source: VerifierBuilderError,
    },
    /// The TLS library refuses the settings.
    #[error("failed to set up TLS")]
    Config {
        /// Why.
        source: rustls::Error,
    },
}

/// Everything that a connection needs to be served.
pub(crate) struct Door {
    manner: Manner,
    behind: Behind,
}

/// What is behind the handshake.
enum Behind {
    Site(Arc<Site>),
    SipEcho,
}

/// How connections are met.
enum Manner {
    Silent,
    CloseAtOnce,
    OldVersions,
    Handshake {
        names: Arc<Names>,
        config: Arc<ServerConfig>,
    },
}

impl Manner {
    fn handshake(names: Names) -> Result<Self, TlsError> {
        Self::handshake_with(names, WebPkiClientVerifier::no_client_auth())
    }

    fn handshake_with(
        names: Names,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, TlsError> {
        let names = Arc::new(names);
        let config = config(names.clone(), clients)?;
        Ok(Self::Handshake { names, config })
    }
}

impl Door {
    /// Makes a certificate for each name, good or bad as the fault says.
    pub(crate) fn new(
        authority: &Authority,
        names: &[String],
        fault: TlsFault,
        site: Site,
    ) -> Result<Self, TlsError> {
        let now = site.clock.now();
        let around = Validity::around(now);
        let manner = match fault {
            TlsFault::Silent => Manner::Silent,
            TlsFault::CloseAtOnce => Manner::CloseAtOnce,
            TlsFault::OldVersions => Manner::OldVersions,
            TlsFault::None | TlsFault::Http(_) => {
                Manner::handshake(Names::issue(authority, names, around)?)?
            }
            TlsFault::OtherAuthority => {
                let other = Authority::named("Another authority", now)
                    .map_err(|source| TlsError::OtherAuthority { source })?;
                Manner::handshake(Names::issue(&other, names, around)?)?
            }
            TlsFault::Expired => {
                Manner::handshake(Names::issue(authority, names, Validity::expired(now))?)?
            }
            TlsFault::NotYetValid => {
                Manner::handshake(Names::issue(authority, names, Validity::not_yet(now))?)?
            }
            TlsFault::WrongName => Manner::handshake(Names::wrong(authority, around)?)?,
            TlsFault::LeafOnly => {
                Manner::handshake(Names::issue_leaf_only(authority, names, around)?)?
            }
            TlsFault::WrongPurpose => {
                Manner::handshake(Names::issue_for_clients(authority, names, around)?)?
            }
            TlsFault::OtherSite => {
                let other = ["another-site.invalid".to_owned()];
                Manner::handshake(Names::issue(authority, &other, around)?)?
            }
        };
        Ok(Self {
            manner,
            behind: Behind::Site(Arc::new(site)),
        })
    }

    /// The same without fault, for clients alone that have a certificate of the authority.
    pub(crate) fn mutual(
        authority: &Authority,
        names: &[String],
        site: Site,
    ) -> Result<Self, TlsError> {
        let around = Validity::around(site.clock.now());
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.certificate().clone())
            .map_err(|source| TlsError::Config { source })?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|source| TlsError::ClientVerifier { source })?;
        Ok(Self {
            manner: Manner::handshake_with(Names::issue(authority, names, around)?, clients)?,
            behind: Behind::Site(Arc::new(site)),
        })
    }

    /// A SIP echo behind the door, without fault.
    pub(crate) fn sip(
        authority: &Authority,
        names: &[String],
        validity: Validity,
    ) -> Result<Self, TlsError> {
        Ok(Self {
            manner: Manner::handshake(Names::issue(authority, names, validity)?)?,
            behind: Behind::SipEcho,
        })
    }
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, door: Arc<Door>) {
    listen::serve_each(listener, move |stream| connection(stream, door.clone())).await;
}

async fn connection(stream: TcpStream, door: Arc<Door>) {
    let Ok(peer) = stream.peer_addr() else {
        return;
    };
    match &door.manner {
        Manner::Silent => listen::hold_silently(stream).await,
        Manner::CloseAtOnce => listen::close(stream).await,
        Manner::OldVersions => {
            // Whether the refusal arrives is the client's to notice.
            let _refused = time::timeout(HANDSHAKE_TIMEOUT, refuse_as_old(stream)).await;
        }
        Manner::Handshake { names, config } => {
            let handshake = handshake(stream, names, config.clone());
            if let Ok(Some(stream)) = time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                let sni = stream.get_ref().1.server_name().map(str::to_owned);
                match &door.behind {
                    Behind::Site(site) => http::connection(stream, sni, site.clone()).await,
                    Behind::SipEcho => sip::connection(stream, peer).await,
                }
            }
        }
    }
}

/// Makes the handshake of a door without fault, for what is not HTTP.
pub(crate) async fn secured(stream: TcpStream, door: &Door) -> Option<TlsStream<TcpStream>> {
    let Manner::Handshake { names, config } = &door.manner else {
        return None;
    };
    let handshake = handshake(stream, names, config.clone());
    time::timeout(HANDSHAKE_TIMEOUT, handshake).await.ok()?
}

/// Both halves of the handshake, and between them the refusal of names that are not served.
async fn handshake(
    stream: TcpStream,
    names: &Names,
    config: Arc<ServerConfig>,
) -> Option<TlsStream<TcpStream>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
        .await
        .ok()?;
    if names.find(start.client_hello().server_name()).is_none() {
        close_with(start.io, &UNRECOGNIZED_NAME).await;
        return None;
    }
    match start.into_stream(config).into_fallible().await {
        Ok(stream) => Some(stream),
        Err((_, stream)) => {
            // The alert is on its way.
            listen::close(stream).await;
            None
        }
    }
}

async fn refuse_as_old(mut stream: TcpStream) {
    let mut record = [0; old::MAX_RECORD];
    let (head, body) = record.split_at_mut(old::RECORD_HEAD);
    if stream.read_exact(head).await.is_err() {
        return;
    }
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    let Some(body) = body.get_mut(..length) else {
        return;
    };
    if stream.read_exact(body).await.is_err() {
        return;
    }
    close_with(stream, &old::answer(body)).await;
}

async fn close_with(mut stream: TcpStream, last: &[u8]) {
    if stream.write_all(last).await.is_ok() {
        listen::close(stream).await;
    }
}

/// TLS 1.2 and 1.3, HTTP/1.1, no resumption: a client sees the whole chain each time.
pub(crate) fn config(
    names: Arc<Names>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Config { source })?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(names);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
