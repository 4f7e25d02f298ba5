//! A WebSocket: handshake, echo, ping, hold, close (RFC 6455), with or without TLS.
//!
//! An open port says little: some proxies accept the handshake and hang up at once, so the socket
//! is held and must answer a ping. What forgets a quiet connection says nothing when it does, so
//! the socket is left alone for as long as it is held, and must then answer a ping again. Whether
//! what it carries arrives as it was sent, only a server shows that sends text back.

mod echo;

use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::frame::coding::CloseCode};

use super::tls;
use crate::{
    ask::Ask,
    evidence::{Finding, Outcome, PhaseName, Trouble, Unit},
    families::exercise,
    path::Path,
    registry::{Probe, Sent},
    run::{Run, Stop},
    stream::{Opened, conclude, open_plain, open_tls},
    websocket::{Socket, stop_of, upgrade},
};

/// Most messages that are taken while the socket is held.
const MESSAGES_MAX: u32 = 1000;
/// Longest control frame of a client (RFC 6455 §5.5): head, mask and payload. Pongs repeat what the
/// server sent, and so does a goodbye that answers one.
const CONTROL_FRAME_MAX: usize = 2 + 4 + 125;
/// Our ping: head, mask and payload.
const PING_LEN: usize = 2 + 4 + 8;
/// How long a pong may take beyond the hold, if the time-out leaves as much.
const PONG_WAIT: Duration = Duration::from_secs(5);
/// How long a goodbye may take, likewise.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Longest hold.
const HOLD_MAX: Duration = Duration::from_secs(3600);

/// WebSocket without TLS.
pub(crate) struct Ws;

impl Probe for Ws {
    fn protocols(&self) -> &'static [&'static str] {
        &["ws"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        sent(ask)
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_plain(run).boxed()).boxed()
    }
}

/// WebSocket over TLS.
pub(crate) struct Wss;

impl Probe for Wss {
    fn protocols(&self) -> &'static [&'static str] {
        &["wss"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        tls::sent().into_iter().chain(sent(ask)).collect()
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt_tls(run).boxed()).boxed()
    }
}

fn sent(ask: &Ask) -> Vec<Sent> {
    let size = 300 + ask.host.word().len() + ask.http.path.len();
    let echo = Sent::new("a random text that should come back", echo::FRAME_LEN, 1);
    let always = [
        Sent::new(
            &format!("a WebSocket handshake, GET {}", ask.http.path),
            size,
            1,
        ),
        Sent::new(
            "a WebSocket ping before and after a quiet time, and a goodbye",
            2 * PING_LEN + CONTROL_FRAME_MAX,
            1,
        ),
        Sent::new(
            "a WebSocket pong to each of the server's pings",
            CONTROL_FRAME_MAX,
            MESSAGES_MAX,
        ),
    ];
    let echo = ask.http.echo.then_some(echo);
    always.into_iter().chain(echo).collect()
}

async fn attempt_plain(run: &mut Run<'_>) -> Result<(), Stop> {
    let opened = open_plain(run).await?;
    attempt(run, opened, "ws", 80).await
}

async fn attempt_tls(run: &mut Run<'_>) -> Result<(), Stop> {
    let opened = open_tls(run).await?;
    attempt(run, opened, "wss", 443).await
}

async fn attempt(
    run: &mut Run<'_>,
    mut opened: Opened,
    scheme: &str,
    usual_port: u16,
) -> Result<(), Stop> {
    let path = run.ask.http.path.as_str();
    let mut socket = match upgrade(run, opened.stream, (scheme, usual_port), path, None).await {
        Ok(socket) => socket,
        Err(stop) => return conclude(opened.doubt, Err(stop)),
    };
    if let Some(doubt) = opened.doubt.take_if(|doubt| doubt.outcome == Outcome::Fail) {
        return Err(doubt);
    }
    let held = match echo::exchange(run, &mut socket).await {
        Ok(()) => hold(run, &mut socket).await,
        Err(stop) => Err(stop),
    };
    let goodbye = async {
        let _ = timeout(CLOSE_WAIT, socket.close(None)).await;
        Ok(())
    };
    let _ = run.phase(PhaseName::Close, goodbye).await;
    conclude(opened.doubt, held)
}

/// Pings, sees whether the socket stays open for as long as the ask says, and pings again.
async fn hold(run: &mut Run<'_>, socket: &mut Socket) -> Result<(), Stop> {
    let hold = run.ask.hold.min(HOLD_MAX);
    run.extend(hold);
    let payload: [u8; 8] = run.path.tls().random()?;
    let start = Instant::now();
    let mut watch = Watch {
        start,
        payload,
        pong: None,
        answered: false,
        messages: 0,
    };
    let held = watch_all(run, socket, &mut watch, start + hold).await;
    if let Some(evidence) = &mut run.attempt.websocket {
        evidence.pong = watch.pong;
        evidence.held = start.elapsed();
        evidence.messages = watch.messages;
    }
    held
}

