//! `outgate check --watch`: again and again, with figures for Prometheus.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use outgate_check::{CauseRules, Report, Verdict, metrics};
use outgate_probe::Path;
use outgate_wire::exposition;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

use super::form::{FormArgs, Veil, written};
use crate::output::{Failure, print_more, say};

/// Whether and how often the check is repeated.
#[derive(Args, Clone)]
#[command(next_help_heading = "Again and again")]
pub(crate) struct WatchArgs {
    /// Check until interrupted: print what changes, and give Prometheus the last result
    #[arg(long, conflicts_with_all = ["plan", "junit", "html", "output"])]
    pub(super) watch: bool,
    /// How long from the start of one check to the next, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", requires = "watch",
          value_parser = clap::value_parser!(u64).range(5..=86_400))]
    every: u64,
    /// Where /metrics is served
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:9464",
        requires = "watch"
    )]
    metrics: SocketAddr,
}

/// The last figures; empty until the first check is done.
type Last = Arc<RwLock<String>>;

/// Repeats a check until the process is told to stop. The exit code is that of the last check.
pub(super) async fn watch<F: Future<Output = Result<(Report, Path), Failure>>>(
    args: &WatchArgs,
    form: &FormArgs,
    mut check: impl FnMut() -> F,
) -> Result<ExitCode, Failure> {
    let last = Last::default();
    let listener = TcpListener::bind(args.metrics)
        .await
        .with_context(|| format!("failed to listen on {} (--metrics)", args.metrics))
        .map_err(Failure::Input)?;
    let address = listener
        .local_addr()
        .context("failed to read our own address");
    say(&format!(
        "metrics at http://{}/metrics",
        address.map_err(Failure::Internal)?
    ));
    let router = Router::new()
        .route("/metrics", get(serve))
        .with_state(Arc::clone(&last));
    let server = axum::serve(listener, router).into_future();
    let rounds = async {
        let mut ticks = interval(Duration::from_secs(args.every));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        let mut verdict = Verdict::Incomplete;
        let mut stop = std::pin::pin!(interrupted());
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                done = &mut stop => return done.map(|()| verdict),
            }
            let (report, path) = tokio::select! {
                report = check() => report?,
                done = &mut stop => return done.map(|()| verdict),
            };
            verdict = report.verdict;
            let figures = metrics(&report).context("failed to write figures");
            let mut veil = form.veil_of(&report, &path);
            let figures = veil.text(&figures.map_err(Failure::Internal)?);
            *last
                .write()
                .unwrap_or_else(|poisoned| poisoned.into_inner()) = figures;
            if tell(&report, form, &mut veil, &mut told)?.is_break() {
                return Ok(verdict);
            }
        }
    };
    let verdict = tokio::select! {
        verdict = rounds => verdict?,
        served = server => {
            served.context("failed to serve /metrics").map_err(Failure::Internal)?;
            Verdict::Incomplete
        }
    };
    Ok(ExitCode::from(verdict.exit_code()))
}

/// A line for each check in JSON; for people one when something has changed.
fn tell(
    report: &Report,
    form: &FormArgs,
    veil: &mut Veil,
    told: &mut Option<String>,
) -> Result<std::ops::ControlFlow<()>, Failure> {
    if form.json {
        return print_more(&written(report, veil, false)?);
    }
    let what = veil.text(&state(report));
    if told.as_ref() == Some(&what) {
        return Ok(std::ops::ControlFlow::Continue(()));
    }
    let when = report
        .started
        .replace_nanosecond(0)
        .unwrap_or(report.started);
    let line = format!("{when} {what}\n");
    *told = Some(what);
    print_more(&line)
}

/// The verdict and its causes.
fn state(report: &Report) -> String {
    let counts = &report.counts;
    let verdict = match report.verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Incomplete => "incomplete",
        Verdict::Fail => "FAIL",
    };
    let causes = report.causes.iter().map(|cause| {
        let owner = report.heading.language.owner(cause.owner);
        let rules = cause.rules.iter().flat_map(CauseRules::lines);
        let rules: String = rules.map(|line| format!("\n    {line}")).collect();
        format!("\n  {} ({owner}): {}{rules}", cause.what, cause.act)
    });
    format!(
        "{verdict}: {} pass, {} warn, {} fail, {} not run{}",
        counts.pass,
        counts.warn,
        counts.fail,
        counts.not_run,
        causes.collect::<String>()
    )
}

/// The last result. Before the first check is done there is nothing to say, and nothing is said.
async fn serve(State(last): State<Last>, headers: HeaderMap) -> Response {
    let text = last
        .read()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .clone();
    if text.is_empty() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the first check is under way\n",
        )
            .into_response();
    }
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let (kind, text) = exposition::answer(accept.unwrap_or_default(), text);
    ([(CONTENT_TYPE, kind)], text).into_response()
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = async {
        let mut end = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done,
            _ = end.recv() => Ok(()),
        }
    };
    wait.await
        .context("failed to wait for signals")
        .map_err(Failure::Internal)
}
