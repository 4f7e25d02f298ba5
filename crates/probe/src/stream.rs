//! Opening connections.

pub(crate) mod fetch;
mod through;

use std::net::SocketAddr;

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    time::Instant,
};

use crate::{
    ask::Host,
    evidence::{Outcome, PhaseName, Trouble},
    path::{Path, ProxyKind},
    run::{Run, Stop},
    tls,
};
pub(crate) use through::{Through, schemes};

/// Anything bytes flow through both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, whatever it goes through on its way.
pub(crate) type BoxedStream = Box<dyn Stream>;

/// Opens a TCP connection to the lane's far end, directly or through the attempt's proxy.
pub(crate) async fn connect(run: &mut Run<'_>) -> Result<BoxedStream, Stop> {
    let way = Way::of(run)?;
    let stream = reach(run, &way).await?;
    match &way.through {
        None => Ok(stream),
        Some(through) => lead_on(run, through, stream).await,
    }
}

/// Opens a connection for a plain HTTP request. With `Through` it ends at a proxy that is to be
/// handed the request as it is, URL and all.
pub(crate) async fn connect_for_http(
    run: &mut Run<'_>,
) -> Result<(BoxedStream, Option<Through>), Stop> {
    let way = Way::of(run)?;
    let stream = reach(run, &way).await?;
    match way.through {
        None => Ok((stream, None)),
        Some(through) if through.forwards_http() => Ok((stream, Some(through))),
        Some(through) => Ok((lead_on(run, &through, stream).await?, None)),
    }
}

/// Opens the first leg: to the far end, or to the proxy.
async fn reach(run: &mut Run<'_>, way: &Way<'_>) -> Result<BoxedStream, Stop> {
    if let Some(through) = &way.through {
        let was_name = matches!(run.ask.host, Host::Name(_));
        run.attempt.proxy = Some(through.evidence(was_name));
    }
    let dialling = dial(way.path, way.address, None, PhaseName::Connect);
    let stream = run.phase(PhaseName::Connect, dialling).await;
    let stream = stream.map_err(|stop| way.blame(stop))?;
    if way.through.is_none() {
        run.local = stream.local_addr().ok();
    }
    if !way.has_tls() {
        return Ok(Box::new(stream));
    }
    let securing = way.secure(Box::new(stream), PhaseName::ProxyTls);
    run.phase(PhaseName::ProxyTls, securing)
        .await
        .map_err(|stop| way.blame(stop))
}

/// Has the proxy lead on, and notes what it says.
async fn lead_on(
    run: &mut Run<'_>,
    through: &Through,
    stream: BoxedStream,
) -> Result<BoxedStream, Stop> {
    let asking = async { Ok(through.ask(stream).await) };
    let asked = run.phase(PhaseName::Proxy, asking).await?;
    if let Some(evidence) = &mut run.attempt.proxy {
        evidence.status = asked.status;
        evidence.schemes = asked.schemes;
    }
    asked.result
}

/// What the connections of an attempt go through.
pub(crate) struct Way<'a> {
    path: &'a Path,
    /// The far end's, or the proxy's.
    address: SocketAddr,
    through: Option<Through>,
    /// The most that a segment of TCP may carry; `None`: what the system says.
    segment: Option<u16>,
}

impl<'a> Way<'a> {
    pub(crate) fn of(run: &Run<'a>) -> Result<Self, Stop> {
        Ok(Self {
            path: run.path,
            address: socket_address(run)?,
            through: run.through.clone(),
            segment: None,
        })
    }

    /// The same with segments of TCP that carry so many bytes at the most, in both directions.
    pub(crate) fn in_segments(self, bytes: u16) -> Self {
        Self {
            segment: Some(bytes),
            ..self
        }
    }

    /// Opens a connection to where [`connect`] went, as a part of another phase.
    pub(crate) async fn open(self, phase: PhaseName) -> Result<BoxedStream, Stop> {
        let stream: BoxedStream =
            Box::new(dial(self.path, self.address, self.segment, phase).await?);
        let stream = if self.has_tls() {
            self.secure(stream, phase).await?
        } else {
            stream
        };
        match &self.through {
            None => Ok(stream),
            Some(through) => through.ask(stream).await.result,
        }
    }

