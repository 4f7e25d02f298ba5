//! SignalR: negotiation, then every transport that the server offers, each up to the handshake of
//! the hub's protocol and a ping. Which of them gets through is what a product falls back on.

mod heard;
mod transports;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use http::{Method, header};
use outgate_signalr::{
    handshake, json,
    negotiate::{ANSWER_MAX, Answer, Token, Transport},
};

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
                    size + ID_MAX + handshake::FOR_JSON.len(),
                    TRANSPORTS,
                ),
                Sent::new(
                    "SignalR's ping",
                    size + ID_MAX + json::PING.len(),
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

/// One transport is enough to work, and every one to work as it should. Microsoft's clients try
/// them in the hub's order and go on only from one that is refused; at one that is accepted and
/// then silent or closed they stop.
fn judge(tried: &[SignalRTransportEvidence]) -> Result<(), Stop> {
    let mut troubles = tried
        .iter()
        .filter_map(|one| Some((one, one.trouble.as_ref()?)));
    let Some((failing, trouble)) = troubles.next() else {
        return if tried.is_empty() {
            Err(Trouble::NotSignalR.into())
        } else {
            Ok(())
        };
    };
    let passes = |one: &&SignalRTransportEvidence| one.outcome == Outcome::Pass;
    let works: Vec<&'static str> = tried
        .iter()
        .filter(passes)
        .map(|one| one.transport)
        .collect();
    if works.is_empty() {
        return Err(trouble.clone().into());
    }
    let before = tried.iter().take_while(|one| !passes(one));
    let stuck = before
        .filter_map(|one| Some((one, one.trouble.as_ref()?)))
        .find(|(_, trouble)| strands(trouble));
    let stranded = stuck.is_some();
    let (failing, because) = stuck.unwrap_or((failing, trouble));
    let trouble = Trouble::SignalRPartly {
        fails: failing.transport,
        because: Box::new(because.clone()),
        works,
        stranded,
    };
    Err(if stranded {
        trouble.into()
    } else {
        Stop::warn(trouble)
    })
}

/// Whether a client takes a transport for good that fails like this, and so tries no other.
fn strands(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::StreamBuffered | Trouble::WebSocketClosed { .. } | Trouble::TimedOut { .. }
    )
}

/// A connection that was negotiated.
struct Negotiation {
    token: Token,
    /// Those that take text, in the hub's order.
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
    let answer = body.and_then(|body| Answer::read(&body).ok());
    match answer.ok_or(Trouble::NotSignalR)? {
        Answer::Connection(connection) if is_id(connection.token.expose()) => {
            let texts = connection.transports.iter().filter(|offer| offer.text);
            Ok(Negotiation {
                transports: texts.map(|offer| offer.transport).collect(),
                token: connection.token,
            })
        }
        Answer::Connection(_) => Err(Trouble::NotSignalR.into()),
        Answer::Redirection {
            url,
            access_token: _,
        } => {
            let host = match Location::read(&url).host() {
                LocationHost::Named(host) => Some(cut(&host, TEXT_MAX)),
                LocationHost::Unchanged | LocationHost::Unreadable => None,
            };
            // Names that the manifest does not declare are not asked.
            Err(Stop::warn(Trouble::SignalRElsewhere { host }))
        }
        Answer::Refused { error } => Err(refused(&error)),
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

    fn tried(transport: &'static str, trouble: Option<Trouble>) -> SignalRTransportEvidence {
        SignalRTransportEvidence {
            transport,
            outcome: if trouble.is_none() {
                Outcome::Pass
            } else {
                Outcome::Fail
            },
            trouble,
            took: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn one_transport_that_works_is_a_warning_and_none_a_failure() {
        let stripped = || Trouble::UpgradeRefused { status: 400 };
        let refused = || tried("WebSockets", Some(stripped()));
        let works = |name| tried(name, None);
        assert_eq!(judge(&[works("WebSockets"), works("LongPolling")]), Ok(()));
        let partly = Trouble::SignalRPartly {
            fails: "WebSockets",
            because: Box::new(stripped()),
            works: vec!["LongPolling"],
            stranded: false,
        };
        assert_eq!(
            judge(&[refused(), works("LongPolling")]),
            Err(Stop::warn(partly))
        );
        assert_eq!(judge(&[refused()]), Err(stripped().into()));
        assert_eq!(judge(&[]), Err(Trouble::NotSignalR.into()));
    }

    #[test]
    fn a_transport_that_is_accepted_and_fails_then_keeps_clients_from_the_ones_after_it() {
        let refused = || Trouble::UpgradeRefused { status: 400 };
        let kept = |works: bool| {
            let buffered = Some(Trouble::StreamBuffered);
            [
                tried("WebSockets", (!works).then(refused)),
                tried("ServerSentEvents", buffered),
                tried("LongPolling", None),
            ]
        };
        let stop = judge(&kept(false)).unwrap_err();
        assert_eq!(stop.outcome, Outcome::Fail);
        let stranded = Trouble::SignalRPartly {
            fails: "ServerSentEvents",
            because: Box::new(Trouble::StreamBuffered),
            works: vec!["LongPolling"],
            stranded: true,
        };
        assert_eq!(stop.trouble, stranded);
        assert_eq!(judge(&kept(true)).unwrap_err().outcome, Outcome::Warn);
    }
}
