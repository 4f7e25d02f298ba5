//! A collector that is away, does not want, or wants less at a time.

use std::io::Write as _;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use outgate_core::identity::{Actor, Claim, Given};
use outgate_core::logs::{NewLog, NewLogs};
use outgate_core::sessions::Session;
use outgate_core::{Clock, Limits, Settings, Timestamp};
use outgate_testbed::PATIENCE;
use outgate_wire::otlp::{Encoding, Part, Record, Rejected, Reply};
use tempfile::{NamedTempFile, TempDir};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::webhooks::Wait;

/// A request that a collector has got.
struct Got {
    headers: HeaderMap,
    /// Who logged, and what, in order.
    told: Vec<(String, String)>,
    answer: oneshot::Sender<Response>,
}

/// A collector that answers as the test says.
struct Collector {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
}

/// A device that logs, and what is sent on of that.
struct Bench {
    collector: Collector,
    core: Core,
    session: Session,
    metrics: Metrics,
    waits: mpsc::UnboundedReceiver<Wait>,
    sending: JoinHandle<()>,
    _draining: watch::Sender<bool>,
    folder: TempDir,
}

impl Collector {
    async fn new() -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let take = move |headers: HeaderMap, body: Bytes| {
            let sender = sender.clone();
            async move {
                let (answer, answered) = oneshot::channel();
                let told = told(&body);
                let sent = sender.send(Got {
                    headers,
                    told,
                    answer,
                });
                sent.unwrap();
                answered.await.unwrap_or_default()
            }
        };
        let app = axum::Router::new().route("/sub/v1/logs", axum::routing::post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, got }
    }

    /// Answers the next request and gives what it says.
    async fn answers(&mut self, answer: impl IntoResponse) -> Vec<String> {
        let got = within(self.got.recv()).await;
        got.answer.send(answer.into_response()).unwrap();
        got.told.into_iter().map(|(_, said)| said).collect()
    }
}

impl Bench {
    async fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::held(Timestamp::from_millis(1_790_000_000_000));
        let core = Core::open(&Settings {
            limits,
            clock,
            ..Settings::new(folder.path())
        });
        let core = core.unwrap();
        let collector = Collector::new().await;
        let session = session(&core).await;
        Self::sending(collector, core, session, folder)
    }

    fn sending(collector: Collector, core: Core, session: Session, folder: TempDir) -> Self {
        let forward = Forward {
            endpoint: format!("http://{}/sub/", collector.address),
            headers: None,
            authority: None,
        };
        let (held, waits) = mpsc::unbounded_channel();
        let forwarding = Forwarding::new(&forward, Timer::Held(held)).unwrap();
        let metrics = Metrics::default();
        let (sender, draining) = watch::channel(false);
        let sending = tokio::spawn(forwarding.run(core.clone(), metrics.clone(), draining));
        Self {
            collector,
            core,
            session,
            metrics,
            waits,
            sending,
            _draining: sender,
            folder,
        }
    }

    /// Breaks off what is under way, and starts anew on the same folder.
    async fn restarted(self) -> Self {
        self.sending.abort();
        self.sending.await.unwrap_err();
        Self::sending(self.collector, self.core, self.session, self.folder)
    }

    /// Has the device log, all in one request.
    async fn log<const N: usize>(&self, texts: [&str; N]) {
        let record = |text: &str| NewLog {
            resource: 0,
            scope: 1,
            severity: 9,
            record: Record {
                body: Value::Text(text.to_owned()),
                ..Record::default()
            }
            .to_bytes()
            .into(),
        };
        let logs = NewLogs {
            contexts: vec![
                Resource::default().to_bytes().into(),
                Scope::default().to_bytes().into(),
            ],
            records: texts.into_iter().map(record).collect(),
        };
        self.core
            .logs
            .append(self.session.pass(), logs)
            .await
            .unwrap();
    }

    /// Ends the next wait, and tells how many seconds it was to be.
    async fn waited(&mut self) -> u64 {
        let wait = within(self.waits.recv()).await;
        wait.over.send(()).unwrap();
        wait.length.as_secs()
    }

    /// A figure of the hub's.
    fn figure(&self, name: &str) -> u64 {
        let text = self.metrics.text();
        let mut figures = text.lines().filter_map(|line| line.split_once(' '));
        let figure = figures.find(|(key, _)| *key == name);
        figure.map_or(0, |(_, figure)| figure.parse().unwrap())
    }

    fn records(&self, outcome: &str) -> u64 {
        let name = "outgate_log_records_forwarded_total";
        self.figure(&format!("{name}{{outcome=\"{outcome}\"}}"))
    }
}

async fn session(core: &Core) -> Session {
    let (actor, identity) = (Actor::hub(), &core.identity);
    let made = identity.create_site(&actor, "shop".parse().unwrap(), "Shop".to_owned());
    made.await.unwrap();
    let site = "shop".parse().unwrap();
    let made = identity.create_device(&actor, "till".parse().unwrap(), site, None);
    let device = made.await.unwrap().id;
    let issued = identity.add_token(&actor, &device, "t".to_owned(), None);
    let Given::Token(token) = issued.await.unwrap().given else {
        panic!("it is a token");
    };
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = identity.authenticate(claim).await.unwrap();
    let peer = ([127, 0, 0, 1], 1).into();
    core.open_session(&who, "test", peer).await.unwrap()
}

/// What comes, if it comes at all.
async fn within<T>(coming: impl Future<Output = Option<T>>) -> T {
    let came = tokio::time::timeout(PATIENCE, coming).await;
    came.unwrap().unwrap()
}

