//! The three transports, each up to the answer to SignalR's handshake and a ping after it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use outgate_signalr::{
    Protocol,
    encode::{Plain, plain},
    handshake::Request,
    negotiate::ANSWER_MAX,
};
use outgate_wire::event_stream::Reader;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::{super::events::kept, heard::Heard, negotiate, with_query};
use crate::{
    evidence::{PhaseName, Trouble, Unit},
    http::{Client, EVENT_STREAM, is_event_stream, judge_ok, read_whole, request, stop_of},
    run::{Run, Stop},
    stream::open_tls,
    websocket::{self, Socket, upgrade},
};

const PHASE: PhaseName = PhaseName::Exchange;
/// Most messages or polls in which the answer may come.
const PIECES_MAX: u32 = 100;
/// Most bytes of a stream that are read.
const STREAM_MAX: u64 = 1 << 20;
/// Longest time for which a connection is held after the ping.
const HOLD_MAX: Duration = Duration::from_secs(3600);

/// A connection to the hub: negotiated, and ready for more requests.
async fn connection(run: &mut Run<'_>) -> Result<(Client, String), Stop> {
    let opened = open_tls(run).await?;
    let mut client = Client::over(opened.stream).await?;
    let negotiated = negotiate(run, &mut client).await?;
    let id = format!("id={}", negotiated.token.expose());
    Ok((client, with_query(&run.ask.http.path, "", &id)))
}

/// The handshake for messages of that kind.
fn handshake(protocol: Protocol) -> Bytes {
    Request::new(protocol).to_bytes().into()
}

fn ping(protocol: Protocol) -> Bytes {
    plain(protocol, &Plain::Ping)
}

/// Allows for the time for which a connection is held, and returns it.
fn hold(run: &mut Run<'_>) -> Duration {
    let hold = run.ask.hold.min(HOLD_MAX);
    run.extend(hold);
    hold
}

/// WebSocket: the handshake of HTTP, then SignalR's, then a ping.
pub(super) async fn web_sockets(run: &mut Run<'_>, protocol: Protocol) -> Result<(), Stop> {
    let (_client, path) = connection(run).await?;
    let opened = open_tls(run).await?;
    let socket = upgrade(run, opened.stream, ("wss", 443), &path, None).await?;
    let mut talk = Talk {
        socket,
        protocol,
        heard: Heard::new(protocol),
        start: Instant::now(),
    };
    let hold = hold(run);
    let mut talked = run.phase(PHASE, talk.greet()).await;
    if talked.is_ok() {
        talked = run.phase(PhaseName::Hold, talk.hold(hold)).await;
    }
    let goodbye = async {
        let _ = talk.socket.close(None).await;
        Ok(())
    };
    let _ = run.phase(PhaseName::Close, goodbye).await;
    talked
}

struct Talk {
    socket: Socket,
    protocol: Protocol,
    heard: Heard,
    start: Instant,
}

impl Talk {
    async fn greet(&mut self) -> Result<(), Stop> {
        self.say(handshake(self.protocol)).await?;
        for _ in 0..PIECES_MAX {
            self.hear().await?;
            if self.heard.is_welcome() {
                return Ok(());
            }
        }
        Err(too_many())
    }

    async fn hold(&mut self, hold: Duration) -> Result<(), Stop> {
        let end = Instant::now() + hold;
        self.say(ping(self.protocol)).await?;
        for _ in 0..PIECES_MAX {
            match timeout_at(end, self.hear()).await {
                Ok(heard) => heard?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    async fn say(&mut self, record: Bytes) -> Result<(), Stop> {
        let message = match self.protocol {
            // All records of JSON are text.
            Protocol::Json => Message::Text(record.try_into().unwrap_or_default()),
            Protocol::MessagePack => Message::Binary(record),
        };
        let sent = self.socket.send(message).await;
        sent.map_err(|error| self.stop(&error))
    }

    async fn hear(&mut self) -> Result<(), Stop> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => self.heard.handle_bytes(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => self.heard.handle_bytes(&bytes),
            Some(Ok(Message::Close(frame))) => {
                Err(self.closed(frame.map(|frame| frame.code.into())))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Err(error)) => Err(self.stop(&error)),
            None => Err(self.closed(None)),
        }
    }

    fn stop(&self, error: &tokio_tungstenite::tungstenite::Error) -> Stop {
        let stop = websocket::stop_of(error, PHASE, self.start);
        if stop.is_hang_up() {
            self.closed(None)
        } else {
            stop
        }
    }

    fn closed(&self, code: Option<u16>) -> Stop {
        Trouble::WebSocketClosed {
            code,
            after_micros: u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX),
            answered: self.heard.is_welcome(),
        }
        .into()
    }
}

/// Server-Sent Events: what the server says comes on one connection, what we say goes on another.
pub(super) async fn server_sent_events(run: &mut Run<'_>, protocol: Protocol) -> Result<(), Stop> {
    let (mut listening, path) = connection(run).await?;
    let opened = open_tls(run).await?;
    let mut talking = Client::over(opened.stream).await?;
    let question = request(run, Method::GET, &path, 443, (EVENT_STREAM, ""))?;
    let response = run
        .phase(PhaseName::FirstByte, listening.send(question))
        .await
        .map_err(kept)?;
    judge_ok(response.status())?;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| is_event_stream(kind.as_bytes())) {
        return Err(Trouble::NotEventStream.into());
    }
    say(run, &mut talking, &path, handshake(protocol)).await?;
    let mut events = Events {
        body: response.into_body(),
        reader: Reader::new(),
        heard: Heard::new(protocol),
        bytes: 0,
    };
    match run.phase(PHASE, events.greet()).await {
        // The hub answers at once, so somebody on the way has it and keeps it.
        Err(Stop {
            trouble: Trouble::TimedOut { .. },
            ..
        }) => return Err(Trouble::StreamBuffered.into()),
        other => other?,
    }
    say(run, &mut talking, &path, ping(protocol)).await?;
    let hold = hold(run);
    run.phase(PhaseName::Hold, events.hold(hold)).await
}

