//! One GET over HTTP/1.1, with or without TLS. Redirections are recorded and not followed.

use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, Request, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::time::Instant;

use super::tls;
use crate::{
    ask::Ask,
    evidence::{Finding, PhaseName, Trouble},
    families::exercise,
    http::{
        Client, USER_AGENT, authority, evidence, is_login_page, judge_origin, judge_status,
        leads_elsewhere, mismatch, says_what_is_right, stop_of,
    },
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{BoxedStream, Through, conclude, connect_for_http, open_tls, schemes},
    tls::before_answer,
};

/// Most bytes of a body that are read.
const BODY_MAX: u64 = 65_536;

/// HTTP without TLS.
pub(crate) struct Http;

impl Probe for Http {
    fn protocols(&self) -> &'static [&'static str] {
        &["http"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        vec![sent(ask)]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_plain(run).boxed()).boxed()
    }
}

/// HTTP over TLS.
pub(crate) struct Https;

impl Probe for Https {
    fn protocols(&self) -> &'static [&'static str] {
        &["https"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        tls::sent().into_iter().chain([sent(ask)]).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_tls(run).boxed()).boxed()
    }
}

fn sent(ask: &Ask) -> Sent {
    let host = ask.host.word().len();
    Sent::new(
        &format!("an HTTP request, GET {}", ask.http.path),
        200 + host + ask.http.path.len(),
        1,
    )
}

async fn attempt_plain(run: &mut Run<'_>) -> Result<(), Stop> {
    let (stream, proxy) = connect_for_http(run).await?;
    let head = ask(run, stream, 80, proxy.as_ref()).await?;
    judge_origin(run, head.status, &head.headers)
}

async fn attempt_tls(run: &mut Run<'_>) -> Result<(), Stop> {
    let opened = open_tls(run).await?;
    let asked = ask(run, opened.stream, 443, None).await;
    conclude(opened.doubt, asked.map(|_| ()))
}

/// Asks, judges the status, and returns the head of the answer. With a proxy the request is one
/// for it to hand on (RFC 9112 §3.2.2).
async fn ask(
    run: &mut Run<'_>,
    stream: BoxedStream,
    usual_port: u16,
    proxy: Option<&Through>,
) -> Result<Parts, Stop> {
    let request = Request::get(target(run, usual_port, proxy))
        .header(header::HOST, authority(run, usual_port))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    let login = proxy.and_then(|through| through.proxy.login());
    let request = login
        .into_iter()
        .fold(request, |request, login| {
            request.header(header::PROXY_AUTHORIZATION, login.basic())
        })
        .body(Full::<Bytes>::default())
        .map_err(|error| Trouble::BadAsk {
            what: error.to_string(),
        })?;
    let mut client = Client::over(stream).await?;
    let response = run
        .phase(PhaseName::FirstByte, client.send(request))
        .await
        .map_err(|stop| before_answer(run, stop))?;
    let (head, body) = response.into_parts();
    if let Some(through) = proxy {
        judge_proxy(run, through, &head)?;
    }
    run.attempt.http = Some(evidence(head.status, &head.headers, run.path.now()));
    let until_close = ends_with_connection(&head.headers);
    let mut read = Vec::new();
    let result = read_body(run, body, until_close, &mut read).await;
    let judged = judge_status(run.ask, head.status.as_u16())
        .and(result)
        .and_then(|()| judge_answer(run, &head, &read));
    match judged {
        Ok(()) => Ok(head),
        Err(stop) if usual_port == 80 => Err(in_the_clear(run, &head, &read, stop)),
        Err(stop) => Err(stop),
    }
}

/// Whether the answer is the one that is due.
fn judge_answer(run: &Run<'_>, head: &Parts, body: &[u8]) -> Result<(), Stop> {
    let cut_off = run.attempt.http.as_ref().is_some_and(|http| http.body_cut);
    let wrong = mismatch(&run.ask.http.expected, &head.headers, body, cut_off);
    match wrong {
        None => Ok(()),
        Some(what) => Err(Trouble::AnswerUnexpected { what }.into()),
    }
}

/// What a wrong answer means where nothing vouches for who gave it, and the lane says which one is
/// right: a login page is a portal's, and so is a way to another host.
fn in_the_clear(run: &Run<'_>, head: &Parts, body: &[u8], stop: Stop) -> Stop {
    let wrong = matches!(
        stop.trouble,
        Trouble::HttpStatus { .. } | Trouble::AnswerUnexpected { .. }
    );
    if !wrong || !says_what_is_right(run) {
        return stop;
    }
    if is_login_page(body) {
        return Trouble::LoginPage.into();
    }
    leads_elsewhere(run, head.status, &head.headers).map_or(stop, Stop::from)
}

/// What is asked for: the path, or the whole URL where a proxy is to hand the request on.
fn target(run: &Run<'_>, usual_port: u16, proxy: Option<&Through>) -> String {
    let path = &run.ask.http.path;
    match proxy {
        None => path.clone(),
        Some(_) => format!("http://{}{path}", authority(run, usual_port)),
    }
}

/// Whether an answer is the proxy's own, about itself.
fn judge_proxy(run: &mut Run<'_>, through: &Through, head: &Parts) -> Result<(), Stop> {
    if head.status != StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Ok(());
    }
    let schemes = schemes(&head.headers);
    if let Some(evidence) = &mut run.attempt.proxy {
        evidence.status = Some(head.status.as_u16());
        evidence.schemes.clone_from(&schemes);
    }
    Err(through.wants_login(schemes).into())
}

/// Whether nothing but the end of the connection ends the body (RFC 9112 §6.3).
fn ends_with_connection(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
}

/// Reads the body up to its bound. One that never ends is not a failure: the head had come. Nor is
/// one that ends with the connection, also where TLS was not told goodbye.
async fn read_body(
    run: &mut Run<'_>,
    mut body: Incoming,
    until_close: bool,
    read: &mut Vec<u8>,
) -> Result<(), Stop> {
    let start = Instant::now();
    let mut bytes: u64 = 0;
    let mut cut = false;
    let reading = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| stop_of(&error, PhaseName::Body, start))?;
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let room = usize::try_from(BODY_MAX.saturating_sub(bytes)).unwrap_or(usize::MAX);
            read.extend(data.iter().take(room));
            bytes += data.len() as u64;
            if bytes > BODY_MAX {
                cut = true;
                break;
            }
        }
        Ok(())
    };
    let result = run.phase(PhaseName::Body, reading).await;
    if let Some(evidence) = &mut run.attempt.http {
        evidence.body_bytes = bytes.min(BODY_MAX);
        evidence.body_cut = cut;
    }
    match result {
        Err(Stop {
            trouble: trouble @ Trouble::TimedOut { .. },
            ..
        }) => Err(Stop::warn(trouble)),
        Err(Stop {
            trouble: Trouble::Closed { .. },
            ..
        }) if until_close => Ok(()),
        other => other,
    }
}
