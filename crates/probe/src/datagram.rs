//! One question and one answer over a socket that may lose either: DNS, NTP, ICMP.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{Either, select, select_all},
};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use crate::{
    evidence::{PhaseName, Trouble, Unit},
    path::{Path, Source, Turn},
    run::{Run, Stop},
};

/// Largest datagram that is read; what is longer is cut.
const DATAGRAM_MAX: usize = 4096;
/// Most datagrams that are looked at for one answer.
const DATAGRAMS_MAX: usize = 1000;
/// How long an echo waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(60);
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

/// How often datagrams may leave for one address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As they come.
    Free,
    /// At most one a second, all probes of the path together.
    Echo,
}

/// Sends a question on a connected socket, once more at half time, until something is the answer.
/// Each leaves at a turn that `pace` gives; the wait for the first is not held against the attempt.
///
/// `question` makes the datagram for the first (1) and second (2) time.
pub(crate) async fn ask<T>(
    run: &mut Run<'_>,
    socket: &UdpSocket,
    pace: Pace,
    question: impl Fn(u8) -> Vec<u8>,
    hear: impl FnMut(&[u8]) -> Heard<T>,
) -> Result<Answered<T>, Stop> {
    let first_turn = wait_for_turn(run, pace).await?;
    let mut exchange = Exchange {
        path: run.path,
        address: run.attempt.address,
        end: run.deadline(),
        pace,
        ears: Ears::new(socket, hear),
    };
    let result = run
        .phase(PhaseName::Exchange, exchange.run(first_turn, question))
        .await;
    match result {
        Err(Stop {
            trouble: Trouble::TimedOut { phase },
            ..
        }) => Err(exchange.ears.silence(phase).into()),
        other => other,
    }
}

async fn wait_for_turn(run: &mut Run<'_>, pace: Pace) -> Result<Option<Turn>, Stop> {
    if pace == Pace::Free {
        return Ok(None);
    }
    let start = Instant::now();
    let no_turn = |what: &str| {
        Stop::not_run(Trouble::Local {
            what: what.to_owned(),
        })
    };
    let turn = timeout(TURN_WAIT, run.path.echo_turn(run.attempt.address))
        .await
        .map_err(|_| no_turn("too many echoes to one address, at most one a second"))?
        .ok_or_else(|| no_turn("echoes to too many addresses at a time"))?;
    run.extend(start.elapsed());
    Ok(Some(turn))
}

/// One question under way.
struct Exchange<'a, H> {
    path: &'a Path,
    address: IpAddr,
    end: Instant,
    pace: Pace,
    ears: Ears<'a, H>,
}

impl<T, H: FnMut(&[u8]) -> Heard<T>> Exchange<'_, H> {
    async fn run(
        &mut self,
        first_turn: Option<Turn>,
        question: impl Fn(u8) -> Vec<u8>,
    ) -> Result<Answered<T>, Stop> {
        let half_time = Instant::now() + self.end.saturating_duration_since(Instant::now()) / 2;
        let mut sent_at = self.ears.send(&question(1), first_turn).await?;
        if let Some(answer) = self.ears.listen(half_time).await? {
            return Ok(Answered {
                answer,
                sent_at,
                sent: 1,
            });
        }
        let mut sent = 1;
        match self.second_turn().await? {
            Second::Answer(answer) => {
                return Ok(Answered {
                    answer,
                    sent_at,
                    sent,
                });
            }
            Second::Turn(turn) => {
                sent_at = self.ears.send(&question(TIMES_SENT), turn).await?;
                sent = TIMES_SENT;
            }
            Second::Never => {}
        }
        match self.ears.listen(self.end).await? {
            Some(answer) => Ok(Answered {
                answer,
                sent_at,
                sent,
            }),
            None => Err(Trouble::TimedOut {
                phase: PhaseName::Exchange,
            }
            .into()),
        }
    }

    /// Goes on listening until the question may be sent again.
    async fn second_turn(&mut self) -> Result<Second<T>, Stop> {
        if self.pace == Pace::Free {
            return Ok(Second::Turn(None));
        }
        let turn = pin!(self.path.echo_turn(self.address));
        let listening = pin!(self.ears.listen(self.end));
        match select(listening, turn).await {
            Either::Left((Ok(Some(answer)), _)) => Ok(Second::Answer(answer)),
            Either::Left((Ok(None), _)) | Either::Right((None, _)) => Ok(Second::Never),
            Either::Left((Err(stop), _)) => Err(stop),
            Either::Right((turn @ Some(_), _)) => Ok(Second::Turn(turn)),
        }
    }
}

