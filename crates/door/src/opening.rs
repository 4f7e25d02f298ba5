//! What comes before any protocol: a row of phases, each with its bound and its time-out.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;
use rustls::server::Acceptor;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::server::{StartHandshake, TlsStream};
use tokio_rustls::{Accept, LazyConfigAcceptor};

use crate::connection::{Connection, Facts, Protocol, Stream, TlsFacts};
use crate::farewell::{CONNECT_ENOUGH, farewell};
use crate::happening::{Hook, Phase, Refused};
use crate::hello::offers_extended_master_secret;
use crate::proxy::{self, Ends, NoHeader};
use crate::seats::{Seat, Seats};
use crate::settings::{Carries, Limits};
use crate::sniff::{ENOUGH, Sniffed, sniff};
use crate::tap::Tap;
use crate::tls::{ACME, Configurations, named};
use crate::turns::Turns;
use crate::{Arrival, bind};

/// RFC 9266, section 2.
const CHANNEL_BINDING: &[u8] = b"EXPORTER-Channel-Binding";

/// The record that a TLS client starts with (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// How many bytes of a connection wait at most for TLS to send them, beyond what the hub's own
/// buffers hold. One record goes in whole (RFC 8446, section 5.1).
const TLS_BUFFER: usize = 16_384 + 256;

/// How long a farewell may take, until the peer has closed its side.
const FAREWELL: Duration = Duration::from_secs(2);

/// How much a peer may still send while it is being refused.
const FAREWELL_READ: usize = 65_536;

/// What a browser, or a person, is told who forgot the `s` of `https`.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 33\r\n\r\nThis port speaks TLS: use https.\n";

/// What all listeners of a door share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) seats: Arc<Seats>,
    pub(crate) opening: Arc<Semaphore>,
    pub(crate) farewells: Semaphore,
    pub(crate) turns: Turns,
    pub(crate) configurations: Configurations,
    pub(crate) hook: DebugHook,
}

/// A hook, which has nothing to show.
pub(crate) struct DebugHook(pub(crate) Hook);

impl std::fmt::Debug for DebugHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

/// What is particular to one listener.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) shared: Arc<Shared>,
    /// None without TLS.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) carries: Carries,
    pub(crate) proxies: Vec<IpNet>,
}

/// A connection of which all is known but what it speaks.
struct Opened {
    connection: Connection,
    /// What ALPN says.
    protocol: Option<Protocol>,
}

impl Entrance {
    /// Takes `socket` through all phases. `None` when its peer wanted no more than that, as an
    /// ACME server does.
    pub(crate) async fn open(
        &self,
        mut socket: TcpStream,
        peer: SocketAddr,
        (mut seat, free): (Seat, Result<(), Refused>),
        opening: OwnedSemaphorePermit,
    ) -> Result<Option<Arrival>, Refused> {
        let gone = |_| Refused::WentAway(Phase::FirstByte);
        bind::tune(&socket).map_err(gone)?;
        let ends = Ends {
            peer,
            local: socket.local_addr().map_err(gone)?,
        };
        let ends = self.behind(&mut socket, ends).await?;
        let (turns, standing) = seat.sit(ends.peer.ip().into());
        let standing = standing.and(free);
        let _opening = self.turn(turns, opening, standing).await?;
        let patience = Patience::beginning(self.shared.limits.opened_within);
        // Whoever cannot be let in is told so in their own protocol, as long as that is cheap.
        let _farewell = match standing {
            Ok(()) => None,
            Err(why) => Some(self.shared.farewells.try_acquire().map_err(|_| why)?),
        };
        let Some(opened) = self.secure(socket, ends, seat, patience).await? else {
            return Ok(None);
        };
        let (protocol, connection) = self.recognise(opened, patience).await?;
        match standing {
            Ok(()) => Ok(Some(Arrival {
                protocol,
                connection,
            })),
            Err(why) => {
                refuse(protocol, connection, why).await;
                Err(why)
            }
        }
    }

