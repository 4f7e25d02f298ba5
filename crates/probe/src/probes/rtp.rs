//! RTP (RFC 3550): which ports of a range pass, and what a second of speech loses on its way. It
//! takes somebody at the other end who sends packets back; where nobody does, nothing is said.

mod quality;
mod sweep;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use outgate_wire::rtp::{PACKET_MAX, Packet, QUESTION_MIN, Reception};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    ask::Ask,
    datagram,
    evidence::{Finding, PhaseName, PortSpan, RtpEvidence, RtpStream, Trouble},
    families::exercise,
    path::{Path, Source},
    registry::{Probe, Sent},
    run::{Run, Stop},
};
use sweep::Sweep;

/// Most ports that are asked; of a wider range every second, third and so on is. Routers keep a
/// place in a table for each.
const PORTS_MAX: u16 = 10_240;
/// How often a port is asked, so that a lost packet is not taken for a blocked port.
const ROUNDS: u32 = 3;
/// How many ports are asked first, to see whether anybody sends packets back.
const SCOUTS: u16 = 8;
/// How long an answer to them is waited for, if the attempt's time-out leaves as much.
const SCOUTS_WAIT: Duration = Duration::from_secs(2);
/// Packets of the stream: one second of speech.
const STREAM: u16 = 50;
/// Time between them, and what it is in samples (RFC 3551 §4.2).
const STREAM_PACE: Duration = Duration::from_millis(20);
const STREAM_SAMPLES: u32 = 160;
/// Header and 20 ms of PCMA.
const STREAM_LEN: usize = 172;
/// How long the last of them is waited for.
const STREAM_WAIT: Duration = Duration::from_millis(400);
/// Most spans of blocked ports that are kept.
const SPANS_MAX: usize = 64;
/// Most of them that the trouble names.
const SPANS_NAMED: usize = 8;

/// A range of ports for speech.
pub(crate) struct Rtp;

impl Probe for Rtp {
    fn protocols(&self) -> &'static [&'static str] {
        &["rtp"]
    }

    fn sends(&self, ask: &Ask) -> Vec<Sent> {
        let ports = range(ask, ask.port.unwrap_or(0)).len();
        let ports = u32::try_from(ports).unwrap_or(u32::MAX);
        vec![
            Sent::new(
                "an RTP packet to some of the ports, to see whether they come back",
                QUESTION_MIN,
                // The last port is among them, whatever the step.
                (u32::from(SCOUTS) + 1) * ROUNDS,
            ),
            Sent::new(
                "an RTP packet to each port, if they do, at most 3000 a second",
                QUESTION_MIN,
                ports * ROUNDS,
            ),
            Sent::new("a second of speech, if they do", STREAM_LEN, STREAM.into()),
        ]
    }

    fn run<'a>(&'a self, ask: &'a Ask, path: &'a Path) -> BoxFuture<'a, Finding> {
        exercise(ask, path, |run| attempt(run).boxed()).boxed()
    }
}

/// The ports that are asked. A detour to another port names one place: then it is that alone.
fn range(ask: &Ask, port: u16) -> Vec<u16> {
    let last = match ask.last_port {
        Some(last) if ask.port == Some(port) && last > port => last,
        Some(_) | None => port,
    };
    thinned((port..=last).collect(), usize::from(PORTS_MAX))
}

/// At most so many of them, evenly spread, with the first and the last.
fn thinned(ports: Vec<u16>, most: usize) -> Vec<u16> {
    let Some(last) = ports.last().copied() else {
        return ports;
    };
    let step = ports.len().div_ceil(most.max(1));
    let mut chosen: Vec<u16> = ports.into_iter().step_by(step).collect();
    if chosen.last() != Some(&last) {
        chosen.pop();
        chosen.push(last);
    }
    chosen
}

async fn attempt(run: &mut Run<'_>) -> Result<(), Stop> {
    let address = crate::stream::socket_address(run)?;
    let ports = range(run.ask, address.port());
    let source = u32::from_be_bytes(run.path.tls().random()?);
    let way = run.path.source();
    let scouts = Scouts {
        address: address.ip(),
        way,
        source,
        until: (Instant::now() + SCOUTS_WAIT).min(halfway(run)),
    };
    let scouting = scouts.run(&ports);
    let scouted = run.phase(PhaseName::Exchange, scouting).await;
    if let Err(Stop {
        trouble: Trouble::NobodyEchoes { .. },
        ..
    }) = &scouted
    {
        note_silence(run, &ports);
    }
    let local = scouted?;
    let stream_time = STREAM_PACE * u32::from(STREAM) + STREAM_WAIT;
    let whole = run.deadline().saturating_duration_since(Instant::now());
    let with_stream = whole > 2 * stream_time;
    let left = if with_stream {
        whole - stream_time
    } else {
        whole
    };
    // A part for what the machine itself takes.
    let time = left * 9 / 10;
    // A port that there is no time to ask must not look blocked.
    let ports = thinned(ports, sweep::ports_within(time));
    let sweep = Sweep {
        address: address.ip(),
        way,
        local,
        source,
        until: Instant::now() + time,
    };
    let sweeping = async {
        sweep
            .run(&ports)
            .await
            .map_err(|error| local_trouble(&error))
    };
    let answered = run.phase(PhaseName::Sweep, sweeping).await?;
    note(run, &ports, &answered);
    let passing = ports.iter().zip(&answered).find(|(_, answered)| **answered);
    if let (true, Some((port, _))) = (with_stream, passing) {
        let to = SocketAddr::new(address.ip(), *port);
        let streaming = async {
            let streaming = stream(to, way, local, source).await;
            streaming.map_err(|error| local_trouble(&error))
        };
        let stream = run.phase(PhaseName::Stream, streaming).await?;
        if let Some(evidence) = &mut run.attempt.rtp {
            evidence.stream = Some(stream);
        }
    }
    judge(run)
}

