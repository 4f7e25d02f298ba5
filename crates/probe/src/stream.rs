//! Opening connections.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};

use crate::{
    evidence::{Outcome, PhaseName, Trouble},
    run::{Run, Stop},
    tls,
};

/// Anything bytes flow through both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, whatever it goes through on its way.
pub(crate) type BoxedStream = Box<dyn Stream>;

/// Opens a TCP connection to the attempt's address.
pub(crate) async fn connect(run: &mut Run<'_>) -> Result<BoxedStream, Stop> {
    let way = Way::of(run)?;
    let dialling = dial(way.address, PhaseName::Connect);
    let stream = run.phase(PhaseName::Connect, dialling).await?;
    Ok(Box::new(stream))
}

/// What connections of an attempt go through.
pub(crate) struct Way {
    address: SocketAddr,
}

impl Way {
    pub(crate) fn of(run: &Run<'_>) -> Result<Self, Stop> {
        Ok(Self {
            address: socket_address(run)?,
        })
    }

    /// Opens a connection to where [`connect`] went, as a part of another phase.
    pub(crate) async fn open(self, phase: PhaseName) -> Result<BoxedStream, Stop> {
        Ok(Box::new(dial(self.address, phase).await?))
    }
}

/// Opens a TCP connection.
async fn dial(address: SocketAddr, phase: PhaseName) -> Result<TcpStream, Stop> {
    let start = Instant::now();
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| Stop::io(&error, phase, start))?;
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
    let stream = connect(run).await?;
    let secured = tls::secure(run, stream, &[b"http/1.1"]).await?;
    match secured.doubt {
        Some(doubt) if doubt.outcome == Outcome::Fail && !is_about_dates(&doubt.trouble) => {
            Err(doubt)
        }
        doubt => Ok(Opened {
            stream: Box::new(secured.stream),
            doubt,
        }),
    }
}

fn is_about_dates(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::CertificateExpired { .. } | Trouble::CertificateNotYetValid { .. }
    )
}