struct Events {
    body: Incoming,
    reader: Reader,
    heard: Heard,
    bytes: u64,
}

impl Events {
    async fn greet(&mut self) -> Result<(), Stop> {
        while !self.heard.is_welcome() {
            self.hear(PHASE).await?;
        }
        Ok(())
    }

    async fn hold(&mut self, hold: Duration) -> Result<(), Stop> {
        let end = Instant::now() + hold;
        while let Ok(heard) = timeout_at(end, self.hear(PhaseName::Hold)).await {
            heard?;
        }
        Ok(())
    }

    async fn hear(&mut self, phase: PhaseName) -> Result<(), Stop> {
        let start = Instant::now();
        let frame = self.body.frame().await.ok_or(Trouble::Closed { phase })?;
        let frame = frame.map_err(|error| stop_of(&error, phase, start))?;
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        self.bytes += data.len() as u64;
        if self.bytes > STREAM_MAX {
            return Err(Trouble::TooMuch {
                bound: STREAM_MAX,
                unit: Unit::StreamBytes,
            }
            .into());
        }
        let events = self.reader.handle_bytes(data);
        let events = events.map_err(|error| Trouble::Malformed {
            what: error.to_string(),
        })?;
        for event in events {
            self.heard.handle_bytes(event.data.as_bytes())?;
        }
        Ok(())
    }
}

/// Long polling: the first poll opens, the handshake goes, the next poll brings its answer.
pub(super) async fn long_polling(run: &mut Run<'_>, protocol: Protocol) -> Result<(), Stop> {
    let (mut client, path) = connection(run).await?;
    poll(run, &mut client, &path).await?;
    say(run, &mut client, &path, handshake(protocol)).await?;
    let mut heard = Heard::new(protocol);
    for _ in 0..PIECES_MAX {
        heard.handle_bytes(&poll(run, &mut client, &path).await?)?;
        if heard.is_welcome() {
            say(run, &mut client, &path, ping(protocol)).await?;
            end(run, &mut client, &path).await;
            return Ok(());
        }
    }
    Err(too_many())
}

async fn poll(run: &mut Run<'_>, client: &mut Client, path: &str) -> Result<Vec<u8>, Stop> {
    let question = request(run, Method::GET, path, 443, ("*/*", ""))?;
    let polling = async {
        let response = client.send(question).await?;
        judge_ok(response.status())?;
        read_whole(response.into_body(), ANSWER_MAX).await
    };
    run.phase(PHASE, polling).await?.ok_or_else(too_long)
}

/// Says something to the hub beside what it says. It answers 200 as long as it knows the
/// connection.
async fn say(
    run: &mut Run<'_>,
    client: &mut Client,
    path: &str,
    record: Bytes,
) -> Result<(), Stop> {
    let mut words = request(run, Method::POST, path, 443, ("*/*", ""))?;
    *words.body_mut() = Full::new(record);
    let saying = async {
        let response = client.send(words).await?;
        judge_ok(response.status())?;
        read_whole(response.into_body(), ANSWER_MAX).await
    };
    run.phase(PHASE, saying).await.map(|_| ())
}

/// Tells the hub that nobody polls any more. What happens then does not matter.
async fn end(run: &mut Run<'_>, client: &mut Client, path: &str) {
    if let Ok(question) = request(run, Method::DELETE, path, 443, ("*/*", "")) {
        let ending = async { client.send(question).await.map(|_| ()) };
        let _ = run.phase(PhaseName::Close, ending).await;
    }
}

fn too_long() -> Stop {
    Trouble::TooMuch {
        bound: ANSWER_MAX as u64,
        unit: Unit::MessageBytes,
    }
    .into()
}

fn too_many() -> Stop {
    Trouble::TooMuch {
        bound: PIECES_MAX.into(),
        unit: Unit::Messages,
    }
    .into()
}