/// The ports that are asked to see whether anybody sends packets back, with the first and the last.
fn asked_first(ports: &[u16]) -> BTreeSet<u16> {
    let step = ports.len().div_ceil(usize::from(SCOUTS)).max(1);
    let chosen = ports.iter().step_by(step).chain(ports.last());
    chosen.copied().collect()
}

/// Notes that none of them answered.
fn note_silence(run: &mut Run<'_>, ports: &[u16]) {
    let asked: Vec<u16> = asked_first(ports).into_iter().collect();
    note(run, &asked, &vec![false; asked.len()]);
}

/// Half of the attempt's time.
fn halfway(run: &Run<'_>) -> Instant {
    let now = Instant::now();
    now + run.deadline().saturating_duration_since(now) / 2
}

fn local_trouble(error: &std::io::Error) -> Stop {
    let what = error.to_string();
    Trouble::Local { what }.into()
}

/// The first few packets, from sockets that hear of refusals.
struct Scouts<'a> {
    address: IpAddr,
    way: &'a Source,
    source: u32,
    until: Instant,
}

impl Scouts<'_> {
    /// Where packets leave this machine, if any of them came back.
    async fn run(&self, ports: &[u16]) -> Result<IpAddr, Stop> {
        let mut found: FuturesUnordered<_> = asked_first(ports)
            .into_iter()
            .map(|port| self.scout(port))
            .collect();
        let (mut refused, mut closed) = (None, false);
        // The first that comes back is enough: on a bad way others are long in coming.
        while let Some(scouted) = found.next().await {
            match scouted {
                Ok(Some(local)) => return Ok(local),
                // That a port is closed is what a media server says of one without a call.
                Err(Stop {
                    trouble: Trouble::Refused,
                    ..
                }) => closed = true,
                Ok(None) => {}
                Err(stop) => refused = Some(stop),
            }
        }
        Err(refused.unwrap_or(Stop::not_run(Trouble::NobodyEchoes { closed })))
    }

    async fn scout(&self, port: u16) -> Result<Option<IpAddr>, Stop> {
        let start = Instant::now();
        let stop = |error| Stop::io(&error, PhaseName::Exchange, start);
        let socket = self.way.datagram_socket(self.address).map_err(stop)?;
        socket.set_nonblocking(true).map_err(stop)?;
        let socket = UdpSocket::from_std(socket).map_err(stop)?;
        socket.connect((self.address, port)).await.map_err(stop)?;
        let packet = Packet {
            sequence: 0,
            timestamp: 0,
            source: self.source,
            port,
        };
        let wait = self.until.saturating_duration_since(start) / ROUNDS;
        let mut buffer = [0; PACKET_MAX + 1];
        for round in 1..=ROUNDS {
            socket
                .send(&packet.encode(QUESTION_MIN))
                .await
                .map_err(stop)?;
            let until = start + wait * round;
            // What is not ours is passed over, until it is time for the next.
            while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
                let length = received.map_err(stop)?;
                if Packet::read(&buffer[..length]) == Some(packet) {
                    return Ok(socket.local_addr().ok().map(|local| local.ip()));
                }
            }
        }
        Ok(None)
    }
}

