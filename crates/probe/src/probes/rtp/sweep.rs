//! A packet to every port of a range, at a pace.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use outgate_wire::rtp::{PACKET_MAX, Packet, QUESTION_MIN};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::ROUNDS;
use crate::{datagram, path::Source};

/// Packets leave in bursts of so many, one burst a beat: 3000 a second, or 1.3 Mbit/s with the
/// headers of IPv4 and UDP.
const BURST: usize = 30;
const BEAT: Duration = Duration::from_millis(10);
/// How long answers are waited for after each round.
const ROUND_WAIT: Duration = Duration::from_millis(300);
/// Most datagrams that are looked at, for each that was sent.
const DATAGRAMS_PER_PACKET: usize = 4;

/// How many ports can be asked once, and their answers waited for, in that time; at least one.
pub(super) fn ports_within(time: Duration) -> usize {
    let beats = time.saturating_sub(ROUND_WAIT).as_millis() / BEAT.as_millis();
    usize::try_from(beats)
        .unwrap_or(usize::MAX)
        .saturating_mul(BURST)
        .max(1)
}

/// A sweep over ports.
pub(super) struct Sweep<'a> {
    pub(super) address: IpAddr,
    /// What packets set out from.
    pub(super) way: &'a Source,
    /// Where packets leave this machine.
    pub(super) local: IpAddr,
    /// Tells our packets from those of others.
    pub(super) source: u32,
    /// When it must be over.
    pub(super) until: Instant,
}

impl Sweep<'_> {
    /// Which of the ports answered. Those that did not are asked again, as long as there is time.
    pub(super) async fn run(&self, ports: &[u16]) -> io::Result<Vec<bool>> {
        let socket = datagram::unconnected(self.way, self.local)?;
        let places: HashMap<u16, usize> = ports.iter().copied().zip(0..).collect();
        let mut heard = Heard {
            sweep: self,
            socket,
            places,
            answered: vec![false; ports.len()],
            datagrams: 0,
            bound: ports.len() * DATAGRAMS_PER_PACKET + BURST,
        };
        for _ in 0..ROUNDS {
            let open = heard.answered.iter().zip(ports);
            let open: Vec<u16> = open
                .filter(|(answered, _)| !**answered)
                .map(|(_, port)| *port)
                .collect();
            if open.is_empty() || Instant::now() >= self.until {
                break;
            }
            heard.round(&open).await;
        }
        Ok(heard.answered)
    }
}

/// What came back so far.
struct Heard<'a> {
    sweep: &'a Sweep<'a>,
    socket: UdpSocket,
    /// Where a port stands in `answered`.
    places: HashMap<u16, usize>,
    answered: Vec<bool>,
    datagrams: usize,
    bound: usize,
}

impl Heard<'_> {
    async fn round(&mut self, open: &[u16]) {
        let mut beat = Instant::now();
        for burst in open.chunks(BURST) {
            for port in burst {
                let packet = Packet {
                    sequence: *port,
                    timestamp: 0,
                    source: self.sweep.source,
                    port: *port,
                };
                let to = SocketAddr::new(self.sweep.address, *port);
                // What does not leave is not answered.
                let _ = self.socket.send_to(&packet.encode(QUESTION_MIN), to).await;
            }
            beat += BEAT;
            self.listen(beat).await;
            if beat >= self.sweep.until {
                return;
            }
        }
        self.listen((Instant::now() + ROUND_WAIT).min(self.sweep.until))
            .await;
    }

    /// Takes what comes until then, or until all have answered.
    async fn listen(&mut self, until: Instant) {
        let mut buffer = [0; PACKET_MAX + 1];
        while self.datagrams < self.bound && self.answered.contains(&false) {
            let Ok(received) = timeout_at(until, self.socket.recv_from(&mut buffer)).await else {
                return;
            };
            self.datagrams += 1;
            // An error here is about a packet before, such as a port that is closed.
            let Ok((length, from)) = received else {
                continue;
            };
            let packet = Packet::read(&buffer[..length]);
            let ours = packet.is_some_and(|packet| {
                packet.source == self.sweep.source && packet.port == from.port()
            });
            if ours
                && from.ip() == self.sweep.address
                && let Some(place) = self.places.get(&from.port())
            {
                self.answered[*place] = true;
            }
        }
        tokio::time::sleep_until(until).await;
    }
}