/// What became of the second question.
enum Second<T> {
    /// The answer to the first came.
    Answer(T),
    /// It may be sent.
    Turn(Option<Turn>),
    /// There is no time for it.
    Never,
}

/// A socket, and what was heard on it.
struct Ears<'a, H> {
    socket: &'a UdpSocket,
    hear: H,
    heard: usize,
    /// The last that was not the answer, if it is worth mentioning.
    stray: Option<Trouble>,
    buffer: Vec<u8>,
    start: Instant,
}

impl<'a, T, H: FnMut(&[u8]) -> Heard<T>> Ears<'a, H> {
    fn new(socket: &'a UdpSocket, hear: H) -> Self {
        Self {
            socket,
            hear,
            heard: 0,
            stray: None,
            buffer: vec![0; DATAGRAM_MAX],
            start: Instant::now(),
        }
    }

    /// Uses up a turn, and says when the datagram left.
    async fn send(&self, datagram: &[u8], turn: Option<Turn>) -> Result<Instant, Stop> {
        let sent_at = Instant::now();
        let sent = self.socket.send(datagram).await;
        if let Some(turn) = turn {
            turn.sent();
        }
        sent.map_err(|error| self.stop(&error))?;
        Ok(sent_at)
    }

    /// The answer, if it comes until then. After too many that are not it, no more is read.
    async fn listen(&mut self, until: Instant) -> Result<Option<T>, Stop> {
        while self.heard < DATAGRAMS_MAX {
            let Ok(received) = timeout_at(until, self.socket.recv(&mut self.buffer)).await else {
                return Ok(None);
            };
            let length = received.map_err(|error| self.stop(&error))?;
            self.heard += 1;
            match (self.hear)(&self.buffer[..length]) {
                Heard::Answer(answer) => return answer.map(Some),
                Heard::Stray(why) => self.stray = why.or(self.stray.take()),
            }
        }
        sleep_until(until).await;
        Ok(None)
    }

    /// What it means that no answer came.
    fn silence(self, phase: PhaseName) -> Trouble {
        if self.heard >= DATAGRAMS_MAX {
            return Trouble::TooMuch {
                bound: DATAGRAMS_MAX as u64,
                unit: Unit::Datagrams,
            };
        }
        self.stray.unwrap_or(Trouble::TimedOut { phase })
    }

    fn stop(&self, error: &io::Error) -> Stop {
        Stop::io(error, PhaseName::Exchange, self.start)
    }
}

/// A datagram socket that speaks with the attempt's address only, and so hears of refusals.
pub(crate) async fn connected(run: &Run<'_>) -> Result<UdpSocket, Stop> {
    let address = crate::stream::socket_address(run)?;
    let start = Instant::now();
    let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
    let source = run.path.source();
    let socket = source.datagram_socket(address.ip()).map_err(stop)?;
    socket.set_nonblocking(true).map_err(stop)?;
    let socket = UdpSocket::from_std(socket).map_err(stop)?;
    socket.connect(address).await.map_err(stop)?;
    Ok(socket)
}

