//! A random text that should come back as it was sent.

use std::{fmt::Write, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::MESSAGES_MAX;
use crate::{
    evidence::{PhaseName, Trouble, Unit},
    run::{Run, Stop},
    text::cut,
    websocket::{Socket, stop_of},
};

const PHASE: PhaseName = PhaseName::Exchange;
/// How long the text may take to come back, if the time-out leaves as much.
const WAIT: Duration = Duration::from_secs(5);
/// Random bytes of a text, two digits each.
const RANDOM_LEN: usize = 16;
/// The text's frame: head, mask and payload (RFC 6455 §5.2).
pub(super) const FRAME_LEN: usize = 2 + 4 + 2 * RANDOM_LEN;
/// Longest text that is quoted, in characters.
const TEXT_MAX: usize = 100;

/// Sends a text and waits for it, where the ask says that it comes back. What else the server says
/// meanwhile may be a greeting.
pub(super) async fn exchange(run: &mut Run<'_>, socket: &mut Socket) -> Result<(), Stop> {
    if !run.ask.http.echo {
        return Ok(());
    }
    let random: [u8; RANDOM_LEN] = run.path.tls().random()?;
    let mut text = String::new();
    for byte in random {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    let start = Instant::now();
    let mut came = None;
    let exchanged = run
        .phase(PHASE, wait(socket, &text, &mut came, start))
        .await;
    match exchanged {
        Ok(true) => {}
        Err(Stop {
            trouble: Trouble::TimedOut { .. },
            ..
        })
        | Ok(false) => return Err(Trouble::WebSocketAltered { came }.into()),
        Err(stop) => return Err(stop),
    }
    if let Some(evidence) = &mut run.attempt.websocket {
        evidence.echo = Some(start.elapsed());
    }
    Ok(())
}

/// Whether the text came back. `came` is the first that came in its place.
async fn wait(
    socket: &mut Socket,
    text: &str,
    came: &mut Option<String>,
    start: Instant,
) -> Result<bool, Stop> {
    let stop = |error| stop_of(&error, PHASE, start);
    let sent = socket.send(Message::text(text)).await;
    sent.map_err(|error| unless_closed(stop(error), None, start))?;
    for _ in 0..MESSAGES_MAX {
        let Ok(message) = timeout_at(start + WAIT, socket.next()).await else {
            return Ok(false);
        };
        match message {
            Some(Ok(Message::Text(echo))) if echo == text => return Ok(true),
            Some(Ok(Message::Text(other))) => {
                came.get_or_insert_with(|| cut(&other, TEXT_MAX));
            }
            Some(Ok(Message::Binary(bytes))) => {
                came.get_or_insert_with(|| format!("{} bytes", bytes.len()));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => {
                return Err(closed(frame.map(|frame| frame.code.into()), start));
            }
            Some(Err(error)) => return Err(unless_closed(stop(error), None, start)),
            None => return Err(closed(None, start)),
        }
    }
    Err(Trouble::TooMuch {
        bound: MESSAGES_MAX.into(),
        unit: Unit::Messages,
    }
    .into())
}

fn unless_closed(stop: Stop, code: Option<u16>, start: Instant) -> Stop {
    if stop.is_hang_up() {
        closed(code, start)
    } else {
        stop
    }
}

fn closed(code: Option<u16>, start: Instant) -> Stop {
    Trouble::WebSocketClosed {
        code,
        after_micros: super::micros(start.elapsed()),
        answered: false,
    }
    .into()
}