    /// Waits for one of its source's turns at being opened, without keeping a place among all that
    /// are being opened meanwhile. There are no more that wait than there are seats.
    async fn turn(
        &self,
        turns: Arc<Semaphore>,
        opening: OwnedSemaphorePermit,
        standing: Result<(), Refused>,
    ) -> Result<[OwnedSemaphorePermit; 2], Refused> {
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok([turn, opening]);
        }
        drop(opening);
        standing?;
        let waiting = async {
            let turn = turns.acquire_owned().await?;
            let opening = Arc::clone(&self.shared.opening).acquire_owned().await?;
            Ok([turn, opening])
        };
        let waited = in_time(self.shared.limits.first_byte, Phase::FirstByte, waiting).await?;
        // The semaphores are never closed.
        waited.map_err(|_: AcquireError| Refused::Full)
    }

    /// Who is behind a trusted proxy.
    async fn behind(&self, socket: &mut TcpStream, ends: Ends) -> Result<Ends, Refused> {
        let peer = ends.peer.ip().to_canonical();
        let told = if self.proxies.iter().any(|network| network.contains(&peer)) {
            let header = proxy::read(socket);
            in_time(self.shared.limits.proxy_header, Phase::ProxyHeader, header)
                .await?
                .map_err(|error| match error {
                    NoHeader::WentAway => Refused::WentAway(Phase::ProxyHeader),
                    NoHeader::Bad => Refused::BadProxyHeader,
                })?
        } else {
            None
        };
        let Ends { peer, local } = told.unwrap_or(ends);
        Ok(Ends {
            peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
        })
    }

    /// TLS, where it is spoken.
    async fn secure(
        &self,
        mut socket: TcpStream,
        ends: Ends,
        seat: Seat,
        patience: Patience,
    ) -> Result<Option<Opened>, Refused> {
        let Ends { peer, local } = ends;
        let facts = |tls| Facts { peer, local, tls };
        let Some(config) = &self.tls else {
            return Ok(Some(Opened {
                connection: Connection::new(facts(None), Stream::Plain(socket), Some(seat)),
                protocol: None,
            }));
        };
        self.expect_tls(&mut socket, patience).await?;
        let handshake = self.handshake(socket, Arc::clone(config));
        let limit = self.shared.limits.handshake;
        let Some((stream, tls)) = patience
            .in_time(limit, Phase::Handshake, handshake)
            .await??
        else {
            return Ok(None);
        };
        Ok(Some(Opened {
            protocol: tls.alpn.as_deref().and_then(|name| named(name.as_bytes())),
            connection: Connection::new(
                facts(Some(Arc::new(tls))),
                Stream::Tls(Box::new(stream)),
                Some(seat),
            ),
        }))
    }

    /// Waits for the first byte, for which a silent peer costs no more than its socket.
    async fn expect_tls(&self, socket: &mut TcpStream, patience: Patience) -> Result<(), Refused> {
        let mut first = [0];
        let peek = socket.peek(&mut first);
        let limit = self.shared.limits.first_byte;
        let length = patience
            .in_time(limit, Phase::FirstByte, peek)
            .await?
            .unwrap_or(0);
        match (length, first) {
            (0, _) => Err(Refused::WentAway(Phase::FirstByte)),
            (_, [TLS_HANDSHAKE]) => Ok(()),
            (_, first) => {
                let http = sniff(&first) != Sniffed::Unknown
                    && sniff(&first) != Sniffed::Spoken(Protocol::Mqtt);
                if http && let Ok(_farewell) = self.shared.farewells.try_acquire() {
                    part(socket, NOT_TLS).await;
                }
                Err(Refused::NotTls)
            }
        }
    }

    async fn handshake(
        &self,
        socket: TcpStream,
        config: Arc<ServerConfig>,
    ) -> Result<Option<(TlsStream<TcpStream>, TlsFacts)>, Refused> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), Tap::new(socket));
        let start = hello.await.map_err(|error| broken(&error))?;
        let StartHandshake {
            accepted, io: tap, ..
        } = start;
        let offered: Option<Vec<_>> = accepted.client_hello().alpn().map(Iterator::collect);
        // RFC 8737, section 3: such a client offers this and nothing else.
        let acme = offered.as_deref() == Some(&[ACME]);
        let server_name = accepted.client_hello().server_name().map(str::to_owned);
        let (socket, hello) = tap.end();
        let extended = offers_extended_master_secret(&hello);
        drop(hello);
        let config = if acme {
            self.shared.configurations.acme()
        } else {
            config
        };
        let rest: Accept<TcpStream> = StartHandshake::from_parts(accepted, socket)
            .into_stream_with(config, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
        let mut stream = self
            .shared
            .turns
            .take(rest)
            .await
            .map_err(|error| broken(&error))?;
        if acme {
            // The handshake was the answer (RFC 8737, section 3).
            part(&mut stream, b"").await;
            return Ok(None);
        }
        let facts = tls_facts(stream.get_ref().1, server_name, extended);
        Ok(Some((stream, facts)))
    }

    /// What is spoken, by ALPN or the first bytes.
    async fn recognise(
        &self,
        opened: Opened,
        patience: Patience,
    ) -> Result<(Protocol, Connection), Refused> {
        let Opened {
            mut connection,
            protocol,
        } = opened;
        if let Some(protocol) = protocol {
            return Ok((protocol, connection));
        }
        let first = first_bytes(&mut connection);
        let limit = self.shared.limits.first_byte;
        let sniffed = patience.in_time(limit, Phase::FirstBytes, first).await?;
        match sniffed {
            Sniffed::Spoken(protocol) if self.carries.allows(protocol) => {
                Ok((protocol, connection))
            }
            Sniffed::Spoken(_) | Sniffed::Unknown => {
                // With TLS this says goodbye (RFC 8446, section 6.1).
                part(&mut connection, b"").await;
                Err(Refused::UnknownProtocol)
            }
            Sniffed::Undecided => Err(Refused::WentAway(Phase::FirstBytes)),
        }
    }
}

