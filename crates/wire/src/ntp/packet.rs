//! The 48-byte NTP header (RFC 5905 figure 8).

use super::{PACKET_LEN, Timestamp};

/// Every field of an NTP header, unchecked. Extension fields and MAC are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Leap second warning.
    pub leap: Leap,
    /// Protocol version, 0 to 7.
    pub version: u8,
    /// Association mode, 0 to 7: 3 client, 4 server.
    pub mode: u8,
    /// Distance from a reference clock; 0 kiss-o'-death, 16 and more not synchronised.
    pub stratum: u8,
    /// Poll interval as a power of two seconds.
    pub poll: i8,
    /// Clock precision as a power of two seconds.
    pub precision: i8,
    /// Round trip to the reference clock in 1/65536 s.
    pub root_delay: u32,
    /// Dispersion to the reference clock in 1/65536 s.
    pub root_dispersion: u32,
    /// What the server is synchronised to, or a kiss code.
    pub reference_id: [u8; 4],
    /// When the server's clock was last set.
    pub reference: Timestamp,
    /// The client's transmit timestamp, sent back.
    pub origin: Timestamp,
    /// When the request reached the server.
    pub receive: Timestamp,
    /// When the sender sent this packet; a client's cookie.
    pub transmit: Timestamp,
}

impl Packet {
    /// All zero.
    pub(super) const EMPTY: Self = Self {
        leap: Leap::None,
        version: 0,
        mode: 0,
        stratum: 0,
        poll: 0,
        precision: 0,
        root_delay: 0,
        root_dispersion: 0,
        reference_id: [0; 4],
        reference: Timestamp::UNKNOWN,
        origin: Timestamp::UNKNOWN,
        receive: Timestamp::UNKNOWN,
        transmit: Timestamp::UNKNOWN,
    };

    /// Reads the first 48 bytes; what follows (extension fields, a MAC) is not looked at.
    pub fn decode(datagram: &[u8]) -> Result<Self, TooShort> {
        let Some(header) = datagram.first_chunk::<PACKET_LEN>() else {
            return Err(TooShort {
                length: datagram.len(),
            });
        };
        Ok(Self {
            leap: Leap::from_bits(header[0] >> 6),
            version: (header[0] >> 3) & 7,
            mode: header[0] & 7,
            stratum: header[1],
            poll: i8::from_be_bytes([header[2]]),
            precision: i8::from_be_bytes([header[3]]),
            root_delay: u32::from_be_bytes(word(header, 4)),
            root_dispersion: u32::from_be_bytes(word(header, 8)),
            reference_id: word(header, 12),
            reference: Timestamp::from_bits(u64::from_be_bytes(word(header, 16))),
            origin: Timestamp::from_bits(u64::from_be_bytes(word(header, 24))),
            receive: Timestamp::from_bits(u64::from_be_bytes(word(header, 32))),
            transmit: Timestamp::from_bits(u64::from_be_bytes(word(header, 40))),
        })
    }

    /// The 48 bytes to send. Of `version` and `mode` the lower three bits count.
    pub fn encode(&self) -> [u8; PACKET_LEN] {
        let mut header = [0; PACKET_LEN];
        header[0] = (self.leap.to_bits() << 6) | ((self.version & 7) << 3) | (self.mode & 7);
        header[1] = self.stratum;
        header[2] = self.poll.to_be_bytes()[0];
        header[3] = self.precision.to_be_bytes()[0];
        header[4..8].copy_from_slice(&self.root_delay.to_be_bytes());
        header[8..12].copy_from_slice(&self.root_dispersion.to_be_bytes());
        header[12..16].copy_from_slice(&self.reference_id);
        header[16..24].copy_from_slice(&self.reference.to_bits().to_be_bytes());
        header[24..32].copy_from_slice(&self.origin.to_bits().to_be_bytes());
        header[32..40].copy_from_slice(&self.receive.to_bits().to_be_bytes());
        header[40..48].copy_from_slice(&self.transmit.to_bits().to_be_bytes());
        header
    }
}

/// Leap indicator (RFC 5905 figure 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leap {
    /// No warning.
    None,
    /// The last minute of the day has 61 seconds.
    Insert,
    /// The last minute of the day has 59 seconds.
    Delete,
    /// The clock is not synchronised.
    Unsynchronised,
}

impl Leap {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unsynchronised,
        }
    }

    const fn to_bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Insert => 1,
            Self::Delete => 2,
            Self::Unsynchronised => 3,
        }
    }
}

/// A datagram that cannot hold an NTP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an NTP packet has at least {PACKET_LEN} bytes, this datagram has {length}")]
pub struct TooShort {
    /// Its length in bytes.
    pub length: usize,
}

fn word<const N: usize>(header: &[u8; PACKET_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_header_comes_back_byte_for_byte(bytes: [u8; 32], rest: [u8; 16]) {
            let header = [&bytes[..], &rest[..]].concat();
            prop_assert_eq!(Packet::decode(&header).unwrap().encode().to_vec(), header);
        }

        #[test]
        fn a_short_datagram_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
            prop_assert_eq!(Packet::decode(&bytes), Err(TooShort { length: bytes.len() }));
        }
    }
}
