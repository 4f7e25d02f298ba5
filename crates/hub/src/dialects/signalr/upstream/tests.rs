//! A back end that is slow, dead, or says too much.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{Request, StatusCode};
use outgate_core::identity::{Actor, Given};
use outgate_core::sessions::{Ending, Selector, Session};
use outgate_core::{Core, Settings};
use outgate_door::Facts;
use outgate_testbed::PATIENCE;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::config::{Config, Overrides};
use crate::dialects::signalr::VIA;
use crate::webhooks::{Wait, Ways};

/// A request that a back end has got.
struct Got {
    path: String,
    answer: oneshot::Sender<Response>,
}

/// A back end that answers as the test says.
struct BackEnd {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
}

/// A client of a hub, and the hub's back end.
struct Bench {
    upstream: Upstream,
    metrics: Metrics,
    waits: mpsc::UnboundedReceiver<Wait>,
    guest: Guest,
    core: Core,
    _session: Arc<Session>,
    _folder: TempDir,
}

impl BackEnd {
    async fn new() -> Self {
        let (sender, got) = mpsc::unbounded_channel();
        let app = axum::Router::new().fallback(move |request: Request<Body>| {
            let sender = sender.clone();
            async move {
                let (answer, answered) = oneshot::channel();
                let path = request.uri().path().to_owned();
                sender.send(Got { path, answer }).unwrap();
                answered.await.unwrap_or_default()
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, got }
    }

    /// The next request.
    async fn next(&mut self) -> Got {
        within(self.got.recv()).await
    }

    /// Answers the next request, which is to that path.
    async fn answers(&mut self, path: &str, answer: impl axum::response::IntoResponse) {
        let got = self.next().await;
        assert_eq!(got.path, path);
        got.answer.send(answer.into_response()).unwrap();
    }
}

impl Bench {
    async fn new(address: SocketAddr) -> Self {
        let trusted = vec!["127.0.0.1/32".parse().unwrap()];
        Self::with(
            address,
            webhooks::Settings {
                trusted,
                ..webhooks::Settings::default()
            },
        )
        .await
    }

    async fn with(address: SocketAddr, mut settings: webhooks::Settings) -> Self {
        let (held, waits) = mpsc::unbounded_channel();
        settings.timer = Timer::Held(held);
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(&Settings::new(folder.path())).unwrap();
        let text = format!(
            "[[signalr.hubs]]\nname = 'pos'\n[signalr.hubs.upstream]\nservice = 'vendor'\n\
             url = 'http://{address}/{{category}}/{{event}}'\n"
        );
        let config = Config::new(&text, Overrides::default()).unwrap();
        let hub = &config.signalr[0];
        let guest = guest(&core, hub).await;
        let metrics = Metrics::default();
        let to = To {
            ways: Ways::new(&settings).unwrap(),
            core: core.clone(),
            hub: hub.name.clone(),
            settings: hub.upstream.clone().unwrap(),
        };
        Self {
            upstream: Upstream::new(to, metrics.clone(), &settings),
            metrics,
            waits,
            _session: guest.open_session(&core, VIA).await.unwrap(),
            guest,
            core,
            _folder: folder,
        }
    }

    async fn invoke(&self, target: &str) -> Result<Value, String> {
        let call = (Some("1".to_owned()), target);
        let nothing = Arguments::Json(Vec::new());
        let answer = self.upstream.invoke("c-1", &self.guest, call, nothing);
        answer.await.map_err(|error| error.to_string())
    }

    /// Ends the next wait, and tells how many seconds it was to be.
    async fn waited(&mut self) -> u64 {
        let wait = within(self.waits.recv()).await;
        wait.over.send(()).unwrap();
        wait.length.as_secs()
    }

    /// How often something came of a request, as the hub's figures say.
    fn counted(&self, outcome: &str) -> u64 {
        let name = format!("outgate_signalr_upstream_total{{hub=\"pos\",outcome=\"{outcome}\"}} ");
        let text = self.metrics.text();
        let figure = text.lines().find_map(|line| line.strip_prefix(&name));
        figure.map_or(0, |figure| figure.parse().unwrap())
    }
}

/// A device that has come in.
async fn guest(core: &Core, hub: &crate::config::SignalRHub) -> Guest {
    let (actor, identity) = (Actor::hub(), &core.identity);
    let site = || "s".parse().unwrap();
    let made = identity.create_site(&actor, site(), "S".to_owned());
    made.await.unwrap();
    let made = identity.create_device(&actor, "till".parse().unwrap(), site(), None);
    let device = made.await.unwrap().id;
    let issued = identity.add_token(&actor, &device, "t".to_owned(), None);
    let Given::Token(token) = issued.await.unwrap().given else {
        panic!("it is a token");
    };
    let shown = format!("Bearer {}", String::from_utf8_lossy(token.expose()));
    let request = Request::get("/client/?hub=pos").header("authorization", shown);
    let (parts, ()): (Parts, _) = request.body(()).unwrap().into_parts();
    let facts = Facts {
        peer: "127.0.0.1:1".parse().unwrap(),
        local: "127.0.0.1:2".parse().unwrap(),
        tls: None,
    };
    let made_out = Guest::make_out(core, hub, &parts, &facts).await;
    made_out.unwrap()
}

/// What comes, if it comes at all.
async fn within<T>(coming: impl Future<Output = Option<T>>) -> T {
    tokio::time::timeout(PATIENCE, coming)
        .await
        .unwrap()
        .unwrap()
}

/// Where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn that_a_client_has_come_is_told_again_until_it_is_taken_and_before_that_it_has_gone() {
    let mut back_end = BackEnd::new().await;
    let mut bench = Bench::new(back_end.address).await;
    bench.upstream.connected("c-1", &bench.guest);
    bench.upstream.disconnected("c-1", &bench.guest, None);
    let come = "/connections/connected";
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    back_end.answers(come, busy).await;
    assert_eq!(bench.waited().await, 1);
    back_end.answers(come, StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(bench.waited().await, 5);
    back_end.answers(come, StatusCode::OK).await;
    // One that turns it down gets it once.
    let gone = "/connections/disconnected";
    back_end.answers(gone, StatusCode::FORBIDDEN).await;
    bench.upstream.connected("c-1", &bench.guest);
    back_end.answers(come, busy).await;
    assert_eq!(bench.waited().await, 1);
    assert_eq!((bench.counted("told"), bench.counted("refused")), (1, 1));
}

#[tokio::test]
async fn a_back_end_that_stays_away_is_given_up_on_after_four_tries() {
    let mut bench = Bench::new(nobody().await).await;
    for round in 0..2 {
        bench.upstream.connected("c-1", &bench.guest);
        let waited = [
            bench.waited().await,
            bench.waited().await,
            bench.waited().await,
        ];
        assert_eq!(waited, [1, 5, 30], "{round}");
    }
    assert_eq!(bench.counted("dropped"), 1);
    let refused = bench.invoke("price").await.unwrap_err();
    let said = "Invocation failed, the back end cannot be reached";
    assert_eq!(refused, said);
}

#[tokio::test]
async fn what_waits_for_a_back_end_that_hangs_is_bounded() {
    let mut back_end = BackEnd::new().await;
    let bench = Bench::new(back_end.address).await;
    bench.upstream.connected("c-1", &bench.guest);
    let _hanging = back_end.next().await;
    for _ in 0..MAX_WAITING + 5 {
        bench.upstream.connected("c-1", &bench.guest);
    }
    assert_eq!(bench.counted("dropped"), 5);
}

#[tokio::test]
async fn an_answer_that_hangs_holds_nobody_else_up() {
    let mut back_end = BackEnd::new().await;
    let bench = Bench::new(back_end.address).await;
    let other = async {
        let hanging = back_end.next().await;
        assert_eq!(hanging.path, "/messages/slow");
        let (answer, ()) = tokio::join!(
            bench.invoke("fast"),
            back_end.answers("/messages/fast", "7")
        );
        assert_eq!(answer, Ok(json!(7)));
        hanging.answer.send("1".into_response()).unwrap();
    };
    let (slow, ()) = tokio::join!(bench.invoke("slow"), other);
    assert_eq!(slow, Ok(json!(1)));
    assert_eq!(bench.counted("answered"), 2);
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_is_too_large_is_an_error() {
    let mut back_end = BackEnd::new().await;
    let bench = Bench::new(back_end.address).await;
    for (bytes, fits) in [
        (request::MAX_ANSWER, true),
        (request::MAX_ANSWER + 1, false),
    ] {
        let text = format!("\"{}\"", "x".repeat(bytes - 2));
        let (answer, ()) = tokio::join!(bench.invoke("a"), back_end.answers("/messages/a", text));
        assert_eq!(answer.is_ok(), fits, "{bytes}");
    }
    let long = "a".repeat(MAX_TARGET + 1);
    let refused = bench.invoke(&long).await.unwrap_err();
    assert!(refused.contains("too long"), "{refused}");
    let hasty = webhooks::Settings {
        trusted: vec!["127.0.0.1/32".parse().unwrap()],
        answer_within: Duration::from_millis(50),
        ..webhooks::Settings::default()
    };
    let bench = Bench::with(back_end.address, hasty).await;
    let (answer, silent) = tokio::join!(bench.invoke("a"), back_end.next());
    assert!(answer.unwrap_err().starts_with("Invocation failed, "));
    drop(silent);
    // Nor is a place waited for any longer.
    let all = u32::try_from(MAX_UNDER_WAY).unwrap();
    let _all = bench.upstream.under_way.acquire_many(all).await.unwrap();
    let refused = bench.invoke("a").await.unwrap_err();
    assert_eq!(refused, "Invocation failed, the back end does not answer");
    assert!(back_end.got.try_recv().is_err());
}

#[tokio::test]
async fn who_is_revoked_while_they_wait_for_their_turn_is_not_heard() {
    let mut back_end = BackEnd::new().await;
    let bench = Bench::new(back_end.address).await;
    let all = u32::try_from(MAX_UNDER_WAY).unwrap();
    let places = bench.upstream.under_way.acquire_many(all).await.unwrap();
    let mut invoked = pin!(bench.invoke("a"));
    let waits = std::future::poll_fn(|task| Poll::Ready(invoked.as_mut().poll(task))).await;
    assert!(waits.is_pending());
    let sessions = &bench.core.sessions;
    let ended = sessions.end(&Selector::All, Ending::Revoked, Duration::ZERO);
    assert_eq!(ended.await.ended, 1);
    drop(places);
    assert!(invoked.await.is_err());
    assert!(back_end.got.try_recv().is_err());
}

#[tokio::test]
async fn a_back_end_on_this_machine_is_not_connected_to_unless_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bench = Bench::with(address, webhooks::Settings::default()).await;
    let refused = bench.invoke("price").await.unwrap_err();
    assert!(refused.contains("cannot be reached"), "{refused}");
    let connected = tokio::time::timeout(Duration::ZERO, listener.accept());
    assert!(connected.await.is_err());
}

#[test]
fn a_result_comes_by_itself_or_in_a_completion() {
    let given = |text: &str| result(text.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(given(""), Ok(Value::Null));
    assert_eq!(given("{\"a\":1}"), Ok(json!({"a": 1})));
    assert_eq!(given("7"), Ok(json!(7)));
    assert_eq!(given("{\"type\":3,\"result\":[1]}\u{1e}"), Ok(json!([1])));
    let none = "{\"type\":3,\"invocationId\":\"1\"}";
    assert_eq!(given(none), Ok(Value::Null));
    assert_eq!(given("{\"type\":3,\"error\":\"no\"}"), Err("no".to_owned()));
    assert!(given("<html>").is_err());
}
