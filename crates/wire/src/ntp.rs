//! The Simple Network Time Protocol, both ends of one exchange (RFC 5905 §7.3, RFC 4330).
//!
//! A client makes a [`Request`] from a random cookie, sends [`Request::encode`], hands the
//! datagram that comes back to [`Request::read_reply`] and asks the [`Reply`] how far the local
//! clock is off. A server reads a datagram with [`Question::read`] and answers it with
//! [`Question::answer`].
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use outgate_wire::ntp::{Request, Question, ServerState};
//!
//! let request = Request::new(0x0123_4567_89ab_cdef);
//! let question = Question::read(&request.encode()).unwrap();
//! let server_clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_060);
//! let datagram = question.answer(&ServerState::default(), server_clock, server_clock);
//!
//! let client_clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let reply = request.read_reply(&datagram).unwrap();
//! assert_eq!(reply.reading(client_clock, Duration::ZERO).offset_nanos, 60_000_000_000);
//! ```

mod packet;
mod timestamp;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

pub use packet::{Leap, Packet, TooShort};
pub use timestamp::Timestamp;

use timestamp::{clamp_to_i64, unix_nanos};

/// The port NTP servers listen on (RFC 5905 §7.2).
pub const PORT: u16 = 123;
/// Length in bytes of an NTP header without extension fields (RFC 5905 §7.3).
pub const PACKET_LEN: usize = 48;
/// The version this module sends.
pub const VERSION: u8 = 4;
/// A datagram longer than this is not read further: the header, extension fields and a MAC fit.
pub const DATAGRAM_MAX: usize = 1024;

/// Association mode of a client's packet (RFC 5905 figure 10).
const MODE_CLIENT: u8 = 3;
/// Association mode of a server's answer (RFC 5905 figure 10).
const MODE_SERVER: u8 = 4;
/// The oldest version whose packets have this header (RFC 4330 §4).
const OLDEST_VERSION: u8 = 1;
/// The first stratum that means "not synchronised" (RFC 5905 figure 11).
const STRATUM_UNSYNCHRONISED: u8 = 16;

/// A client's question, remembered so that only its own answer is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    cookie: Timestamp,
}

impl Request {
    /// A request whose transmit timestamp is `cookie`, which the caller draws at random.
    ///
    /// A server copies the transmit timestamp into its answer and does nothing else with it, so a
    /// random value hides the local clock and cannot be guessed by someone off the path. Zero
    /// means "unknown" in an answer (RFC 5905 §7.3), so zero becomes one.
    pub fn new(cookie: u64) -> Self {
        Self {
            cookie: Timestamp::from_bits(cookie.max(1)),
        }
    }

    /// The bytes to send: version 4, mode 3, everything else zero (RFC 4330 §5).
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        Packet {
            version: VERSION,
            mode: MODE_CLIENT,
            transmit: self.cookie,
            ..Packet::EMPTY
        }
        .encode()
    }

    /// Reads the datagram that came back and makes the checks of RFC 4330 §5.
    ///
    /// The origin timestamp is compared before anything the answer claims is believed, so that a
    /// forged kiss-o'-death is [`ReplyError::WrongOrigin`] and not a kiss.
    pub fn read_reply(&self, datagram: &[u8]) -> Result<Reply, ReplyError> {
        let packet = Packet::decode(datagram)?;
        if packet.mode != MODE_SERVER {
            return Err(ReplyError::WrongMode { mode: packet.mode });
        }
        if !(OLDEST_VERSION..=VERSION).contains(&packet.version) {
            return Err(ReplyError::WrongVersion {
                version: packet.version,
            });
        }
        if packet.origin != self.cookie {
            return Err(ReplyError::WrongOrigin);
        }
        if packet.stratum == 0 {
            return Err(ReplyError::Kiss {
                code: KissCode(packet.reference_id),
            });
        }
        if packet.leap == Leap::Unsynchronised || packet.stratum >= STRATUM_UNSYNCHRONISED {
            return Err(ReplyError::Unsynchronised {
                stratum: packet.stratum,
            });
        }
        if packet.transmit == Timestamp::UNKNOWN || packet.receive == Timestamp::UNKNOWN {
            return Err(ReplyError::NoTime);
        }
        Ok(Reply { packet })
    }
}

/// A server's answer that passed every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    packet: Packet,
}

impl Reply {
    /// The whole header as it came.
    pub fn packet(&self) -> &Packet {
        &self.packet
    }

    /// Offset and delay (RFC 5905 §8), given the local clock when the request left and how long
    /// the answer took by a monotonic clock.
    ///
    /// The local arrival time is `sent_at + round_trip`, so a step of the local clock during the
    /// exchange does not spoil the reading.
    pub fn reading(&self, sent_at: SystemTime, round_trip: Duration) -> Reading {
        let local_sent = unix_nanos(sent_at);
        let elapsed = i128::try_from(round_trip.as_nanos()).unwrap_or(i128::from(i64::MAX));
        let local_received = local_sent + elapsed;
        let receive = unix_nanos(self.packet.receive.to_system_time());
        let transmit = unix_nanos(self.packet.transmit.to_system_time());
        Reading {
            offset_nanos: clamp_to_i64(((receive - local_sent) + (transmit - local_received)) / 2),
            delay_nanos: clamp_to_i64(elapsed - (transmit - receive)),
        }
    }
}

