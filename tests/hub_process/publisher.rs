//! A device that numbers what it says, and what it is told of it. Its packets are written here,
//! byte by byte: so it remembers exactly what was acknowledged when the hub was killed, and sends
//! again exactly what the standard says (MQTT 3.1.1, section 4.4).

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::Sender;

use crate::process::PATIENCE;

/// How many messages are under way at a time.
const WINDOW: usize = 8;

/// How many packet identifiers are used in turn: more than are under way.
const IDENTIFIERS: u64 = 1_000;

/// The types of packets (section 2.2.1), with the flags that they have.
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

/// The flag of a PUBLISH that may have been sent before (section 3.3.1.1).
const DUP: u8 = 0x08;

/// How its messages are to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    AtLeastOnce,
    ExactlyOnce,
}

/// What a device tells its test.
pub(crate) enum Told {
    /// One more message has been acknowledged.
    Acknowledged,
    /// Its connection has ended.
    Ended(String),
}

/// A message that is under way.
#[derive(Clone, Copy)]
struct Flight {
    number: u64,
    /// Whether its PUBREC has come: the hub answers for it, and only that it knows so is missing.
    received: bool,
}

/// A device with a session that is kept.
pub(crate) struct Publisher {
    pub(crate) name: String,
    token: String,
    pub(crate) quality: Quality,
    /// The number of the next message that has never been sent.
    next: u64,
    under_way: VecDeque<Flight>,
    /// Whether it has been told that it is in, so that its session must be there.
    known: bool,
}

impl Publisher {
    pub(crate) fn new(name: String, token: String, quality: Quality) -> Self {
        Self {
            name,
            token,
            quality,
            next: 0,
            under_way: VecDeque::new(),
            known: false,
        }
    }

    /// The number of the oldest message that the hub has not acknowledged: all before it have
    /// been.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let oldest = self.under_way.iter().find(|flight| !flight.received);
        oldest.map_or(self.next, |flight| flight.number)
    }

    /// How many messages the hub has not acknowledged.
    pub(crate) fn open(&self) -> usize {
        let open = self.under_way.iter().filter(|flight| !flight.received);
        open.count()
    }

    /// Connects and publishes until the connection ends.
    pub(crate) fn publish(&mut self, port: u16, tell: &Sender<Told>) {
        let Err(error) = self.converse(port, tell);
        // Who has killed the hub may listen no longer.
        let _ = tell.send(Told::Ended(format!("{}: {error}", self.name)));
    }

    fn converse(
        &mut self,
        port: u16,
        tell: &Sender<Told>,
    ) -> std::io::Result<std::convert::Infallible> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&connect(&self.name, &self.token))?;
        let (kind, answer) = read(&mut stream)?;
        assert_eq!((kind, answer[1]), (CONNACK, 0), "{}", self.name);
        assert!(answer[0] == 1 || !self.known, "{}: no session", self.name);
        self.known = true;
        for flight in self.under_way.clone() {
            stream.write_all(&match flight.received {
                true => acknowledgement(PUBREL, flight.number),
                false => self.message(flight.number, DUP),
            })?;
        }
        loop {
            while self.under_way.len() < WINDOW {
                let flight = Flight {
                    number: self.next,
                    received: false,
                };
                self.next += 1;
                self.under_way.push_back(flight);
                stream.write_all(&self.message(flight.number, 0))?;
            }
            self.hear(&mut stream, tell)?;
        }
    }

    /// Takes one acknowledgement.
    fn hear(&mut self, stream: &mut TcpStream, tell: &Sender<Told>) -> std::io::Result<()> {
        let (kind, body) = read(stream)?;
        let packet = u16::from_be_bytes([body[0], body[1]]);
        let place = self
            .under_way
            .iter()
            .position(|flight| identifier(flight.number) == packet)
            .unwrap_or_else(|| panic!("{kind:#x} of nothing that is under way"));
        // Section 4.6: PUBACK and PUBREC come in the order of the messages. Of PUBCOMP it says
        // nothing.
        let mut before = self.under_way.range(..place);
        match (kind, self.quality) {
            (PUBREC, Quality::ExactlyOnce) => {
                assert!(
                    before.all(|flight| flight.received),
                    "{} is late",
                    self.name
                );
                let flight = &mut self.under_way[place];
                flight.received = true;
                stream.write_all(&acknowledgement(PUBREL, flight.number))?;
            }
            (PUBACK, Quality::AtLeastOnce) => {
                assert!(before.next().is_none(), "{} is late", self.name);
                self.under_way.pop_front();
            }
            (PUBCOMP, Quality::ExactlyOnce) => {
                self.under_way.remove(place);
                return Ok(());
            }
            (other, _) => panic!("a packet of the type {other:#x}"),
        }
        let _ = tell.send(Told::Acknowledged);
        Ok(())
    }

    /// A PUBLISH of the message with this number.
    fn message(&self, number: u64, dup: u8) -> Vec<u8> {
        let mut body = text(&format!("devices/{}/events/{number}", self.name));
        body.extend(identifier(number).to_be_bytes());
        // Of very different sizes, so that the kill comes in the middle of some.
        let size = usize::try_from(number * 7919 % 3_000).expect("a small number");
        body.resize(body.len() + size, b'x');
        let quality = match self.quality {
            Quality::AtLeastOnce => 0x02,
            Quality::ExactlyOnce => 0x04,
        };
        packet(PUBLISH | dup | quality, &body)
    }
}

/// A CONNECT with a user name, a password, and a session that is kept (section 3.1).
fn connect(name: &str, token: &str) -> Vec<u8> {
    let mut body = text("MQTT");
    let (level, flags, keep_alive) = (4, 0b1100_0000, [0, 120]);
    body.extend([level, flags]);
    body.extend(keep_alive);
    body.extend([name, name, token].map(text).concat());
    packet(0x10, &body)
}

fn acknowledgement(kind: u8, number: u64) -> Vec<u8> {
    packet(kind, &identifier(number).to_be_bytes())
}

fn identifier(number: u64) -> u16 {
    u16::try_from(number % IDENTIFIERS + 1).expect("a small number")
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// A packet with its length before it (section 2.2.3).
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).expect("seven bits");
        left /= 128;
        packet.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            packet.extend(body);
            return packet;
        }
    }
}

/// The type and the body of the next packet; all that come here are short.
fn read(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    assert_eq!(head[1], 2, "a packet of the type {:#x}", head[0]);
    let mut body = vec![0; 2];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}
