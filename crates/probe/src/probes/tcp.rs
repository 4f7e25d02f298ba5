//! Opening a TCP connection and closing it again.

use futures_util::future::{BoxFuture, FutureExt};
use tokio::io::AsyncWriteExt;

use crate::{
    ask::Ask,
    evidence::{Finding, PhaseName},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::connect,
};

/// A TCP connection that carries nothing.
pub(crate) struct Tcp;

impl Probe for Tcp {
    fn protocols(&self) -> &'static [&'static str] {
        &["tcp"]
    }

    fn sends(&self, _: &Ask) -> Vec<Sent> {
        vec![Sent::new("a TCP connection that carries no data", 0, 1)]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let mut stream = connect(run).await?;
    let goodbye = async {
        let _ = stream.shutdown().await;
        Ok(())
    };
    run.phase(PhaseName::Close, goodbye).await
}
