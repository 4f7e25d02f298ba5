//! A TLS handshake, the whole chain recorded.

use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    ask::Ask,
    evidence::{Finding, Outcome},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{conclude, connect},
    tls,
};

/// A TLS connection that carries nothing.
pub(crate) struct Tls;

impl Probe for Tls {
    fn protocols(&self) -> &'static [&'static str] {
        &["tls"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        sent().into()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

/// What a handshake sends.
pub(super) fn sent() -> [Sent; 3] {
    [
        Sent::new("a TLS handshake, TLS 1.2 or 1.3", 4096, 1),
        Sent::new("the same in short packets, if it stalls", 4096, 1),
        Sent::new(
            "the beginning of an older TLS handshake, if that fails",
            600,
            3,
        ),
    ]
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let stream = connect(run).await?;
    let mut secured = tls::secure(run, stream, &[]).await?;
    let accepted = match &secured.doubt {
        Some(doubt) if doubt.outcome == Outcome::Fail => Ok(()),
        Some(_) | None => tls::await_refusal(run, &mut secured.stream).await,
    };
    tls::close(run, secured.stream).await;
    conclude(secured.doubt, accepted)
}
