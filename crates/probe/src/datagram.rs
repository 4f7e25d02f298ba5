//! One question and one answer over a socket that may lose either: DNS, NTP, ICMP.

use std::time::Duration;

use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use crate::{
    evidence::{PhaseName, Trouble},
    run::{Run, Stop},
};

/// Largest datagram that is read; what is longer is cut.
const DATAGRAM_MAX: usize = 4096;
/// Most datagrams that are looked at for one answer.
const DATAGRAMS_MAX: usize = 1000;
/// How often a question is sent.
pub(crate) const TIMES_SENT: u8 = 2;

/// What a datagram is to a question.
pub(crate) enum Heard<T> {
    /// The answer, good or bad.
    Answer(Result<T, Stop>),
    /// Somebody else's, or rubbish. Said only if nothing better comes.
    Stray(Option<Trouble>),
}

/// An answer and what it took.
pub(crate) struct Answered<T> {
    pub(crate) answer: T,
    /// When the question was last sent.
    pub(crate) sent_at: Instant,
    /// How often it was sent.
    pub(crate) sent: u8,
}

/// Sends a question on a connected socket, once more at half time, until something is the answer.
/// The two are at least `spacing` apart; where the time-out leaves no room for that, there is one.
///
/// `question` makes the datagram for the first (1) and second (2) time.
pub(crate) async fn ask<T>(
    run: &mut Run<'_>,
    socket: &UdpSocket,
    spacing: Duration,
    question: impl Fn(u8) -> Vec<u8>,
    mut hear: impl FnMut(&[u8]) -> Heard<T>,
) -> Result<Answered<T>, Stop> {
    let start = Instant::now();
    let end = run.deadline();
    let half_time = start + (end.saturating_duration_since(start) / 2).max(spacing);
    let mut stray = None;
    let exchange = async {
        let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
        let mut heard = 0;
        let mut buffer = vec![0; DATAGRAM_MAX];
        for sent in 1..=TIMES_SENT {
            let sent_at = Instant::now();
            if sent > 1 && sent_at >= end {
                break;
            }
            socket.send(&question(sent)).await.map_err(stop)?;
            let until = if sent < TIMES_SENT {
                half_time.min(end)
            } else {
                end
            };
            while heard < DATAGRAMS_MAX {
                let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else {
                    break;
                };
                heard += 1;
                match hear(&buffer[..received.map_err(stop)?]) {
                    Heard::Answer(answer) => {
                        return Ok(Answered {
                            answer: answer?,
                            sent_at,
                            sent,
                        });
                    }
                    Heard::Stray(why) => stray = why.or(stray.take()),
                }
            }
        }
        Err(Trouble::TimedOut {
            phase: PhaseName::Exchange,
        }
        .into())
    };
    let result = run.phase(PhaseName::Exchange, exchange).await;
    match (result, stray) {
        (
            Err(Stop {
                trouble: Trouble::TimedOut { .. },
                ..
            }),
            Some(trouble),
        ) => Err(trouble.into()),
        (result, _) => result,
    }
}

/// A datagram socket that speaks with the attempt's address only, and so hears of refusals.
pub(crate) async fn connected(run: &Run<'_>) -> Result<UdpSocket, Stop> {
    let address = crate::stream::socket_address(run)?;
    let start = Instant::now();
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
    let socket = UdpSocket::bind(any).await.map_err(stop)?;
    socket.connect(address).await.map_err(stop)?;
    Ok(socket)
}