/// What one exchange says about the local clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Nanoseconds to add to the local clock to agree with the server; positive when the local
    /// clock is behind. Clamped to ±292 years.
    pub offset_nanos: i64,
    /// Nanoseconds the two datagrams spent on the way. Negative when the server claims to have
    /// worked longer than the exchange lasted.
    pub delay_nanos: i64,
}

/// The four ASCII letters of a kiss-o'-death packet (RFC 5905 §7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KissCode([u8; 4]);

impl KissCode {
    /// A code such as `*b"RATE"`.
    pub fn new(code: [u8; 4]) -> Self {
        Self(code)
    }

    /// The four bytes.
    pub fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take_while(|byte| **byte != 0)
            .try_for_each(|byte| match byte {
                b' '..=b'~' => write!(f, "{}", char::from(*byte)),
                _ => write!(f, "?"),
            })
    }
}

/// Why a datagram is not a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The datagram cannot hold an NTP header.
    #[error(transparent)]
    TooShort(#[from] TooShort),
    /// The packet is not a server's answer (RFC 5905 figure 10).
    #[error("an NTP answer must have mode 4, this one has mode {mode}")]
    WrongMode {
        /// The mode it has, 0 to 7.
        mode: u8,
    },
    /// The version is none that has this header.
    #[error("an NTP answer has version {version}, which is none of 1 to 4")]
    WrongVersion {
        /// The version it has, 0 to 7.
        version: u8,
    },
    /// The answer does not repeat what was sent: a stray or forged datagram.
    #[error("the NTP answer is not to the question that was sent")]
    WrongOrigin,
    /// The server asks to be left alone or refuses service (RFC 5905 §7.4).
    #[error("the NTP server refused with kiss code {code}")]
    Kiss {
        /// Why, such as `RATE` or `DENY`.
        code: KissCode,
    },
    /// The server says that its own clock is not set.
    #[error("the NTP server is not synchronised (stratum {stratum})")]
    Unsynchronised {
        /// The stratum it claims, 1 to 255.
        stratum: u8,
    },
    /// The receive or transmit timestamp is zero.
    #[error("the NTP answer carries no time")]
    NoTime,
}

/// A client's packet as a server reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    version: u8,
    poll: i8,
    transmit: Timestamp,
}

impl Question {
    /// Reads a datagram; anything but a client's packet of version 1 to 4 is an error and
    /// deserves no answer.
    pub fn read(datagram: &[u8]) -> Result<Self, QuestionError> {
        let packet = Packet::decode(datagram)?;
        if packet.mode != MODE_CLIENT {
            return Err(QuestionError::WrongMode { mode: packet.mode });
        }
        if !(OLDEST_VERSION..=VERSION).contains(&packet.version) {
            return Err(QuestionError::WrongVersion {
                version: packet.version,
            });
        }
        Ok(Self {
            version: packet.version,
            poll: packet.poll,
            transmit: packet.transmit,
        })
    }

    /// The answer (RFC 4330 §6): version, poll and transmit timestamp come back to the asker.
    ///
    /// `received_at` and `answered_at` are the server's clock when the question came and now.
    pub fn answer(
        &self,
        state: &ServerState,
        received_at: SystemTime,
        answered_at: SystemTime,
    ) -> [u8; PACKET_LEN] {
        Packet {
            leap: state.leap,
            version: self.version,
            mode: MODE_SERVER,
            stratum: state.stratum,
            poll: self.poll,
            precision: state.precision,
            reference_id: state.reference_id,
            reference: Timestamp::from_system_time(received_at),
            origin: self.transmit,
            receive: Timestamp::from_system_time(received_at),
            transmit: Timestamp::from_system_time(answered_at),
            ..Packet::EMPTY
        }
        .encode()
    }
}

/// Why a datagram is not a client's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The datagram cannot hold an NTP header.
    #[error(transparent)]
    TooShort(#[from] TooShort),
    /// The packet is not a client's (RFC 5905 figure 10).
    #[error("an NTP question must have mode 3, this one has mode {mode}")]
    WrongMode {
        /// The mode it has, 0 to 7.
        mode: u8,
    },
    /// The version is none that has this header.
    #[error("an NTP question has version {version}, which is none of 1 to 4")]
    WrongVersion {
        /// The version it has, 0 to 7.
        version: u8,
    },
}

/// What a server says about itself in every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerState {
    /// Leap second warning, or "not synchronised".
    pub leap: Leap,
    /// Distance from a reference clock: 1 primary, 2 to 15 secondary, 0 kiss-o'-death.
    pub stratum: u8,
    /// Precision of the server's clock as a power of two seconds.
    pub precision: i8,
    /// Reference identifier, or the kiss code when the stratum is 0.
    pub reference_id: [u8; 4],
}

impl ServerState {
    /// A server that refuses with this code (RFC 5905 §7.4).
    pub fn kiss(code: KissCode) -> Self {
        Self {
            leap: Leap::Unsynchronised,
            stratum: 0,
            reference_id: *code.as_bytes(),
            ..Self::default()
        }
    }

    /// A server whose own clock was never set.
    pub fn unsynchronised() -> Self {
        Self {
            leap: Leap::Unsynchronised,
            stratum: STRATUM_UNSYNCHRONISED,
            reference_id: *b"INIT",
            ..Self::default()
        }
    }
}

impl Default for ServerState {
    /// A synchronised server of stratum 2 with a microsecond clock.
    fn default() -> Self {
        Self {
            leap: Leap::None,
            stratum: 2,
            precision: -20,
            reference_id: *b"LOCL",
        }
    }
}

#[cfg(test)]
mod tests;
