//! SignalR: negotiation, then every transport that the server offers, each up to the handshake of
//! the hub's protocol. Which of them gets through is what a product falls back on.

mod transports;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use http::{Method, header};
use outgate_wire::signalr::{ANSWER_MAX, HANDSHAKE, Negotiated, Transport, negotiated};

use super::tls;
use crate::{
    ask::Ask,
    evidence::{Finding, Outcome, PhaseName, SignalREvidence, SignalRTransportEvidence, Trouble},
    families::exercise,
    http::{Client, Location, LocationHost, evidence, judge_reached, read_whole, request},
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{Opened, conclude, open_tls},
    text::cut,
    tls::before_answer,
};

/// Transports that are tried: all there are.
const TRANSPORTS: u32 = 3;
/// Longest id of a connection that is taken, in bytes.
const ID_MAX: usize = 512;
/// Longest text of the server that is kept, in characters.
const TEXT_MAX: usize = 256;

/// SignalR over TLS.
pub(crate) struct SignalR;

impl Probe for SignalR {
    fn protocols(&self) -> &'static [&'static str] {
        &["signalr"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let size = 300 + ask.host.word().len() + ask.http.path.len();
        let negotiate = with_query(&ask.http.path, "/negotiate", "negotiateVersion=1");
        // One connection to negotiate; for each transport one to negotiate and one beside it.
        let connections = 1 + 2 * TRANSPORTS;
        let handshakes = tls::sent().into_iter().map(|sent| Sent {
            times_at_most: connections * sent.times_at_most,
            ..sent
        });
        handshakes
            .chain([
                Sent::new(
                    &format!("an HTTP request, POST {negotiate}"),
                    size,
                    1 + TRANSPORTS,
                ),
                Sent::new("a WebSocket handshake at the hub's path", size + ID_MAX, 1),
                Sent::new("an HTTP request for the hub's events", size + ID_MAX, 1),
                Sent::new("HTTP requests that poll the hub", size + ID_MAX, 2),
                Sent::new(
                    "SignalR's handshake",
                    size + ID_MAX + HANDSHAKE.len(),
                    TRANSPORTS,
                ),
                Sent::new("an HTTP request that ends the polling", size + ID_MAX, 1),
            ])
            .collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let Opened { stream, mut doubt } = open_tls(run).await?;
    let mut client = Client::over(stream).await?;
    let offered = match negotiate(run, &mut client).await {
        Ok(connection) => connection.transports,
        Err(stop) => return conclude(doubt, Err(stop)),
    };
    if let Some(doubt) = doubt.take_if(|doubt| doubt.outcome == Outcome::Fail) {
        return Err(doubt);
    }
    drop(client);
    let tried = join_all(
        offered
            .iter()
            .map(|transport| attempt_transport(run, *transport)),
    )
    .await;
    let judged = judge(&tried);
    run.attempt.signalr = Some(SignalREvidence { transports: tried });
    conclude(doubt, judged)
}

/// One transport, with connections of its own and as much time as is left.
async fn attempt_transport(run: &Run<'_>, transport: Transport) -> SignalRTransportEvidence {
    let mut run = run.beside();
    let result = match transport {
        Transport::WebSockets => transports::web_sockets(&mut run).await,
        Transport::ServerSentEvents => transports::server_sent_events(&mut run).await,
        Transport::LongPolling => transports::long_polling(&mut run).await,
    };
    let (outcome, trouble) = match result {
        Ok(()) => (Outcome::Pass, None),
        // What is only worth a warning elsewhere leaves this transport unshown all the same.
        Err(stop) => (Outcome::Fail, Some(stop.trouble)),
    };
    SignalRTransportEvidence {
        transport: transport.as_str(),
        outcome,
        trouble,
        took: run.attempt.phases.iter().map(|phase| phase.took).sum(),
    }
}

/// One transport is enough to work, and every one to work as it should.
fn judge(tried: &[SignalRTransportEvidence]) -> Result<(), Stop> {
    let trouble = tried.iter().find_map(|one| one.trouble.clone());
    let Some(trouble) = trouble else {
        return if tried.is_empty() {
            Err(Trouble::NotSignalR.into())
        } else {
            Ok(())
        };
    };
    if tried.iter().any(|one| one.outcome == Outcome::Pass) {
        Err(Stop::warn(trouble))
    } else {
        Err(trouble.into())
    }
}

/// A connection that was negotiated.
struct Negotiation {
    /// Names it; secret.
    id: String,
    transports: Vec<Transport>,
}

/// Asks the hub for a connection.
async fn negotiate(run: &mut Run<'_>, client: &mut Client) -> Result<Negotiation, Stop> {
    let path = with_query(&run.ask.http.path, "/negotiate", "negotiateVersion=1");
    let mut question = request(run, Method::POST, &path, 443, ("*/*", ""))?;
    // hyper leaves the length out where nothing is sent, and some servers want it with a POST.
    let none = header::HeaderValue::from_static("0");
    question.headers_mut().insert(header::CONTENT_LENGTH, none);
    let response = run
        .phase(PhaseName::FirstByte, client.send(question))
        .await
        .map_err(|stop| before_answer(run, stop))?;
    let (head, body) = response.into_parts();
    run.attempt.http = Some(evidence(head.status, &head.headers, run.path.now()));
    judge_reached(run.ask, head.status.as_u16())?;
    let body = run
        .phase(PhaseName::Body, read_whole(body, ANSWER_MAX))
        .await?;
    let answer = body.and_then(|body| negotiated(&body).ok());
    match answer.ok_or(Trouble::NotSignalR)? {
        Negotiated::Connection { id, transports } if is_id(&id) => {
            Ok(Negotiation { id, transports })
        }
        Negotiated::Connection { .. } => Err(Trouble::NotSignalR.into()),
        Negotiated::Redirection { url } => {
            let host = match Location::read(&url).host() {
                LocationHost::Named(host) => Some(cut(&host, TEXT_MAX)),
                LocationHost::Unchanged | LocationHost::Unreadable => None,
            };
            // Names that the manifest does not declare are not asked.
            Err(Stop::warn(Trouble::SignalRElsewhere { host }))
        }
        Negotiated::Refused { error } => Err(refused(&error)),
    }
}

fn refused(error: &str) -> Stop {
    Trouble::SignalRRefused {
        error: cut(error, TEXT_MAX),
    }
    .into()
}

/// Ids are of base64url or base64; whatever else cannot stand in a query as it is.
fn is_id(id: &str) -> bool {
    (1..=ID_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
}

/// A path with more of a path and more of a query; what it has of a query itself comes first.
fn with_query(path: &str, more: &str, query: &str) -> String {
    let (path, own) = path.split_once('?').unwrap_or((path, ""));
    let path = if more.is_empty() {
        path
    } else {
        path.trim_end_matches('/')
    };
    let and = if own.is_empty() { "" } else { "&" };
    format!("{path}{more}?{own}{and}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_a_hub_keep_its_own_query() {
        let negotiate = |path| with_query(path, "/negotiate", "negotiateVersion=1");
        assert_eq!(negotiate("/"), "/negotiate?negotiateVersion=1");
        assert_eq!(negotiate("/hub"), "/hub/negotiate?negotiateVersion=1");
        assert_eq!(
            negotiate("/hub?a=b"),
            "/hub/negotiate?a=b&negotiateVersion=1"
        );
        assert_eq!(with_query("/hub/", "", "id=x"), "/hub/?id=x");
    }

    #[test]
    fn an_id_that_would_change_the_request_is_none() {
        assert!(is_id("aZ0-_"));
        for bad in ["", "a b", "a&b", "a\r\nb", &"x".repeat(ID_MAX + 1)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }

    #[test]
    fn one_transport_that_works_is_a_warning_and_none_a_failure() {
        let one = |trouble: Option<Trouble>| SignalRTransportEvidence {
            transport: "WebSockets",
            outcome: if trouble.is_none() {
                Outcome::Pass
            } else {
                Outcome::Fail
            },
            trouble,
            took: std::time::Duration::ZERO,
        };
        let refused = || one(Some(Trouble::UpgradeRefused { status: 400 }));
        assert_eq!(judge(&[one(None), one(None)]), Ok(()));
        assert_eq!(
            judge(&[refused(), one(None)]).unwrap_err().outcome,
            Outcome::Warn
        );
        assert_eq!(judge(&[refused()]).unwrap_err().outcome, Outcome::Fail);
        assert_eq!(judge(&[]).unwrap_err().trouble, Trouble::NotSignalR);
    }
}
