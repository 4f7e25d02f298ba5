//! Whether long packets are lost on the way: a handshake that stalls is made once more with short
//! segments of TCP. Where that one comes to its end, it was the length (RFC 2923 §2.1).

use std::{future::Future, io, pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::{Connect, TlsConnector, client::TlsStream};

use super::witness::Witness;
use crate::{
    evidence::{PhaseName, ShortSegments, Trouble},
    run::{Run, Stop},
    stream::{BoxedStream, Way},
};

/// The most that a segment of the second try carries, in bytes: what every host takes (RFC 9293
/// §3.7.1). Packets are then 576 bytes long at the most, and a few more over IPv6.
const SEGMENT: u16 = 536;

/// Waits for a handshake. From half of the attempt's time on another one is made beside it, with
/// short segments. Through a proxy there is none: the segments that count are the proxy's own.
pub(super) async fn handshake(
    run: &mut Run<'_>,
    first: Connect<BoxedStream>,
    name: &ServerName<'static>,
    alpn: &[&[u8]],
) -> Result<io::Result<TlsStream<BoxedStream>>, Stop> {
    if run.through.is_some() {
        return run.phase(PhaseName::Tls, async { Ok(first.await) }).await;
    }
    let now = Instant::now();
    let half = now + run.deadline().saturating_duration_since(now) / 2;
    let second = certificates_come(run, name, alpn)?;
    let mut came = None;
    let both = beside(first, second, half, &mut came);
    let handshake = run.phase(PhaseName::Tls, async { Ok(both.await) }).await;
    run.attempt.short_segments = came.map(|answered| ShortSegments {
        bytes_at_most: SEGMENT,
        answered,
    });
    let stalled = Trouble::TimedOut {
        phase: PhaseName::Tls,
    };
    match handshake {
        Err(stop) if stop.trouble == stalled && came == Some(true) => {
            Err(Trouble::LongPacketsLost { segment: SEGMENT }.into())
        }
        other => other,
    }
}

/// Connects with short segments, and sees whether the server's certificates come.
fn certificates_come<'a>(
    run: &Run<'a>,
    name: &ServerName<'static>,
    alpn: &[&[u8]],
) -> Result<impl Future<Output = bool> + Send + use<'a>, Stop> {
    let way = Way::of(run)?.in_segments(SEGMENT);
    let (ask, to_tls, address) = (run.ask, run.to_tls, run.far_address());
    let witness = Arc::new(Witness::new(run.path.tls().provider.clone(), None));
    let connector = TlsConnector::from(Arc::new(run.path.tls().config(&witness, alpn)?));
    let name = name.clone();
    Ok(async move {
        let Ok(mut stream) = way.open(PhaseName::Tls).await else {
            return false;
        };
        if let Some(to_tls) = to_tls
            && to_tls(&mut stream, ask, address).await.is_err()
        {
            return false;
        }
        connector.connect(name, stream).await.is_ok() || !witness.chain().is_empty()
    })
}

/// The first, and from `half` on the second beside it, whose result is noted.
async fn beside<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output = bool>,
    half: Instant,
    came: &mut Option<bool>,
) -> T {
    let (mut first, second) = (pin!(first), pin!(second));
    if let Either::Left((done, _)) = select(first.as_mut(), pin!(sleep_until(half))).await {
        return done;
    }
    *came = Some(false);
    match select(first.as_mut(), second).await {
        Either::Left((done, _)) => done,
        Either::Right((answered, _)) => {
            *came = Some(answered);
            first.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    /// What comes of two tries that take so many seconds each; half of the time is two.
    async fn tried(first: u64, second: u64) -> Option<bool> {
        let mut came = None;
        let second = async {
            sleep(Duration::from_secs(second)).await;
            true
        };
        let half = Instant::now() + Duration::from_secs(2);
        beside(sleep(Duration::from_secs(first)), second, half, &mut came).await;
        came
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_handshake_that_takes_half_of_the_time_is_tried_again() {
        assert_eq!(tried(1, 0).await, None);
        assert_eq!(tried(4, 1).await, Some(true));
        assert_eq!(tried(3, 5).await, Some(false));
    }
}