/// Reads until it is clear what is spoken, and puts back what was read. Undecided when the peer
/// went away before.
async fn first_bytes(connection: &mut Connection) -> Sniffed {
    let mut first = [0; ENOUGH];
    let mut length = 0;
    let mut sniffed = Sniffed::Undecided;
    while sniffed == Sniffed::Undecided && length < ENOUGH {
        match connection.read(&mut first[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(read) => length += read,
        }
        sniffed = sniff(&first[..length]);
    }
    connection.put_back(Bytes::copy_from_slice(&first[..length]));
    sniffed
}

/// Says goodbye to a client of `protocol` that cannot be let in.
async fn refuse(protocol: Protocol, mut connection: Connection, why: Refused) {
    let mut first = [0; CONNECT_ENOUGH];
    if protocol == Protocol::Mqtt {
        let read = connection.read_exact(&mut first);
        // A client that sends less is answered as one of the oldest version.
        let _ = timeout(FAREWELL, read).await;
    }
    let peer = connection.facts().peer;
    part(&mut connection, &farewell(protocol, &first, why, peer)).await;
}

/// Sends `last`, closes our side, and waits a moment for the peer to close its own. Were the
/// socket closed while the peer still sends, its system would throw away what we said.
async fn part(stream: &mut (impl tokio::io::AsyncRead + AsyncWrite + Unpin), last: &[u8]) {
    let parting = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut heard = [0; 1024];
        let mut in_all = 0;
        while in_all < FAREWELL_READ {
            match stream.read(&mut heard).await? {
                0 => break,
                length => in_all += length,
            }
        }
        io::Result::Ok(())
    };
    // Whether it hears us is the peer's affair: it is refused all the same.
    let _ = timeout(FAREWELL, parting).await;
}

fn tls_facts(tls: &ServerConnection, server_name: Option<String>, extended: bool) -> TlsFacts {
    let old = tls.protocol_version() == Some(ProtocolVersion::TLSv1_2);
    let cipher = tls
        .negotiated_cipher_suite()
        .and_then(|one| one.suite().as_str());
    let chain = tls.peer_certificates().unwrap_or_default();
    // RFC 9266, section 4.2: without an extended master secret the exporter does not tell two
    // connections apart.
    let binding = (!old || extended)
        .then(|| {
            tls.export_keying_material([0; 32], CHANNEL_BINDING, Some(b""))
                .ok()
        })
        .flatten();
    TlsFacts {
        version: if old { "TLSv1.2" } else { "TLSv1.3" },
        // IANA's names do not tell the version apart.
        cipher: cipher.unwrap_or_default().replacen("TLS13_", "TLS_", 1),
        alpn: tls
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        server_name,
        client_chain: chain.to_vec().into(),
        channel_binding: binding,
        resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

fn broken(error: &io::Error) -> Refused {
    tracing::debug!(%error, "a handshake failed");
    if error.kind() == io::ErrorKind::InvalidData {
        Refused::BadHandshake
    } else {
        Refused::WentAway(Phase::Handshake)
    }
}

/// Until when all phases have to be through.
#[derive(Clone, Copy)]
struct Patience {
    until: Instant,
}

impl Patience {
    fn beginning(within: Duration) -> Self {
        Self {
            until: Instant::now() + within,
        }
    }

    /// Waits for `act` as long as its phase may take, and all of them.
    async fn in_time<F: Future>(
        self,
        limit: Duration,
        phase: Phase,
        act: F,
    ) -> Result<F::Output, Refused> {
        let left = self.until.saturating_duration_since(Instant::now());
        in_time(limit.min(left), phase, act).await
    }
}

async fn in_time<F: Future>(limit: Duration, phase: Phase, act: F) -> Result<F::Output, Refused> {
    timeout(limit, act)
        .await
        .map_err(|_| Refused::TooSlow(phase))
}
