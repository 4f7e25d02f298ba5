//! RTP packets (RFC 3550 §5.1) by which ports are tried, how a reflector answers them, and what a
//! stream of them tells of loss and jitter (RFC 3550 §6.4.1, appendix A.8).
//!
//! A reflector answers only questions made here, each with one answer of the same length, and no
//! answer is a question: it amplifies nothing, and two reflectors have nothing to say to each
//! other. A server that sends back whatever it gets, as `sipp -rtp_echo` does, will do too.

mod reception;

pub use reception::Reception;

/// Bytes before the payload, without contributing sources and extensions.
pub const HEADER_LEN: usize = 12;
/// Samples a second of the payload type that is used, PCMA (RFC 3551 §4.5.14).
pub const CLOCK_RATE: u32 = 8000;
/// The longest packet that is read or made, in bytes: with every header it fits the smallest MTU
/// of IPv6 (RFC 8200 §5).
pub const PACKET_MAX: usize = 1200;
/// The shortest packet that is made: a header, the mark, and the port it is sent to.
pub const QUESTION_MIN: usize = HEADER_LEN + MARK_LEN + 2;

/// Version 2, no padding, no extension, no contributing sources (RFC 3550 §5.1).
const FIRST: u8 = 0x80;
/// Payload type PCMA (RFC 3551 §6).
const PCMA: u8 = 8;
const MARK_LEN: usize = 8;
/// How the payload of a question begins.
const ASKS: [u8; MARK_LEN] = *b"outgate?";
/// How that of an answer begins.
const ANSWERS: [u8; MARK_LEN] = *b"outgate!";
/// What fills the rest: silence in PCMA.
const SILENCE: u8 = 0xd5;

/// A packet of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Counts the packets of a stream, and begins again after 65535.
    pub sequence: u16,
    /// When its first sample was taken, in samples.
    pub timestamp: u32,
    /// Whose stream it is; drawn at random by the caller, so that others do not guess it.
    pub source: u32,
    /// The port it is sent to, which a router on the way may change.
    pub port: u16,
}

impl Packet {
    /// The packet as a question, of this length but at least [`QUESTION_MIN`] and at most
    /// [`PACKET_MAX`].
    pub fn encode(&self, length: usize) -> Vec<u8> {
        let mut packet = Vec::with_capacity(length);
        packet.extend([FIRST, PCMA]);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend(ASKS);
        packet.extend(self.port.to_be_bytes());
        packet.resize(length.clamp(QUESTION_MIN, PACKET_MAX), SILENCE);
        packet
    }

    /// Reads what came back: an answer, or the question itself as an echo sends it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (packet, _) = read(bytes)?;
        Some(packet)
    }
}

/// A reflector's answer to a question; `None` if it is none.
pub fn reflect(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, mark) = read(bytes)?;
    if mark != ASKS {
        return None;
    }
    let mut answer = bytes.to_vec();
    answer[HEADER_LEN..HEADER_LEN + MARK_LEN].copy_from_slice(&ANSWERS);
    Some(answer)
}

fn read(bytes: &[u8]) -> Option<(Packet, [u8; MARK_LEN])> {
    if bytes.len() > PACKET_MAX {
        return None;
    }
    let (head, payload) = bytes.split_first_chunk::<HEADER_LEN>()?;
    let (mark, rest) = payload.split_first_chunk::<MARK_LEN>()?;
    let port = rest.first_chunk::<2>()?;
    // A switch on the way may set the marker bit.
    if head[0] != FIRST || head[1] & 0x7f != PCMA || (*mark != ASKS && *mark != ANSWERS) {
        return None;
    }
    let packet = Packet {
        sequence: u16::from_be_bytes([head[2], head[3]]),
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        source: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        port: u16::from_be_bytes(*port),
    };
    Some((packet, *mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_question_and_its_answer_come_back(
            sequence: u16, timestamp: u32, source: u32, port: u16, length in 0usize..2000,
        ) {
            let packet = Packet { sequence, timestamp, source, port };
            let question = packet.encode(length);
            prop_assert!((QUESTION_MIN..=PACKET_MAX).contains(&question.len()));
            prop_assert_eq!(Packet::read(&question), Some(packet));
            let answer = reflect(&question).unwrap();
            prop_assert_eq!(answer.len(), question.len());
            prop_assert_eq!(Packet::read(&answer), Some(packet));
            prop_assert_eq!(reflect(&answer), None);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Packet::read(&bytes);
            let _ = reflect(&bytes);
        }
    }

    #[test]
    fn somebody_elses_speech_is_not_reflected() {
        let mut speech = vec![FIRST, PCMA];
        speech.resize(172, SILENCE);
        assert_eq!(reflect(&speech), None);
    }
}
