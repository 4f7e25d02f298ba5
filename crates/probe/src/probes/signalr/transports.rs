//! The three transports, each up to the answer to SignalR's handshake.

use futures_util::{SinkExt, StreamExt};
use http::{Method, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use outgate_wire::{
    event_stream::Reader,
    signalr::{ANSWER_MAX, HANDSHAKE, Handshake, SignalRError, handshake},
};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{super::events::kept, Negotiation, negotiate, refused, with_query};
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

/// A connection to the hub: negotiated, and ready for more requests.
async fn connection(run: &mut Run<'_>) -> Result<(Client, String), Stop> {
    let opened = open_tls(run).await?;
    let mut client = Client::over(opened.stream).await?;
    let Negotiation { id, .. } = negotiate(run, &mut client).await?;
    Ok((
        client,
        with_query(&run.ask.http.path, "", &format!("id={id}")),
    ))
}

/// WebSocket: the handshake of HTTP, then SignalR's.
pub(super) async fn web_sockets(run: &mut Run<'_>) -> Result<(), Stop> {
    let (_client, path) = connection(run).await?;
    let opened = open_tls(run).await?;
    let mut socket = upgrade(run, opened.stream, ("wss", 443), &path, None).await?;
    let talked = run.phase(PHASE, talk(&mut socket)).await;
    let goodbye = async {
        let _ = socket.close(None).await;
        Ok(())
    };
    let _ = run.phase(PhaseName::Close, goodbye).await;
    talked
}

async fn talk(socket: &mut Socket) -> Result<(), Stop> {
    let start = Instant::now();
    let closed = |code| -> Stop {
        Trouble::WebSocketClosed {
            code,
            after_micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
            answered: false,
        }
        .into()
    };
    let stop = |error| {
        let stop = websocket::stop_of(&error, PHASE, start);
        if stop.is_hang_up() {
            closed(None)
        } else {
            stop
        }
    };
    socket
        .send(Message::Text(HANDSHAKE.into()))
        .await
        .map_err(stop)?;
    let mut heard = Vec::new();
    for _ in 0..PIECES_MAX {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => heard.extend_from_slice(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => heard.extend_from_slice(&bytes),
            Some(Ok(Message::Close(frame))) => {
                return Err(closed(frame.map(|frame| frame.code.into())));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(error)) => return Err(stop(error)),
            None => return Err(closed(None)),
        }
        if is_welcome(&heard)? {
            return Ok(());
        }
    }
    Err(too_many())
}

/// Server-Sent Events: what the server says comes on one connection, what we say goes on another.
pub(super) async fn server_sent_events(run: &mut Run<'_>) -> Result<(), Stop> {
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
    say_handshake(run, &mut talking, &path).await?;
    match run.phase(PHASE, first_event(response.into_body())).await {
        // The hub answers at once, so somebody on the way has it and keeps it.
        Err(Stop {
            trouble: Trouble::TimedOut { .. },
            ..
        }) => Err(Trouble::StreamBuffered.into()),
        other => other,
    }
}

async fn first_event(mut body: Incoming) -> Result<(), Stop> {
    let start = Instant::now();
    let mut reader = Reader::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| stop_of(&error, PHASE, start))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        bytes += data.len();
        if bytes > ANSWER_MAX {
            return Err(too_long());
        }
        let events = reader
            .handle_bytes(data)
            .map_err(|error| Trouble::Malformed {
                what: error.to_string(),
            })?;
        if let Some(event) = events.first() {
            return match is_welcome(event.data.as_bytes())? {
                true => Ok(()),
                false => Err(Trouble::NotSignalR.into()),
            };
        }
    }
    Err(Trouble::Closed { phase: PHASE }.into())
}

/// Long polling: the first poll opens, the handshake goes, the next poll brings its answer.
pub(super) async fn long_polling(run: &mut Run<'_>) -> Result<(), Stop> {
    let (mut client, path) = connection(run).await?;
    poll(run, &mut client, &path).await?;
    say_handshake(run, &mut client, &path).await?;
    let mut heard = Vec::new();
    for _ in 0..PIECES_MAX {
        heard.extend(poll(run, &mut client, &path).await?);
        if is_welcome(&heard)? {
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

async fn say_handshake(run: &mut Run<'_>, client: &mut Client, path: &str) -> Result<(), Stop> {
    let words = request(run, Method::POST, path, 443, ("*/*", HANDSHAKE))?;
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

fn is_welcome(heard: &[u8]) -> Result<bool, Stop> {
    match handshake(heard) {
        Ok(None) => Ok(false),
        Ok(Some(Handshake::Accepted)) => Ok(true),
        Ok(Some(Handshake::Refused { error })) => Err(refused(&error)),
        Err(SignalRError::TooLong) => Err(too_long()),
        Err(SignalRError::NotSignalR) => Err(Trouble::NotSignalR.into()),
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
