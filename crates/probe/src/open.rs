//! A connection for the product itself, the way that a check goes: proxies and their script, names,
//! trust. Of several addresses the first that answers wins (RFC 8305).

use std::{net::IpAddr, time::SystemTime};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use outgate_wire::happy_eyeballs::Race;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

use crate::{
    ask::Ask,
    evidence::{Attempt, Family, Outcome, Trouble},
    families::{self, Target},
    path::{Path, Proxy},
    run::{Run, Stop},
    stream::{self, BoxedStream, Through},
    tls,
};

/// Opens a connection to an ask's host and port, with TLS for HTTP/1.1 where it is `secure`. It ends
/// within the path's time-out for each proxy that is tried, beside what finding names takes.
///
/// # Errors
/// What keeps the product from its server. A certificate that a check fails is one of it.
pub async fn open(
    ask: &Ask,
    path: &Path,
    secure: bool,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Trouble> {
    let when = if secure { When::Now } else { When::Never };
    let (stream, _) = open_when(ask, path, when).await?;
    Ok(stream)
}

/// Opens a connection with TLS for HTTP/1.1, as [`open`] does, on a machine that does not know what
/// time it is: the certificate must be right in everything else, and valid at one time at least that
/// is not before `from`. It is for nothing but finding out that time, at which [`Shown::is_valid_at`]
/// then judges the certificate.
///
/// # Errors
/// What keeps the product from its server at whatever time from `from` on.
pub async fn open_untimed(
    ask: &Ask,
    path: &Path,
    from: SystemTime,
) -> Result<(impl AsyncRead + AsyncWrite + Send + Unpin + use<>, Shown), Trouble> {
    let (stream, shown) = open_when(ask, path, When::From(from)).await?;
    let no_certificate = || Trouble::Local {
        what: "a connection without a certificate".to_owned(),
    };
    let shown = shown.ok_or_else(no_certificate)?;
    let path = path.clone();
    Ok((stream, Shown { shown, path }))
}

/// The certificate of a server to which a connection is open.
#[derive(Debug)]
pub struct Shown {
    shown: tls::Shown,
    path: Path,
}

impl Shown {
    /// Judges it at this time, by the ordinary rules.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn is_valid_at(&self, at: SystemTime) -> Result<(), Trouble> {
        match self.shown.failure_at(&self.path, at) {
            Some(trouble) => Err(trouble),
            None => Ok(()),
        }
    }
}

/// When a certificate must be valid.
#[derive(Clone, Copy)]
enum When {
    /// There is none.
    Never,
    /// Now, by the path's clock.
    Now,
    /// At some time from then on.
    From(SystemTime),
}

async fn open_when(
    ask: &Ask,
    path: &Path,
    when: When,
) -> Result<(BoxedStream, Option<tls::Shown>), Trouble> {
    let mut why = Trouble::NoAddress;
    for hop in path.hops(ask).await? {
        match open_through(ask, path, hop.as_ref(), when).await {
            Ok(opened) => return Ok(opened),
            Err(stop) if families::leads_nowhere(&stop.trouble) => why = stop.trouble,
            Err(stop) => return Err(stop.trouble),
        }
    }
    Err(why)
}

async fn open_through(
    ask: &Ask,
    path: &Path,
    hop: Option<&Proxy>,
    when: When,
) -> Result<(BoxedStream, Option<tls::Shown>), Stop> {
    let located = families::locate(ask, path, hop).await?;
    let of = |family| located.reachable(family, path);
    let targets = [of(Family::V4), of(Family::V6)];
    if targets.iter().all(Vec::is_empty) {
        return Err(located.why_unreachable().into());
    }
    let (mut run, stream) = first(ask, path, targets).await?;
    if let When::Never = when {
        return Ok((stream, None));
    }
    let secured = tls::secure(&mut run, stream, &[b"http/1.1"]).await?;
    let failure = match when {
        When::Never => None,
        When::Now => secured.doubt.filter(|it| it.outcome == Outcome::Fail),
        When::From(from) => secured.shown.failure_from(path, from).map(Stop::from),
    };
    match failure {
        Some(failure) => Err(failure),
        None => Ok((Box::new(secured.stream), Some(secured.shown))),
    }
}

/// The first address to which a connection comes about.
async fn first<'a>(
    ask: &'a Ask,
    path: &'a Path,
    [v4, v6]: [Vec<Target>; 2],
) -> Result<(Run<'a>, BoxedStream), Stop> {
    let start = Instant::now();
    let mut race = Race::new();
    race.handle_v4(v4.iter().map(far_end), start.elapsed());
    race.handle_v6(v6.iter().map(far_end), start.elapsed());
    let targets = [v4, v6].concat();
    let mut tries = FuturesUnordered::new();
    let mut why = Stop::from(Trouble::NoAddress);
    loop {
        while let Some(address) = race.poll_try(start.elapsed()) {
            let target = targets.iter().find(|target| far_end(target) == address);
            tries.extend(target.map(|target| connect(ask, path, target)));
        }
        if race.is_over() {
            return Err(why);
        }
        let next = race.poll_timeout();
        let next = async {
            match next {
                Some(next) => sleep_until(start + next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            Some((address, tried)) = tries.next() => match tried {
                Ok(connected) => return Ok(connected),
                Err(stop) => {
                    race.handle_failed(address, start.elapsed());
                    why = stop;
                }
            },
        }
    }
}

async fn connect<'a>(
    ask: &'a Ask,
    path: &'a Path,
    target: &Target,
) -> (IpAddr, Result<(Run<'a>, BoxedStream), Stop>) {
    let attempt = Attempt::new(target.address, target.port);
    let mut run = Run::new(ask, path, attempt, target.through.clone());
    let connected = stream::connect(&mut run).await;
    (far_end(target), connected.map(|stream| (run, stream)))
}

/// What a race knows a target by: behind a proxy that is told addresses, the one that it is told.
fn far_end(target: &Target) -> IpAddr {
    let behind = target.through.as_ref().and_then(Through::address);
    behind.unwrap_or(target.address)
}