/// A second of speech there and back.
async fn stream(
    to: SocketAddr,
    way: &Source,
    local: IpAddr,
    source: u32,
) -> std::io::Result<RtpStream> {
    let socket = datagram::unconnected(way, local)?;
    socket.connect(to).await?;
    let start = Instant::now();
    let mut reception = Reception::new(STREAM);
    let mut own_delay = Duration::ZERO;
    let mut buffer = [0; PACKET_MAX + 1];
    for sequence in 0..STREAM {
        let packet = Packet {
            sequence,
            timestamp: u32::from(sequence) * STREAM_SAMPLES,
            source,
            port: to.port(),
        };
        // What does not leave is lost.
        let _ = socket.send(&packet.encode(STREAM_LEN)).await;
        let due = STREAM_PACE * u32::from(sequence);
        own_delay = own_delay.max(start.elapsed().saturating_sub(due));
        let next = start + STREAM_PACE * (u32::from(sequence) + 1);
        let until = if sequence + 1 == STREAM {
            next + STREAM_WAIT
        } else {
            next
        };
        while reception.lost() > 0 {
            match timeout_at(until, socket.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    let packet = Packet::read(&buffer[..length]);
                    if let Some(packet) = packet.filter(|packet| packet.source == source) {
                        reception.on_packet(packet.sequence, packet.timestamp, start.elapsed());
                    }
                }
                Ok(Err(_)) | Err(_) => break,
            }
        }
        if reception.lost() > 0 && sequence + 1 < STREAM {
            sleep_until(next).await;
        }
    }
    Ok(RtpStream {
        port: to.port(),
        sent: STREAM,
        received: reception.received(),
        late: reception.late(),
        jitter: reception.jitter(),
        own_delay,
    })
}

fn note(run: &mut Run<'_>, ports: &[u16], answered: &[bool]) {
    let (Some(first), Some(last)) = (ports.first(), ports.last()) else {
        return;
    };
    let count = |many: usize| u16::try_from(many).unwrap_or(u16::MAX);
    run.attempt.rtp = Some(RtpEvidence {
        first: *first,
        last: *last,
        asked: count(ports.len()),
        step: ports.get(1).map_or(1, |second| second - first),
        answered: count(answered.iter().filter(|answered| **answered).count()),
        blocked: spans(ports, answered),
        stream: None,
    });
}

/// The ports that did not answer, neighbours together.
fn spans(ports: &[u16], answered: &[bool]) -> Vec<PortSpan> {
    let mut spans: Vec<PortSpan> = Vec::new();
    let mut before = true;
    for (port, answered) in ports.iter().zip(answered) {
        match (answered, before, spans.last_mut()) {
            (true, ..) => {}
            (false, false, Some(span)) => span.last = *port,
            (false, ..) => spans.push(PortSpan {
                first: *port,
                last: *port,
            }),
        }
        before = *answered;
    }
    spans.truncate(SPANS_MAX);
    spans
}

fn judge(run: &Run<'_>) -> Result<(), Stop> {
    let Some(evidence) = &run.attempt.rtp else {
        return Ok(());
    };
    if evidence.answered == evidence.asked || quality::explains(evidence) {
        let poor = evidence.stream.as_ref().and_then(quality::judge);
        return poor.map_or(Ok(()), |poor| Err(Stop::warn(poor)));
    }
    let named = evidence.blocked.iter().take(SPANS_NAMED);
    let mut blocked: Vec<String> = named.map(PortSpan::to_string).collect();
    let more = evidence.blocked.len().saturating_sub(SPANS_NAMED);
    if more > 0 {
        blocked.push(format!("and {more} more"));
    }
    Err(Trouble::RtpBlocked {
        blocked: blocked.join(", "),
        answered: evidence.answered,
        asked: evidence.asked,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Host, Transport};

    fn ask(port: u16, last: u16) -> Ask {
        let host = Host::Name("pbx.example".to_owned());
        Ask {
            last_port: Some(last),
            ..Ask::new("rtp", host, Some(port), Transport::Udp)
        }
    }

    #[test]
    fn a_range_is_asked_whole_and_a_wide_one_evenly_from_end_to_end() {
        let ports = range(&ask(10_000, 20_000), 10_000);
        assert_eq!(ports.len(), 10_001);
        let ports = range(&ask(1025, 65_535), 1025);
        assert!(ports.len() <= usize::from(PORTS_MAX), "{}", ports.len());
        assert_eq!((ports[0], ports[1]), (1025, 1032));
        assert_eq!(ports.last(), Some(&65_535));
    }

    #[test]
    fn with_little_time_fewer_ports_are_asked_and_none_is_left_over() {
        let most = sweep::ports_within(Duration::from_millis(1400));
        let ports = thinned(range(&ask(10_000, 20_000), 10_000), most);
        assert!(ports.len() <= 3300, "{}", ports.len());
        assert_eq!((ports[0], ports[1]), (10_000, 10_004));
        assert_eq!(ports.last(), Some(&20_000));
        assert_eq!(thinned(ports, sweep::ports_within(Duration::ZERO)).len(), 1);
    }

    #[test]
    fn a_detour_to_another_port_is_one_place() {
        assert_eq!(range(&ask(10_000, 20_000), 40_000), [40_000]);
    }

    #[test]
    fn neighbours_that_do_not_answer_are_one_span() {
        let ports = [1, 2, 3, 4, 5, 6];
        let answered = [false, true, false, false, true, false];
        let told: Vec<String> = spans(&ports, &answered)
            .iter()
            .map(PortSpan::to_string)
            .collect();
        assert_eq!(told, ["1", "3-4", "6"]);
        assert_eq!(spans(&ports, &[true; 6]), []);
    }
}
