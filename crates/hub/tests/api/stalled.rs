//! A client that asks for a stream and then takes nothing, over a real connection to a whole hub.

use std::net::SocketAddr;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use outgate_core::identity::{Actor, Claim, Given, Issued, Role, Scope};
use outgate_core::secret::Secret;
use outgate_core::{Core, events::NewEvent};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::hub::soon;
use crate::running::Running;

/// More than what the kernel keeps for a connection, in events of this size.
const EVENTS: u32 = 64;
const EVENT: usize = 200_000;

/// The least of an answer that is waited for: its head, and the beginning of an event.
const BEGUN: usize = 2_000;

/// A kind of frame of HTTP/2 and a reason in it (RFC 9113, sections 6.4 and 7).
const RST_STREAM: u8 = 3;
const CANCEL: u32 = 8;

/// A hub that listens without TLS, as on a trusted network.
struct Trusted {
    core: Core,
    address: SocketAddr,
    _running: Running,
}

#[tokio::test]
async fn a_stalled_stream_over_http_1_is_cut_when_its_token_is_revoked() {
    let hub = Trusted::new().await;
    let token = hub.operator("ann").await;
    let request = format!(
        "GET /api/events?after=0 HTTP/1.1\r\nhost: hub\r\naccept: text/event-stream\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    let stalled = hub.stall(request.as_bytes()).await;
    hub.revoke("ann").await;
    assert_closed(stalled).await;
}

#[tokio::test]
async fn a_stalled_stream_over_http_2_is_cut_when_its_token_is_revoked() {
    let hub = Trusted::new().await;
    let token = hub.operator("ann").await;
    let mut stalled = hub.stall(&http2(&token)).await;
    hub.revoke("ann").await;
    assert_eq!(soon(reset(&mut stalled)).await, (1, CANCEL));
}

#[tokio::test]
async fn a_stalled_stream_over_http_2_is_cut_and_its_connection_goes_on() {
    let hub = Trusted::new().await;
    let [ann, bob] = [hub.operator("ann").await, hub.operator("bob").await];
    let stream = TcpStream::connect(hub.address).await.unwrap();
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(16 * 1_024)
        .initial_connection_window_size(1_024 * 1_024)
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .unwrap();
    let connected = tokio::spawn(connection);
    let mut stalled = soon(client.send_request(follow(&ann))).await.unwrap();
    let mut going_on = soon(client.send_request(follow(&bob))).await.unwrap();
    // An event is larger than the window: from here on there is more to send.
    soon(stalled.frame()).await.unwrap().unwrap();
    hub.revoke("ann").await;

    let all = EVENTS as usize * EVENT;
    let mut came = 0;
    let end = loop {
        match soon(stalled.frame()).await {
            Some(Ok(frame)) => came += frame.into_data().map_or(0, |data| data.len()),
            end => break end,
        }
    };
    assert!(end.is_some_and(|end| end.is_err()), "it was not reset");
    assert!(came < all, "the whole stream was sent");
    let mut came = 0;
    while came < all {
        let frame = soon(going_on.frame()).await.unwrap().unwrap();
        came += frame.into_data().map_or(0, |data| data.len());
    }
    let next = soon(client.send_request(follow(&bob))).await.unwrap();
    assert_eq!(next.status(), 200);
    assert!(!connected.is_finished());
}

#[tokio::test]
async fn a_stalled_stream_of_somebody_else_goes_on() {
    let hub = Trusted::new().await;
    let [ann, bob] = [hub.operator("ann").await, hub.operator("bob").await];
    let mut stalled = hub.stall(&http2(&ann)).await;
    let mut going_on = hub.stall(&http2(&bob)).await;
    hub.revoke("ann").await;
    assert_eq!(soon(reset(&mut stalled)).await, (1, CANCEL));
    // The answer goes a little later than its connection.
    soon(async {
        while hub.core.sessions.count() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let more = soon(going_on.read(&mut [0; 1])).await.unwrap();
    assert_eq!(more, 1);
}

impl Trusted {
    async fn new() -> Self {
        let text = "[[listen]]\naddress = '127.0.0.1:0'\ntls = false\n";
        let running = Running::on(tempfile::tempdir().unwrap(), text).await;
        let core = running.hub.state().core.clone();
        say_much(&core).await;
        Self {
            core,
            address: running.hub.listening()[0].address,
            _running: running,
        }
    }

    /// The token of a new operator.
    async fn operator(&self, id: &str) -> String {
        let (identity, id) = (&self.core.identity, id.parse().unwrap());
        let admin = Actor::hub();
        let made = identity.create_operator(&admin, id, Role::Viewer, Scope::All);
        String::from_utf8(token(made.await.unwrap().1).expose().to_vec()).unwrap()
    }

    /// A connection that has asked for a stream by `request` and takes nothing of it.
    async fn stall(&self, request: &[u8]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut begun = [0; BEGUN];
        soon(async {
            while stream.peek(&mut begun).await.unwrap() < BEGUN {
                tokio::task::yield_now().await;
            }
        })
        .await;
        stream
    }

    async fn revoke(&self, operator: &str) {
        let (identity, id) = (&self.core.identity, operator.parse().unwrap());
        let revoked = identity.revoke_operator(&Actor::hub(), &id).await.unwrap();
        assert_eq!(revoked.connections.ended, 1);
    }
}

/// The rest of what was sent, and then nothing more, well before the hub gives up on who takes
/// nothing (a minute).
async fn assert_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // What it did not take the system throws away, which is told as a reset.
    let _ = soon(stream.read_to_end(&mut rest)).await;
    let all = u64::from(EVENTS) * EVENT as u64;
    assert!((rest.len() as u64) < all, "the whole stream was sent");
}

/// The stream that is reset first, and why.
async fn reset(stream: &mut TcpStream) -> (u32, u32) {
    loop {
        // A frame (RFC 9113, section 4.1): its length, its kind, its flags and its stream.
        let [a, b, c, kind, _, stream_id @ ..] = {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            head
        };
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if kind == RST_STREAM {
            let why = payload.try_into().unwrap();
            return (u32::from_be_bytes(stream_id), u32::from_be_bytes(why));
        }
    }
}

/// Asks for all events, and for those that come.
fn follow(token: &str) -> Request<Body> {
    let request = Request::get("http://hub/api/events?after=0")
        .header("accept", "text/event-stream")
        .header("authorization", format!("Bearer {token}"));
    request.body(Body::empty()).unwrap()
}

/// A device's events, large ones.
async fn say_much(core: &Core) {
    let (identity, admin) = (&core.identity, Actor::hub());
    let (site, device) = ("s".parse().unwrap(), "d".parse().unwrap());
    let made = identity.create_site(&admin, site, "S".to_owned());
    let site = made.await.unwrap().id;
    let made = identity.create_device(&admin, device, site, None);
    let device = made.await.unwrap().id;
    let made = identity.add_token(&admin, &device, "t".to_owned(), None);
    let token = token(made.await.unwrap());
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = identity.authenticate(claim).await.unwrap();
    let peer = "192.0.2.7:1".parse().unwrap();
    let session = core.open_session(&who, "test", peer).await.unwrap();
    for _ in 0..EVENTS {
        let event = NewEvent {
            name: "much".to_owned(),
            content_type: String::new(),
            properties: [].into(),
            payload: vec![0xff; EVENT].into(),
        };
        core.events.append(&session, event).await.unwrap();
    }
}

fn token(issued: Issued) -> Secret {
    match issued.given {
        Given::Token(token) => token,
        Given::Key(_) | Given::Certificate(_) | Given::Nothing => panic!("a token was expected"),
    }
}

/// What asks for the same over HTTP/2 (RFC 9113, sections 3.4, 6.2 and 6.5), and lets no more come
/// than the first window has.
fn http2(token: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/api/events?after=0"),
        (":authority", "hub"),
        ("accept", "text/event-stream"),
        ("authorization", &format!("Bearer {token}")),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal field that is not indexed (RFC 7541, section 6.2.2).
        block.push(0);
        for text in [name, value] {
            let length = u8::try_from(text.len()).unwrap();
            assert!(length < 127, "a length of one byte");
            block.push(length);
            block.extend(text.as_bytes());
        }
    }
    let length = u8::try_from(block.len()).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, length, 1, 0x5, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes
}
