//! A hub in memory that does as it is told, so that time can be virtual: nothing here waits for
//! anything but what a test says.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt, stream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use outgate_signalr_client::{Builder, Client, Transport};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, handshake::derive_accept_key, protocol::Role};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a transport does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It is answered with this status.
    Status(u16),
    /// It opens, and nothing comes out of it.
    Stalls,
    /// It opens, and is closed.
    Closes,
    /// It is not answered at all.
    Silent,
}

/// An answer in place of the hub's own.
pub(crate) type Answer = Response<String>;

#[derive(Default)]
struct State {
    offered: Vec<Transport>,
    faults: HashMap<Transport, Fault>,
    /// Answers to the next negotiations.
    answers: VecDeque<Answer>,
    /// Answers to the next polls after the first.
    polls: VecDeque<Answer>,
    /// What the handshake is answered with.
    welcome: String,
    requests: Vec<Asked>,
    handshakes: Vec<String>,
    connections: HashMap<String, Arc<Connection>>,
    last: usize,
}

/// A request that has come.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) authority: Authority,
    /// Method and target.
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) cookie: String,
}

struct Connection {
    said: UnboundedSender<String>,
    say: UnboundedSender<String>,
    waiting: tokio::sync::Mutex<UnboundedReceiver<String>>,
    peer: Mutex<Option<Peer>>,
    greeted: Mutex<bool>,
    polled: Mutex<bool>,
    stalls: bool,
}

/// The hub's end of a connection. Dropped, it ends the connection.
pub(crate) struct Peer {
    pub(crate) transport: Transport,
    said: UnboundedReceiver<String>,
    say: UnboundedSender<String>,
    /// Tells the transport to end.
    _alive: Alive,
}

struct Alive(UnboundedSender<String>);

/// What ends a connection.
const END: &str = "";

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.send(END.to_owned());
    }
}

impl Peer {
    /// The next record of the client, without its end; nothing when it has gone.
    pub(crate) async fn said(&mut self) -> Option<String> {
        self.said.recv().await
    }

    /// The next record of the client that is no ping.
    pub(crate) async fn asked(&mut self) -> serde_json::Value {
        loop {
            let record = self.said().await.expect("the client has gone");
            let value: serde_json::Value = serde_json::from_str(&record).unwrap();
            if value["type"] != 6 {
                return value;
            }
        }
    }

    pub(crate) fn say(&self, record: &str) {
        self.say.send(format!("{record}\u{1e}")).unwrap();
    }

    /// Says something that may be no record.
    pub(crate) fn say_raw(&self, text: &str) {
        self.say.send(text.to_owned()).unwrap();
    }
}

