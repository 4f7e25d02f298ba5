//! SignalR: negotiation, then every transport that the server offers, each up to the handshake of
//! the hub's protocol and a ping, in JSON and in MessagePack. Which of them gets through is what a
//! product falls back on; in which order is the client's to say ([`outgate_signalr::ladder`]).

mod heard;
mod transports;

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use http::{Method, header};
use outgate_signalr::{
    Protocol, handshake, json,
    ladder::{Ladder, LadderError, Memory, Rules, Step},
    negotiate::{ANSWER_MAX, Answer, Connection, Transport},
};
use tokio::time::Instant;

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

/// Ways that are tried: all three transports in JSON, and in MessagePack the two that take bytes.
const WAYS: u32 = 5;
/// How many of them are WebSockets, and how many are polls.
const WAYS_OF_ONE: u32 = 2;
/// Longest id of a connection that is taken, in bytes.
const ID_MAX: usize = 512;
/// The longer one of the two handshakes, in bytes.
const HANDSHAKE_MAX: usize = handshake::FOR_JSON.len() + "messagepack".len() - "json".len();
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
        // One connection to negotiate; for each way one to negotiate and one beside it.
        let connections = 1 + 2 * WAYS;
        let handshakes = tls::sent().into_iter().map(|sent| Sent {
            times_at_most: connections * sent.times_at_most,
            ..sent
        });
        handshakes
            .chain([
                Sent::new(
                    &format!("an HTTP request, POST {negotiate}"),
                    size,
                    1 + WAYS,
                ),
                Sent::new(
                    "a WebSocket handshake at the hub's path",
                    size + ID_MAX,
                    WAYS_OF_ONE,
                ),
                Sent::new("an HTTP request for the hub's events", size + ID_MAX, 1),
                Sent::new(
                    "HTTP requests that poll the hub",
                    size + ID_MAX,
                    2 * WAYS_OF_ONE,
                ),
                Sent::new("SignalR's handshake", size + ID_MAX + HANDSHAKE_MAX, WAYS),
                Sent::new("SignalR's ping", size + ID_MAX + json::PING.len(), WAYS),
                Sent::new(
                    "an HTTP request that ends the polling",
                    size + ID_MAX,
                    WAYS_OF_ONE,
                ),
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
        Ok(connection) => connection,
        Err(stop) => return conclude(doubt, Err(stop)),
    };
    if let Some(doubt) = doubt.take_if(|doubt| doubt.outcome == Outcome::Fail) {
        return Err(doubt);
    }
    drop(client);
    let ways = match ways(&offered) {
        Ok(ways) => ways,
        Err(stop) => return conclude(doubt, Err(stop)),
    };
    let trying = ways.into_iter().map(|way| attempt_way(run, way));
    let mut tried = join_all(trying).await;
    let judged = judge(&tried);
    excuse(&mut tried);
    run.attempt.signalr = Some(SignalREvidence { transports: tried });
    conclude(doubt, judged)
}

/// A transport with what its messages are in.
type Way = (Transport, Protocol);

/// What clients are used with, the usual first.
const PROTOCOLS: [Protocol; 2] = [Protocol::Json, Protocol::MessagePack];

/// The ways that clients try, in their order.
fn ways(offered: &Connection) -> Result<Vec<Way>, Stop> {
    let mut ways = Vec::new();
    for protocol in PROTOCOLS {
        match climb(offered, protocol) {
            Ok(transports) => ways.extend(transports.into_iter().map(|it| (it, protocol))),
            // None for these messages; there may be some for others.
            Err(LadderError::NoTransport { .. }) => {}
            Err(
                LadderError::Refused { .. }
                | LadderError::Redirections
                | LadderError::Insecure
                | LadderError::Stateful,
            ) => return Err(Trouble::NotSignalR.into()),
        }
    }
    Ok(ways)
}

/// The transports that a client tries for whom none works.
fn climb(offered: &Connection, protocol: Protocol) -> Result<Vec<Transport>, LadderError> {
    let rules = Rules {
        binary: protocol == Protocol::MessagePack,
        ..Rules::default()
    };
    let mut ladder = Ladder::new(rules, Memory::default());
    ladder.begin("");
    let mut tried = Vec::new();
    loop {
        match ladder.poll_step() {
            Step::Negotiate { .. } => {
                let answer = Answer::Connection(offered.clone());
                let now = Instant::now().into_std();
                ladder.handle_answer(answer, Duration::ZERO, now)?;
            }
            Step::Try(rung) => {
                tried.push(rung.transport);
                ladder.handle_failed();
            }
            Step::Rest => return Ok(tried),
        }
    }
}

/// One way, with connections of its own and as much time as is left.
async fn attempt_way(run: &Run<'_>, (transport, protocol): Way) -> SignalRTransportEvidence {
    let mut run = run.beside();
    let result = match transport {
        Transport::WebSockets => transports::web_sockets(&mut run, protocol).await,
        Transport::ServerSentEvents => transports::server_sent_events(&mut run, protocol).await,
        Transport::LongPolling => transports::long_polling(&mut run, protocol).await,
    };
    let (outcome, trouble) = match result {
        Ok(()) => (Outcome::Pass, None),
        // What is only worth a warning elsewhere leaves this transport unshown all the same.
        Err(stop) => (Outcome::Fail, Some(stop.trouble)),
    };
    SignalRTransportEvidence {
        transport: transport.as_str(),
        protocol: protocol.as_str(),
        outcome,
        trouble,
        took: run.attempt.phases.iter().map(|phase| phase.took).sum(),
    }
}