async fn watch_all(
    run: &mut Run<'_>,
    socket: &mut Socket,
    watch: &mut Watch,
    end: Instant,
) -> Result<(), Stop> {
    run.phase(PhaseName::Hold, watch.until(socket, end)).await?;
    if watch.pong.is_none() {
        let waiting = watch.for_pong(socket, end + PONG_WAIT);
        in_time(run.phase(PhaseName::Ping, waiting).await)?;
        return match watch.pong {
            Some(_) => Ok(()),
            None => Err(Stop::warn(Trouble::EchoMissing)),
        };
    }
    if watch.has_heard_enough() {
        return Ok(());
    }
    let quiet = watch.start.elapsed();
    watch.answered = false;
    let asking = async {
        watch.ping(socket).await?;
        watch.for_pong(socket, Instant::now() + PONG_WAIT).await
    };
    in_time(run.phase(PhaseName::Ping, asking).await)?;
    if watch.answered || watch.has_heard_enough() {
        return Ok(());
    }
    Err(Trouble::WebSocketSilent {
        after_micros: micros(quiet),
    }
    .into())
}

/// That the attempt's time ends before a pong comes is a missing pong, and judged as such.
fn in_time(waited: Result<(), Stop>) -> Result<(), Stop> {
    match waited {
        Err(Stop {
            trouble: Trouble::TimedOut { .. },
            ..
        }) => Ok(()),
        other => other,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What happens on a socket that is held.
struct Watch {
    start: Instant,
    payload: [u8; 8],
    /// Until the first pong.
    pong: Option<Duration>,
    /// Whether the latest ping was answered.
    answered: bool,
    messages: u32,
}

impl Watch {
    async fn until(&mut self, socket: &mut Socket, end: Instant) -> Result<(), Stop> {
        self.ping(socket).await?;
        self.watch(socket, end, |_| false).await
    }

    async fn ping(&mut self, socket: &mut Socket) -> Result<(), Stop> {
        // No ping is like the one before it, so that no pong counts twice.
        if let Some(last) = self.payload.last_mut() {
            *last = !*last;
        }
        let ping = Message::Ping(self.payload.to_vec().into());
        let sent = socket.send(ping).await;
        sent.map_err(|error| self.stop_of(&error))
    }

    async fn for_pong(&mut self, socket: &mut Socket, end: Instant) -> Result<(), Stop> {
        self.watch(socket, end, |watch| watch.answered).await
    }

    async fn watch(
        &mut self,
        socket: &mut Socket,
        end: Instant,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Stop> {
        while !enough(self) && !self.has_heard_enough() {
            let next = futures_util::future::select(socket.next(), Box::pin(sleep_until(end)));
            match next.await {
                futures_util::future::Either::Left((message, _)) => self.note(message)?,
                futures_util::future::Either::Right(_) => break,
            }
        }
        Ok(())
    }

    fn note(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Stop> {
        match message {
            Some(Ok(Message::Pong(payload))) => {
                if *payload == self.payload {
                    self.pong.get_or_insert(self.start.elapsed());
                    self.answered = true;
                }
            }
            Some(Ok(Message::Close(frame))) => {
                return Err(self.closed(frame.map(|frame| frame.code)));
            }
            Some(Ok(
                Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Frame(_),
            )) => self.messages += 1,
            Some(Err(error)) => return Err(self.stop_of(&error)),
            None => return Err(self.closed(None)),
        }
        if self.messages >= MESSAGES_MAX && self.pong.is_none() {
            return Err(Trouble::TooMuch {
                bound: u64::from(MESSAGES_MAX),
                unit: Unit::Messages,
            }
            .into());
        }
        Ok(())
    }

    /// A socket that answered and goes on talking has shown that it works. No more is read of it.
    fn has_heard_enough(&self) -> bool {
        self.messages >= MESSAGES_MAX && self.pong.is_some()
    }

    fn closed(&self, code: Option<CloseCode>) -> Stop {
        Trouble::WebSocketClosed {
            code: code.map(u16::from),
            after_micros: micros(self.start.elapsed()),
            answered: self.pong.is_some(),
        }
        .into()
    }

    fn stop_of(&self, error: &Error) -> Stop {
        let stop = stop_of(error, PhaseName::Hold, self.start);
        let closed = matches!(stop.trouble, Trouble::Closed { .. } | Trouble::Reset { .. });
        if closed { self.closed(None) } else { stop }
    }
}