/// The hub.
#[derive(Clone)]
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    come: UnboundedSender<Peer>,
    peers: Arc<tokio::sync::Mutex<UnboundedReceiver<Peer>>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let (come, peers) = mpsc::unbounded_channel();
        let state = State {
            offered: Transport::ALL.to_vec(),
            welcome: "{}\u{1e}".to_owned(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            come,
            peers: Arc::new(tokio::sync::Mutex::new(peers)),
        }
    }

    pub(crate) fn with_fault(self, transport: Transport, fault: Fault) -> Self {
        self.fault(transport, fault);
        self
    }

    pub(crate) fn fault(&self, transport: Transport, fault: Fault) {
        self.state().faults.insert(transport, fault);
    }

    pub(crate) fn welcome_with(&self, text: &str) {
        text.clone_into(&mut self.state().welcome);
    }

    /// Answers the next negotiation so.
    pub(crate) fn answer(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let answer = answer(status, headers, body);
        self.state().answers.push_back(answer);
    }

    /// Answers the next poll so.
    pub(crate) fn answer_poll(&self, status: u16) {
        self.state().polls.push_back(answer(status, &[], ""));
    }

    pub(crate) fn builder(&self) -> Builder {
        Client::builder("http://hub.test/hub").connect(self.clone())
    }

    pub(crate) fn handshakes(&self) -> Vec<String> {
        self.state().handshakes.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.state().requests.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|it| it.line).collect()
    }

    /// When each negotiation came, in seconds after the first.
    pub(crate) fn negotiations(&self) -> Vec<u64> {
        let requests = self.requests();
        let mut times = requests
            .iter()
            .filter(|it| it.line.contains("/negotiate"))
            .map(|it| it.at);
        let first = times.clone().next();
        times
            .by_ref()
            .map(|at| (at - first.unwrap()).as_secs())
            .collect()
    }

    /// The next connection over which the client has made its handshake.
    pub(crate) async fn accept(&self) -> Peer {
        self.peers.lock().await.recv().await.unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn respond(self, authority: Authority, mut request: Request<Incoming>) -> Response<Body> {
        let line = format!("{} {}", request.method(), request.uri());
        let text = |name| {
            let value = request.headers().get(name);
            value.map_or("", |it| it.to_str().unwrap()).to_owned()
        };
        self.state().requests.push(Asked {
            at: Instant::now(),
            authority,
            line: line.clone(),
            authorization: text(header::AUTHORIZATION),
            cookie: text(header::COOKIE),
        });
        if line.contains("/negotiate") {
            return self.negotiate(line.contains("useStatefulReconnect=true"));
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let id = query.split('&').find_map(|it| it.strip_prefix("id="));
        let known = id.and_then(|id| self.state().connections.get(id).cloned());
        let bare = id.is_none() && request.headers().contains_key(header::UPGRADE);
        let connection = match known {
            Some(known) => known,
            None if bare => self.connect().1,
            None => return said(404, "No Connection with that ID"),
        };
        if request.method() == Method::POST {
            let body = request.body_mut().collect().await.unwrap().to_bytes();
            connection.hear(&self, std::str::from_utf8(&body).unwrap());
            return said(200, "");
        }
        if request.method() == Method::DELETE {
            self.state()
                .connections
                .retain(|_, it| !Arc::ptr_eq(it, &connection));
            connection.end();
            return said(202, "");
        }
        self.open(connection, request).await
    }

    fn negotiate(&self, stateful: bool) -> Response<Body> {
        if let Some(answer) = self.state().answers.pop_front() {
            return answer.map(|body| Full::from(body).boxed_unsync());
        }
        let (token, _) = self.connect();
        let offered = self.state().offered.clone();
        let offered = offered.iter().map(|transport| {
            let binary = if transport.is_binary() {
                r#","Binary""#
            } else {
                ""
            };
            let name = transport.as_str();
            format!(r#"{{"transport":"{name}","transferFormats":["Text"{binary}]}}"#)
        });
        let offered = offered.collect::<Vec<_>>().join(",");
        let stateful = if stateful {
            r#","useStatefulReconnect":true"#
        } else {
            ""
        };
        said(
            200,
            &format!(
                r#"{{"negotiateVersion":1,"connectionId":"public-{token}","connectionToken":"{token}","availableTransports":[{offered}]{stateful}}}"#
            ),
        )
    }

    fn connect(&self) -> (String, Arc<Connection>) {
        let (said, heard) = mpsc::unbounded_channel();
        let (say, waiting) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.last += 1;
        let token = format!("t{}", state.last);
        let peer = Peer {
            transport: Transport::WebSockets,
            said: heard,
            say: say.clone(),
            _alive: Alive(say.clone()),
        };
        let connection = Arc::new(Connection {
            said,
            say,
            waiting: tokio::sync::Mutex::new(waiting),
            peer: Mutex::new(Some(peer)),
            greeted: Mutex::new(false),
            polled: Mutex::new(false),
            stalls: false,
        });
        state.connections.insert(token.clone(), connection.clone());
        (token, connection)
    }

    async fn open(
        &self,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let headers = request.headers();
        let transport = if headers.contains_key(header::UPGRADE) {
            Transport::WebSockets
        } else if headers[header::ACCEPT] == "text/event-stream" {
            Transport::ServerSentEvents
        } else {
            Transport::LongPolling
        };
        if let Some(peer) = &mut *connection.peer.lock().unwrap() {
            peer.transport = transport;
        }
        let fault = self.state().faults.get(&transport).copied();
        let fault = fault.unwrap_or_default();
        match fault {
            Fault::Status(status) => return said(status, ""),
            Fault::Silent => std::future::pending().await,
            Fault::None | Fault::Stalls | Fault::Closes => {}
        }
        match transport {
            Transport::WebSockets => self.upgrade(connection, request, fault),
            Transport::ServerSentEvents => events(connection, fault),
            Transport::LongPolling => self.poll(&connection, fault).await,
        }
    }

    fn upgrade(
        &self,
        connection: Arc<Connection>,
        mut request: Request<Incoming>,
        fault: Fault,
    ) -> Response<Body> {
        let key = request.headers()[header::SEC_WEBSOCKET_KEY].clone();
        let on = hyper::upgrade::on(&mut request);
        tokio::spawn(self.clone().speak(on, connection, fault));
        let mut response = said(101, "");
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, "websocket".parse().unwrap());
        headers.insert(header::CONNECTION, "Upgrade".parse().unwrap());
        let accept = derive_accept_key(key.as_bytes()).parse().unwrap();
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        response
    }

    async fn speak(self, on: OnUpgrade, connection: Arc<Connection>, fault: Fault) {
        let stream = TokioIo::new(on.await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        if fault == Fault::Closes {
            let _ = socket.close(None).await;
            return;
        }
        let mut waiting = connection.waiting.lock().await;
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) if fault == Fault::None => connection.hear(&self, &text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                text = waiting.recv() => match text {
                    Some(text) if text != END => {
                        if socket.send(Message::text(text)).await.is_err() {
                            break;
                        }
                    }
                    _ => break,
                },
            }
        }
        connection.end();
    }

    async fn poll(&self, connection: &Connection, fault: Fault) -> Response<Body> {
        if !std::mem::replace(&mut *connection.polled.lock().unwrap(), true) {
            return said(200, "");
        }
        let instead = self.state().polls.pop_front();
        if let Some(answer) = instead {
            if answer.status() == StatusCode::GATEWAY_TIMEOUT {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            return answer.map(|body| Full::from(body).boxed_unsync());
        }
        match fault {
            Fault::Closes => return said(204, ""),
            Fault::Stalls => std::future::pending().await,
            Fault::None | Fault::Status(_) | Fault::Silent => {}
        }
        let mut waiting = connection.waiting.lock().await;
        match timeout(Duration::from_secs(90), waiting.recv()).await {
            Err(_) => said(200, ""),
            Ok(Some(text)) if text != END => said(200, &text),
            Ok(_) => said(204, ""),
        }
    }
}

impl Connection {
    fn hear(&self, hub: &Hub, text: &str) {
        for record in text.split_terminator('\u{1e}') {
            if std::mem::replace(&mut *self.greeted.lock().unwrap(), true) {
                let _ = self.said.send(record.to_owned());
                continue;
            }
            hub.state().handshakes.push(record.to_owned());
            let welcome = hub.state().welcome.clone();
            if !self.stalls {
                let _ = self.say.send(welcome);
            }
            if let Some(peer) = self.peer.lock().unwrap().take() {
                let _ = hub.come.send(peer);
            }
        }
    }

    /// The client has gone.
    fn end(&self) {
        let _ = self.said.send(GONE.to_owned());
    }
}

/// What stands for a client that has gone, behind all that it has said.
pub(crate) const GONE: &str = "gone";

fn events(connection: Arc<Connection>, fault: Fault) -> Response<Body> {
    let frames = stream::unfold(connection, move |connection| async move {
        match fault {
            Fault::Stalls => std::future::pending().await,
            Fault::Closes => return None,
            Fault::None | Fault::Status(_) | Fault::Silent => {}
        }
        let text = connection.waiting.lock().await.recv().await;
        let text = text.filter(|text| text != END)?;
        let frame = Frame::data(Bytes::from(format!("data: {text}\r\n\r\n")));
        Some((Ok(frame), connection))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = "text/event-stream".parse().unwrap();
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.to_owned()).unwrap()
}

fn said(status: u16, text: &str) -> Response<Body> {
    answer(status, &[], text).map(|body| Full::from(body).boxed_unsync())
}

impl Connect for Hub {
    fn connect<'a>(&'a self, to: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let (hub, authority) = (self.clone(), to.clone());
            let service = service_fn(move |request| {
                let responding = hub.clone().respond(authority.clone(), request);
                async move { Ok::<_, Infallible>(responding.await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(far), service);
            tokio::spawn(serving.with_upgrades());
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }
}