/// The next datagram on any of these sockets, which stand in the order of `sockets`: which one heard
/// it, how many bytes of `buffer` it fills, and whose it is. Nothing when none comes in time.
pub(crate) async fn next_of(
    sockets: impl Iterator<Item = &UdpSocket> + Clone,
    until: Instant,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, usize, SocketAddr)>> {
    loop {
        let ready = select_all(sockets.clone().map(|socket| socket.readable().boxed()));
        let Ok((_, at, _)) = timeout_at(until, ready).await else {
            return Ok(None);
        };
        let Some(socket) = sockets.clone().nth(at) else {
            continue;
        };
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => return Ok(Some((at, length, from))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A datagram socket at this address of the path's source, which hears everybody.
pub(crate) fn unconnected(source: &Source, own: IpAddr) -> io::Result<UdpSocket> {
    let socket = source.datagram_socket_at(own)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use futures_util::future::join;

    use super::*;
    use crate::{
        ask::{Ask, Host, Transport},
        evidence::Attempt,
        path::{PathConfig, ResolverChoice},
    };

    /// A path on which attempts take this long.
    fn path(timeout: Duration) -> Path {
        Path::new(PathConfig {
            resolver: ResolverChoice::at(([127, 0, 0, 1], 9).into()),
            timeout,
            ..PathConfig::default()
        })
        .unwrap()
    }

    /// Asks, hears nothing but strays, and says what that comes to.
    async fn ask_in_vain(path: &Path, server: SocketAddr, pace: Pace) -> Trouble {
        let host = Host::Address(server.ip());
        let wanted = Ask::new("ntp", host, Some(server.port()), Transport::Udp);
        let attempt = Attempt::new(server.ip(), Some(server.port()));
        let mut run = Run::new(&wanted, path, attempt, None);
        let socket = connected(&run).await.unwrap();
        let question = |_| vec![0];
        let hear = |_: &[u8]| Heard::<()>::Stray(None);
        let asked = ask(&mut run, &socket, pace, question, hear).await;
        asked.err().unwrap().trouble
    }

    /// When datagrams came, until nothing more has for this long.
    async fn arrivals(server: &UdpSocket, patience: Duration) -> Vec<Instant> {
        let mut arrivals = Vec::new();
        while timeout(patience, server.recv(&mut [0; 1])).await.is_ok() {
            arrivals.push(Instant::now());
        }
        arrivals
    }

    #[tokio::test]
    async fn repeats_of_echoes_keep_their_distance_from_those_of_others() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let path = path(Duration::from_secs(3));
        let ((first, second), arrivals) = join(
            join(
                ask_in_vain(&path, address, Pace::Echo),
                ask_in_vain(&path, address, Pace::Echo),
            ),
            arrivals(&server, Duration::from_secs(2)),
        )
        .await;
        let phase = PhaseName::Exchange;
        assert_eq!(
            [first, second],
            [Trouble::TimedOut { phase }, Trouble::TimedOut { phase }]
        );
        assert_eq!(arrivals.len(), 4);
        for pair in arrivals.windows(2) {
            // They left a second apart; how soon each is seen depends on the machine.
            assert!(
                pair[1] - pair[0] > Duration::from_millis(900),
                "{arrivals:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_flood_of_strays_is_named_and_hastens_nothing() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let path = path(Duration::from_secs(1));
        let flood = async {
            let mut questions = Vec::new();
            loop {
                let mut question = [0; 8];
                let (_, from) = server.recv_from(&mut question).await.unwrap();
                questions.push(Instant::now());
                if questions.len() == 2 {
                    return questions;
                }
                for number in 0..2 * DATAGRAMS_MAX {
                    server.send_to(b"stray", from).await.unwrap();
                    if number % 50 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        let (trouble, questions) = join(ask_in_vain(&path, address, Pace::Free), flood).await;
        let bound = DATAGRAMS_MAX as u64;
        let unit = Unit::Datagrams;
        assert_eq!(trouble, Trouble::TooMuch { bound, unit });
        assert!(questions[1] - questions[0] > Duration::from_millis(400));
    }
}