    fn has_tls(&self) -> bool {
        let kind = self.through.as_ref().map(|through| through.proxy.kind());
        kind == Some(ProxyKind::Https)
    }

    async fn secure(&self, stream: BoxedStream, phase: PhaseName) -> Result<BoxedStream, Stop> {
        match &self.through {
            None => Ok(stream),
            Some(through) => {
                let host = through.proxy.host();
                tls::secure_to_proxy(self.path, stream, host, self.address.ip(), phase).await
            }
        }
    }

    /// What goes wrong before the proxy is reached is the proxy's.
    fn blame(&self, stop: Stop) -> Stop {
        match &self.through {
            Some(through) if !matches!(stop.trouble, Trouble::Local { .. }) => {
                Trouble::ProxyUnreachable {
                    proxy: through.proxy.to_string(),
                    why: Box::new(stop.trouble),
                }
                .into()
            }
            Some(_) | None => stop,
        }
    }
}

/// Opens a TCP connection.
async fn dial(
    path: &Path,
    address: SocketAddr,
    segment: Option<u16>,
    phase: PhaseName,
) -> Result<TcpStream, Stop> {
    let start = Instant::now();
    let stop = |error| Stop::io(&error, phase, start);
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(stop)?;
    path.source().bind(SockRef::from(&socket)).map_err(stop)?;
    if let Some(bytes) = segment {
        // Told to the other side too, in the first packet (RFC 9293 §3.7.1).
        let options = SockRef::from(&socket);
        options.set_tcp_mss(bytes.into()).map_err(stop)?;
    }
    let stream = socket.connect(address).await.map_err(stop)?;
    // What a probe sends is small and should leave at once; without it, it only comes later.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The attempt's address and port.
pub(crate) fn socket_address(run: &Run<'_>) -> Result<SocketAddr, Stop> {
    let no_port = || Trouble::BadAsk {
        what: format!("{} without a port", run.ask.protocol),
    };
    let port = run.attempt.port.ok_or_else(no_port)?;
    Ok(SocketAddr::new(run.attempt.address, port))
}

/// An open connection, and what is wrong with it although it is open.
pub(crate) struct Opened {
    pub(crate) stream: BoxedStream,
    /// What is wrong with the certificate: its dates, or nothing that fails.
    pub(crate) doubt: Option<Stop>,
}

/// What a connection comes to with a doubt about its certificate: the worse of the two.
pub(crate) fn conclude(doubt: Option<Stop>, result: Result<(), Stop>) -> Result<(), Stop> {
    match (doubt, result) {
        (None, result) => result,
        (Some(doubt), Ok(())) => Err(doubt),
        (Some(doubt), Err(stop)) => Err(doubt.worse(stop)),
    }
}

/// Opens a plain connection.
pub(crate) async fn open_plain(run: &mut Run<'_>) -> Result<Opened, Stop> {
    Ok(Opened {
        stream: connect(run).await?,
        doubt: None,
    })
}

/// Opens a connection with TLS, for HTTP/1.1. A certificate that is wrong only in its dates does
/// not stop it, because the server's own `Date` header then tells whose clock is wrong; nor does
/// one that is only to be warned of.
pub(crate) async fn open_tls(run: &mut Run<'_>) -> Result<Opened, Stop> {
    open_tls_for(run, &[b"http/1.1"]).await
}

/// Opens a connection with TLS as [`open_tls`] does, offering these protocols (RFC 7301); none: the
/// handshake does not speak of any.
pub(crate) async fn open_tls_for(run: &mut Run<'_>, alpn: &[&[u8]]) -> Result<Opened, Stop> {
    let stream = connect(run).await?;
    let secured = tls::secure(run, stream, alpn).await?;
    match secured.doubt {
        Some(doubt) if doubt.outcome == Outcome::Fail && !tls::is_about_dates(&doubt.trouble) => {
            Err(doubt)
        }
        doubt => Ok(Opened {
            stream: Box::new(secured.stream),
            doubt,
        }),
    }
}
