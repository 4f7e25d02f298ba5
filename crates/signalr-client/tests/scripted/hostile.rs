//! Servers that say nothing, nonsense, too much, or all too slowly.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use outgate_signalr_client::connect::{Authority, Connect, Stream};
use outgate_signalr_client::{Builder, Cause, Client, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::closed;

const MESSAGE_MAX: usize = 64 * 1024;
/// More than any client here may take of what it does not want: a message, and what lies in
/// buffers on the way.
const TAKEN_MAX: usize = 16 * MESSAGE_MAX;

/// What a server does once its turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evil {
    Nothing,
    Closes,
    /// Bytes of no protocol.
    Nonsense,
    /// The same again and again.
    Endless(&'static [u8]),
    /// A byte a second of something that never ends.
    Slowly(&'static [u8]),
}

const EVILS: [Evil; 5] = [
    Evil::Nothing,
    Evil::Closes,
    Evil::Nonsense,
    Evil::Endless(b"x"),
    Evil::Slowly(b"x"),
];

/// Where a server turns evil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Before anything.
    First,
    /// In the head of the answer to the negotiation.
    Head,
    /// In its body.
    Body,
    /// Where a transport is to be opened.
    Transport,
    /// Once one is open.
    Open,
    /// Behind the answer to the handshake.
    Welcome,
}

#[derive(Clone)]
struct Server {
    turn: Turn,
    evil: Evil,
    /// Bytes of evil that were taken.
    taken: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

impl Server {
    fn new(turn: Turn, evil: Evil) -> Self {
        Self {
            turn,
            evil,
            taken: Arc::default(),
            polls: Arc::default(),
        }
    }

    fn builder(&self) -> Builder {
        let builder = Client::builder("http://hub.test/hub").connect(self.clone());
        builder.message_max(MESSAGE_MAX)
    }

    async fn be_evil(&self, stream: &mut DuplexStream) {
        match self.evil {
            Evil::Nothing => std::future::pending().await,
            Evil::Closes => {}
            Evil::Nonsense => {
                let _ = stream
                    .write_all(&[0, 255, 13, 10, 13, 10, 30, 10, 10])
                    .await;
                std::future::pending().await
            }
            Evil::Endless(what) => {
                let many = what.repeat(1024);
                while stream.write_all(&many).await.is_ok() {
                    self.taken.fetch_add(many.len(), Ordering::Relaxed);
                }
            }
            Evil::Slowly(what) => {
                for byte in what.iter().cycle() {
                    if stream.write_u8(*byte).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn serve(self, mut stream: DuplexStream) {
        if self.turn == Turn::First {
            return self.be_evil(&mut stream).await;
        }
        while let Some(head) = request(&mut stream).await {
            let post = head.starts_with("POST") || head.starts_with("DELETE");
            if head.contains("/negotiate") {
                if !self.negotiate(&mut stream).await {
                    return self.be_evil(&mut stream).await;
                }
            } else if post {
                say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            } else if self.turn == Turn::Transport {
                return self.be_evil(&mut stream).await;
            } else if head.contains("Upgrade") || head.contains("upgrade") {
                return self.socket(&mut stream, &head).await;
            } else if head.contains("text/event-stream") {
                say(
                    &mut stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
                )
                .await;
                if self.turn == Turn::Welcome {
                    say(&mut stream, "data: {}\u{1e}\n\n").await;
                }
                return self.be_evil(&mut stream).await;
            } else if self.polls.fetch_add(1, Ordering::Relaxed) == 0 {
                say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            } else {
                say(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
                if self.turn == Turn::Welcome {
                    say(&mut stream, "{}\u{1e}").await;
                }
                return self.be_evil(&mut stream).await;
            }
        }
    }

    /// Whether the negotiation was answered as it should be.
    async fn negotiate(&self, stream: &mut DuplexStream) -> bool {
        const OFFER: &str = r#"{"connectionToken":"t","availableTransports":[
            {"transport":"WebSockets","transferFormats":["Text"]},
            {"transport":"ServerSentEvents","transferFormats":["Text"]},
            {"transport":"LongPolling","transferFormats":["Text"]}]}"#;
        match self.turn {
            Turn::Head => say(stream, "HTTP/1.1 200 OK\r\nX-Long: ").await,
            Turn::Body => say(stream, "HTTP/1.1 200 OK\r\n\r\n").await,
            Turn::First | Turn::Transport | Turn::Open | Turn::Welcome => {
                let length = OFFER.len();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{OFFER}");
                say(stream, &head).await;
                return true;
            }
        }
        false
    }

    async fn socket(&self, stream: &mut DuplexStream, head: &str) {
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then_some(value)
        });
        let accept = derive_accept_key(key.unwrap().as_bytes());
        say(
            stream,
            &format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ),
        )
        .await;
        if self.turn == Turn::Welcome {
            say(stream, "\u{1}\u{0}").await;
            let _ = stream.write_all(b"\x80\x03{}\x1e").await;
        }
        self.be_evil(stream).await;
    }
}

/// The head of the next request. Bodies are short and come with it.
async fn request(stream: &mut DuplexStream) -> Option<String> {
    let mut bytes = vec![0; 8192];
    let mut length = 0;
    loop {
        let read = stream.read(&mut bytes[length..]).await.ok()?;
        if read == 0 {
            return None;
        }
        length += read;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if text.contains("\r\n\r\n") {
            return Some(text);
        }
    }
}

async fn say(stream: &mut DuplexStream, text: &str) {
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
}

impl Connect for Server {
    fn connect<'a>(&'a self, _: &'a Authority) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        let (near, far) = tokio::io::duplex(16 * 1024);
        tokio::spawn(self.clone().serve(far));
        Box::pin(std::future::ready(Ok(Box::new(near) as Box<dyn Stream>)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_ends_before_any_server_within_its_limits() {
    for turn in [
        Turn::First,
        Turn::Head,
        Turn::Body,
        Turn::Transport,
        Turn::Open,
    ] {
        for evil in EVILS {
            let server = Server::new(turn, evil);
            let client = server.builder().build().unwrap();
            let start = Instant::now();
            client.start().await.unwrap_err();
            let took = start.elapsed().as_secs();
            // Two waits of 100 s to negotiate: for the head and for the body; or the ladder.
            assert!(took <= 200, "{turn:?} {evil:?}: {took} s");
            let taken = server.taken.load(Ordering::Relaxed);
            assert!(taken < TAKEN_MAX, "{turn:?} {evil:?}: {taken} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_when_what_comes_does_not() {
    /// One piece of a message of WebSocket, which goes on.
    const PIECE: &[u8] = b"\x00\x04xxxx";
    /// A ping of WebSocket, which is answered.
    const SLOW_FRAME: &[u8] = b"\x01\x04x";
    /// A call with a result, from a hub that does not take what it is answered.
    const CALL: &[u8] =
        b"\x81\x3a{\"type\":1,\"invocationId\":\"1\",\"target\":\"X\",\"arguments\":[]}\x1e";
    for (transport, evil) in [
        (Transport::WebSockets, Evil::Endless(CALL)),
        (Transport::WebSockets, Evil::Endless(b"\x01\x04xxxx")),
        (Transport::WebSockets, Evil::Endless(PIECE)),
        (
            Transport::WebSockets,
            Evil::Endless(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
        (Transport::WebSockets, Evil::Slowly(SLOW_FRAME)),
        (Transport::WebSockets, Evil::Nonsense),
        (Transport::ServerSentEvents, Evil::Endless(b"data: xxxx\n")),
        (Transport::ServerSentEvents, Evil::Endless(b"data: ")),
        (Transport::ServerSentEvents, Evil::Closes),
        (Transport::LongPolling, Evil::Endless(b"xxxx")),
        (Transport::LongPolling, Evil::Closes),
    ] {
        let server = Server::new(Turn::Welcome, evil);
        let builder = server.builder().transports(&[transport]);
        let client = builder.build().unwrap();
        // It may be over before anybody has seen that it began.
        let _ = client.start().await;
        let cause = closed(&client).await.unwrap();
        let never = matches!(cause, Cause::Closed { .. } | Cause::NoTransport { .. });
        assert!(!never, "{transport:?} {evil:?}: {cause}");
        let taken = server.taken.load(Ordering::Relaxed);
        assert!(taken < TAKEN_MAX, "{transport:?} {evil:?}: {taken} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_comments_is_no_sign_of_life() {
    let server = Server::new(Turn::Welcome, Evil::Slowly(b":\n"));
    let builder = server.builder().transports(&[Transport::ServerSentEvents]);
    let client = builder.build().unwrap();
    client.start().await.unwrap();
    let start = Instant::now();
    let cause = closed(&client).await.unwrap();
    assert!(matches!(cause, Cause::Silent { .. }), "{cause}");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}
