//! From a revocation's answer to the closed connection, among ten thousand live ones.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::raw::{Link, Login};
use crate::report::percentile;
use crate::servers::{Programs, Stage};

/// Live connections.
const LIVE: usize = 10_000;

/// Devices that are revoked, one after the other.
const REVOKED: usize = 500;

/// Connections and devices that are made at a time.
const AT_A_TIME: usize = 64;

/// Measures and prints.
pub(crate) async fn run(programs: &Programs, share: usize) -> anyhow::Result<()> {
    let stage = Stage::new()?;
    let server = stage.hub(programs).await?;
    let administration = server.administration.as_ref().context("not a hub")?;
    let (live, revoked) = (LIVE / share, REVOKED / share);
    let _others: Vec<Link> = stream::iter(0..live - revoked)
        .map(|number| {
            let (target, login) = (&server.target, &server.login);
            async move { Link::open(target, &format!("bench/{number}"), login).await }
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let doomed: Vec<(String, Link)> = stream::iter(0..revoked)
        .map(|number| {
            let target = &server.target;
            async move {
                let user = format!("doomed-{number}");
                let password = administration.make_device(&user).await?;
                let login = Login {
                    user: user.clone(),
                    password,
                };
                let link = Link::open(target, &user, &login).await?;
                anyhow::Ok((user, link))
            }
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let (mut after_answer, mut after_call) = (Vec::new(), Vec::new());
    for (user, mut link) in doomed {
        let closing = tokio::spawn(async move {
            link.read.closed().await;
            Instant::now()
        });
        let called = Instant::now();
        let answered = administration.revoke(&user).await?;
        let closed = closing.await?;
        after_answer.push(closed.saturating_duration_since(answered));
        after_call.push(closed.saturating_duration_since(called));
    }
    print(live, revoked, &mut after_answer, &mut after_call)
}

fn print(
    live: usize,
    revoked: usize,
    after_answer: &mut [Duration],
    after_call: &mut [Duration],
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut line = |what: &str, times: &mut [Duration]| {
        use std::io::Write as _;
        let (half, most) = (percentile(times, 50), percentile(times, 99));
        writeln!(
            out,
            "{what}: p50 {:.2} ms, p99 {:.2} ms",
            half.as_secs_f64() * 1e3,
            most.as_secs_f64() * 1e3
        )
    };
    line(
        &format!("{live} live, {revoked} revoked; from the answer to the closed connection"),
        after_answer,
    )?;
    line("from the call to the closed connection", after_call)?;
    Ok(())
}