/// Of the protocols the first counts that the hub does not refuse: a manifest does not say which
/// one a product's messages are in, and they are in JSON unless somebody sees to it.
fn judge(tried: &[SignalRTransportEvidence]) -> Result<(), Stop> {
    for protocol in PROTOCOLS {
        let ways = tried.iter().filter(|one| one.protocol == protocol.as_str());
        let ways: Vec<_> = ways.collect();
        // Over one way that gets through it says so.
        let refused = ways.iter().any(|one| is_refused(one));
        let passes = ways.iter().any(|one| one.outcome == Outcome::Pass);
        if !ways.is_empty() && (passes || !refused) {
            return judge_transports(&ways);
        }
    }
    let refusal = tried.iter().find(|one| is_refused(one));
    let refusal = refusal.and_then(|one| one.trouble.clone());
    Err(refusal.unwrap_or(Trouble::NotSignalR).into())
}

fn is_refused(one: &SignalRTransportEvidence) -> bool {
    matches!(one.trouble, Some(Trouble::SignalRRefused { .. }))
}

/// A hub that takes messages in one protocol alone is as it should be.
fn excuse(tried: &mut [SignalRTransportEvidence]) {
    if tried.iter().any(|one| one.outcome == Outcome::Pass) {
        for one in tried.iter_mut().filter(|one| is_refused(one)) {
            one.outcome = Outcome::NotApplicable;
        }
    }
}

/// One transport is enough to work, and every one to work as it should. Microsoft's clients try
/// them in the hub's order and go on only from one that is refused; at one that is accepted and
/// then silent or closed they stop.
fn judge_transports(tried: &[&SignalRTransportEvidence]) -> Result<(), Stop> {
    let mut troubles = tried
        .iter()
        .filter_map(|one| Some((one, one.trouble.as_ref()?)));
    let Some((failing, trouble)) = troubles.next() else {
        return Ok(());
    };
    let passes = |one: &&&SignalRTransportEvidence| one.outcome == Outcome::Pass;
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

/// Asks the hub for a connection.
async fn negotiate(run: &mut Run<'_>, client: &mut Client) -> Result<Connection, Stop> {
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
        Answer::Connection(connection) if is_id(connection.token.expose()) => Ok(connection),
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
    use outgate_signalr::negotiate::{Offer, Token};

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
            protocol: "json",
            outcome: if trouble.is_none() {
                Outcome::Pass
            } else {
                Outcome::Fail
            },
            trouble,
            took: Duration::ZERO,
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
    fn the_ways_are_those_of_a_client_in_its_order() {
        let offer = |transport, text, binary| Offer {
            transport,
            text,
            binary,
        };
        let mut offered = Connection {
            version: 1,
            connection_id: "a".to_owned(),
            token: Token::new("b".to_owned()),
            transports: vec![
                offer(Transport::LongPolling, true, true),
                offer(Transport::WebSockets, false, true),
                offer(Transport::LongPolling, true, true),
                offer(Transport::ServerSentEvents, true, false),
            ],
            stateful: false,
        };
        let expected = [
            (Transport::LongPolling, Protocol::Json),
            (Transport::ServerSentEvents, Protocol::Json),
            (Transport::LongPolling, Protocol::MessagePack),
            (Transport::WebSockets, Protocol::MessagePack),
        ];
        assert_eq!(ways(&offered).unwrap(), expected);
        offered.stateful = true;
        assert_eq!(ways(&offered), Err(Trouble::NotSignalR.into()));
    }

    #[test]
    fn a_hub_is_judged_by_the_first_protocol_that_it_does_not_refuse() {
        let no = || Trouble::SignalRRefused {
            error: "not in JSON".to_owned(),
        };
        let packed = |trouble| SignalRTransportEvidence {
            protocol: "messagepack",
            ..tried("WebSockets", trouble)
        };
        let refused = || tried("WebSockets", Some(no()));
        let mut both = [refused(), packed(None)];
        assert_eq!(judge(&both), Ok(()));
        excuse(&mut both);
        assert_eq!(both[0].outcome, Outcome::NotApplicable);
        let mut neither = [refused(), packed(Some(no()))];
        assert_eq!(judge(&neither), Err(no().into()));
        excuse(&mut neither);
        assert_eq!(neither[0].outcome, Outcome::Fail);
        let stripped = Trouble::UpgradeRefused { status: 400 };
        let failing = [refused(), packed(Some(stripped.clone()))];
        assert_eq!(judge(&failing), Err(stripped.clone().into()));
        let polling = || tried("LongPolling", Some(no()));
        let nowhere = [tried("WebSockets", Some(stripped.clone())), polling()];
        assert_eq!(judge(&nowhere), Err(no().into()));
        // What is in the usual protocol gets through.
        let usual = [tried("WebSockets", None), packed(Some(stripped))];
        assert_eq!(judge(&usual), Ok(()));
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