/// Who logged, and what.
fn told(body: &[u8]) -> Vec<(String, String)> {
    let (mut all, mut who) = (Vec::new(), String::new());
    let read = Encoding::Protobuf.read(body, &mut |part| match part {
        Part::Resource(resource) => {
            who = serde_json::to_string(&resource.attributes_json()).unwrap()
        }
        Part::Scope(_) => {}
        Part::Record(record) => all.push((who.clone(), record.body.to_text())),
    });
    assert_eq!(read.unwrap(), Rejected::default());
    all
}

#[tokio::test]
async fn while_the_collector_is_away_waits_get_longer_and_nothing_is_lost() {
    let mut bench = Bench::new(Limits::default()).await;
    bench.log(["one", "two"]).await;
    let both = ["one", "two"];
    let asked = bench.collector.answers(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.await, both);
    assert!((4..=6).contains(&bench.waited().await), "5 or a fifth off");
    let asked = bench.collector.answers(StatusCode::NOT_FOUND).await;
    assert_eq!(asked, both);
    assert!(
        (8..=12).contains(&bench.waited().await),
        "10 or a fifth off"
    );
    assert_eq!(bench.figure("outgate_log_forwarding_behind"), 2);
    let patience = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "600")]);
    assert_eq!(bench.collector.answers(patience).await, both);
    // Meanwhile the device is revoked: what was taken of it goes on all the same.
    let (hub, device) = (Actor::hub(), "till".parse().unwrap());
    let revoked = bench.core.identity.revoke_device(&hub, &device);
    revoked.await.unwrap();
    assert_eq!(bench.waited().await, 600);
    let got = within(bench.collector.got.recv()).await;
    assert_eq!(got.headers["content-type"], "application/x-protobuf");
    let who = r#"{"outgate.device":"till","outgate.site":"shop"}"#;
    let told = both.map(|said| (who.to_owned(), said.to_owned()));
    assert_eq!(got.told, told);
}

#[tokio::test]
async fn who_was_broken_off_goes_on_where_it_was() {
    let mut bench = Bench::new(Limits::default()).await;
    bench.log(["one"]).await;
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["one"]);
    bench.log(["two"]).await;
    // With the answer, before which nothing of it counts as sent.
    let unanswered = within(bench.collector.got.recv()).await;
    let mut bench = bench.restarted().await;
    drop(unanswered);
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["two"]);
    bench.log(["three"]).await;
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["three"]);
}

#[tokio::test]
async fn what_is_too_much_goes_in_halves_and_what_is_never_wanted_is_passed_over() {
    let mut bench = Bench::new(Limits::default()).await;
    bench.log(["a", "b", "c"]).await;
    let large = StatusCode::PAYLOAD_TOO_LARGE;
    let mut asked = bench.collector.answers(large).await;
    assert_eq!(asked, ["a", "b", "c"]);
    // Halves of 512 down to what is less than all of them.
    while asked.len() == 3 {
        asked = bench.collector.answers(large).await;
    }
    assert_eq!(asked, ["a", "b"]);
    assert_eq!(bench.collector.answers(large).await, ["a"]);
    let partly = Reply {
        rejected: 1,
        why: "no".to_owned(),
    };
    let partly = partly.to_bytes(Encoding::Protobuf);
    assert_eq!(bench.collector.answers(partly).await, ["b"]);
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["c"]);
    bench.log(["d"]).await;
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["d"]);
    assert_eq!((bench.records("taken"), bench.records("rejected")), (1, 2));
}

#[tokio::test]
async fn what_was_cleared_away_before_it_was_sent_on_is_counted() {
    let limits = Limits {
        keep_logs: Duration::from_secs(86_400),
        ..Limits::default()
    };
    let mut bench = Bench::new(limits).await;
    bench.log(["one"]).await;
    bench.collector.answers(StatusCode::OK).await;
    bench.log(["two", "three"]).await;
    bench.collector.answers(StatusCode::BAD_GATEWAY).await;
    bench.core.clock.advance(Duration::from_secs(3 * 86_400));
    assert_eq!(bench.core.logs.clear_old().await.unwrap(), 3);
    bench.log(["four"]).await;
    bench.waited().await;
    assert_eq!(bench.collector.answers(StatusCode::OK).await, ["four"]);
    assert_eq!(bench.records("lost"), 2);
}

#[test]
fn headers_are_read_from_a_file_and_what_is_in_it_is_told_to_nobody() {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "Authorization: Bearer geheim\n\nX-Tenant: till").unwrap();
    let with = |headers: &std::path::Path| Forward {
        endpoint: "http://127.0.0.1:4318".to_owned(),
        headers: Some(headers.to_owned()),
        authority: None,
    };
    let made = Forwarding::new(&with(file.path()), Timer::default()).unwrap();
    let shown = format!("{made:?}");
    assert!(
        shown.contains("x-tenant") && !shown.contains("geheim"),
        "{shown}"
    );
    let lines: [&[u8]; 3] = [b"geheim", b"a b: geheim", b"a: geheim\x01"];
    for wrong in lines {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(wrong).unwrap();
        let refused = Forwarding::new(&with(file.path()), Timer::default());
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("line 1") && !said.contains("geheim"),
            "{said}"
        );
    }
    let missing = Forwarding::new(&with("/nowhere/at/all".as_ref()), Timer::default());
    assert!(missing.is_err());
}
