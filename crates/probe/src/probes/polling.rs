//! Long polling (RFC 6202 §2): a question whose answer may take its time.
//!
//! Of a server that holds a question nobody can say whether it heard it. So it is asked something
//! else first on the same connection.

use std::time::Duration;

use futures_util::future::{BoxFuture, Either, FutureExt, select};
use http::{Method, StatusCode};
use tokio::time::{Instant, sleep_until};

use super::tls;
use crate::{
    ask::Ask,
    evidence::{Finding, PhaseName, PollEvidence, Trouble},
    families::exercise,
    http::{Client, ask_witness, evidence, judge_status, read_whole, request},
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{conclude, open_tls},
};

/// Longest time that a question is held.
const HOLD_MAX: Duration = Duration::from_secs(3600);
/// Most bytes of an answer that are read.
const BODY_MAX: usize = 65_536;
/// An answer that came sooner was not waited for by anybody on the way.
const SOON: Duration = Duration::from_secs(1);

/// Long polling over TLS.
pub(crate) struct LongPolling;

impl Probe for LongPolling {
    fn protocols(&self) -> &'static [&'static str] {
        &["long-polling"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let size = 250 + ask.host.word().len();
        let what = format!("an HTTP request that may be held, GET {}", ask.http.path);
        tls::sent()
            .into_iter()
            .chain([
                Sent::new("an HTTP request, HEAD /", size, 1),
                Sent::new(&what, size + ask.http.path.len(), 1),
            ])
            .collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let opened = open_tls(run).await?;
    let mut client = Client::over(opened.stream).await?;
    ask_witness(run, &mut client).await?;
    let polled = poll(run, &mut client).await;
    conclude(opened.doubt, polled)
}

/// Asks, and waits for the answer for as long as the ask says. That none came by then is what long
/// polling is.
async fn poll(run: &mut Run<'_>, client: &mut Client) -> Result<(), Stop> {
    let path = run.ask.http.path.as_str();
    let question = request(run, Method::GET, path, 443, ("*/*", ""))?;
    let hold = run.ask.hold.min(HOLD_MAX);
    run.extend(hold);
    let start = Instant::now();
    let waiting = async {
        let answer = client.send(question).boxed();
        match select(answer, Box::pin(sleep_until(start + hold))).await {
            Either::Left((answer, _)) => answer.map(Some),
            Either::Right(_) => Ok(None),
        }
    };
    let answered = run.phase(PhaseName::Hold, waiting).await;
    let waited = start.elapsed();
    let status = match &answered {
        Ok(Some(response)) => Some(response.status()),
        Ok(None) | Err(_) => None,
    };
    run.attempt.poll = Some(PollEvidence {
        waited,
        status: status.map(|status| status.as_u16()),
    });
    let cut = |status: Option<StatusCode>| Trouble::PollCut {
        after_micros: u64::try_from(waited.as_micros()).unwrap_or(u64::MAX),
        status: status.map(|status| status.as_u16()),
    };
    let answered = answered.map_err(|stop| {
        if stop.is_hang_up() && waited >= SOON {
            cut(None).into()
        } else {
            stop
        }
    });
    let Some(response) = answered? else {
        return Ok(());
    };
    let (head, body) = response.into_parts();
    run.attempt.http = Some(evidence(head.status, &head.headers, run.path.now()));
    if waited >= SOON && is_out_of_patience(head.status) {
        return Err(cut(Some(head.status)).into());
    }
    judge_status(run.ask, head.status.as_u16())?;
    run.phase(PhaseName::Body, read_whole(body, BODY_MAX))
        .await
        .map(|_| ())
}

/// The statuses with which a proxy says that it will wait no longer (RFC 9110 §15.5.9, §15.6).
fn is_out_of_patience(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
