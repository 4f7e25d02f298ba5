//! Echo request and reply of ICMP and ICMPv6 (RFC 792, RFC 4443 §4).

/// Bytes before an echo's data.
pub const HEADER_LEN: usize = 8;
/// The most data an [`Echo`] carries here; together with every header it fits the smallest MTU
/// that IPv6 allows.
pub const DATA_MAX: usize = 1024;

/// Shortest IPv4 header (RFC 791 §3.1).
const IPV4_HEADER_MIN: usize = 20;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// ICMP over IPv4.
    V4,
    /// ICMPv6 over IPv6.
    V6,
}

/// Which half of an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asks for a reply.
    Request,
    /// Sends the data of a request back.
    Reply,
}

/// An echo request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo<'a> {
    /// Request or reply.
    pub kind: Kind,
    /// Tells askers apart. A kernel that keeps count of pings replaces it.
    pub identifier: u16,
    /// Tells an asker's requests apart.
    pub sequence: u16,
    /// Comes back unchanged.
    pub data: &'a [u8],
}

impl<'a> Echo<'a> {
    /// The message without an IP header.
    ///
    /// The checksum is that of ICMP (RFC 1071). In ICMPv6 it also covers addresses that only the
    /// sender's kernel knows for certain, which is why a kernel puts it in itself (RFC 3542 §3.1);
    /// it is zero here.
    ///
    /// Data beyond [`DATA_MAX`] is left out.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let data = &self.data[..self.data.len().min(DATA_MAX)];
        let mut message = Vec::with_capacity(HEADER_LEN + data.len());
        message.extend([type_of(version, self.kind), 0, 0, 0]);
        message.extend(self.identifier.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(data);
        if version == Version::V4 {
            let sum = checksum(&message).to_be_bytes();
            message[2..4].copy_from_slice(&sum);
        }
        message
    }

    /// Reads a message without an IP header. For ICMP the checksum must be right; that of ICMPv6
    /// was checked by the kernel.
    pub fn decode(version: Version, message: &'a [u8]) -> Result<Self, EchoError> {
        let Some((header, data)) = message.split_first_chunk::<HEADER_LEN>() else {
            return Err(EchoError::TooShort {
                length: message.len(),
            });
        };
        let kind = [Kind::Request, Kind::Reply]
            .into_iter()
            .find(|kind| type_of(version, *kind) == header[0])
            .ok_or(EchoError::NotEcho {
                message_type: header[0],
            })?;
        if header[1] != 0 {
            return Err(EchoError::WrongCode { code: header[1] });
        }
        if version == Version::V4 && checksum(message) != 0 {
            return Err(EchoError::WrongChecksum);
        }
        Ok(Self {
            kind,
            identifier: u16::from_be_bytes([header[4], header[5]]),
            sequence: u16::from_be_bytes([header[6], header[7]]),
            data,
        })
    }
}

/// Takes the IPv4 header off a packet, as raw sockets deliver it (RFC 791 §3.1).
pub fn strip_ipv4_header(packet: &[u8]) -> Result<&[u8], EchoError> {
    let too_short = EchoError::TooShort {
        length: packet.len(),
    };
    let first = *packet.first().ok_or(too_short)?;
    let length = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || length < IPV4_HEADER_MIN {
        return Err(EchoError::NotIpv4);
    }
    packet.get(length..).ok_or(too_short)
}

/// The Internet checksum (RFC 1071 §1); zero over a message that carries the right one.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    let (pairs, odd) = bytes.as_chunks::<2>();
    for pair in pairs {
        sum += u64::from(u16::from_be_bytes(*pair));
    }
    if let [last] = odd {
        sum += u64::from(u16::from_be_bytes([*last, 0]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Why bytes are not an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EchoError {
    /// Not even a header.
    #[error("an ICMP echo has at least {HEADER_LEN} bytes after its IP header, {length} came")]
    TooShort {
        /// Length in bytes.
        length: usize,
    },
    /// Another kind of message.
    #[error("ICMP type {message_type} is no echo")]
    NotEcho {
        /// Its type.
        message_type: u8,
    },
    /// An echo with a code.
    #[error("an ICMP echo has code 0, this one has {code}")]
    WrongCode {
        /// The code.
        code: u8,
    },
    /// Damaged on the way.
    #[error("the ICMP checksum is wrong")]
    WrongChecksum,
    /// No IPv4 header where one must be.
    #[error("the packet does not start with an IPv4 header")]
    NotIpv4,
}

/// Message types of RFC 792 and RFC 4443.
const fn type_of(version: Version, kind: Kind) -> u8 {
    match (version, kind) {
        (Version::V4, Kind::Request) => 8,
        (Version::V4, Kind::Reply) => 0,
        (Version::V6, Kind::Request) => 128,
        (Version::V6, Kind::Reply) => 129,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_1071_section_3_has_the_sum_it_gives() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&bytes), !0xddf2);
    }

    #[test]
    fn a_ping_as_linux_sends_it_is_made_and_read() {
        // iputils ping -s 4 -p 61: type 8, identifier 0x1234, sequence 1, "aaaa".
        let bytes = [8, 0, 0x23, 0x08, 0x12, 0x34, 0, 1, 0x61, 0x61, 0x61, 0x61];
        let echo = Echo {
            kind: Kind::Request,
            identifier: 0x1234,
            sequence: 1,
            data: b"aaaa",
        };
        assert_eq!(echo.encode(Version::V4), bytes);
        assert_eq!(Echo::decode(Version::V4, &bytes), Ok(echo));
    }

    #[test]
    fn a_damaged_echo_is_refused() {
        let echo = Echo {
            kind: Kind::Reply,
            identifier: 1,
            sequence: 2,
            data: b"data",
        };
        let mut bytes = echo.encode(Version::V4);
        bytes[9] ^= 0x10;
        assert_eq!(
            Echo::decode(Version::V4, &bytes),
            Err(EchoError::WrongChecksum)
        );
    }

    #[test]
    fn other_messages_are_told_apart() {
        let unreachable = [3, 13, 0, 0, 0, 0, 0, 0];
        let error = EchoError::NotEcho { message_type: 3 };
        assert_eq!(Echo::decode(Version::V4, &unreachable), Err(error));
        let error = EchoError::WrongCode { code: 1 };
        assert_eq!(
            Echo::decode(Version::V6, &[129, 1, 0, 0, 0, 0, 0, 0]),
            Err(error)
        );
        assert_eq!(
            Echo::decode(Version::V6, &[129]),
            Err(EchoError::TooShort { length: 1 })
        );
    }

    #[test]
    fn ip_options_are_stripped_with_the_header() {
        let mut packet = vec![0x46];
        packet.extend([0; 23]);
        packet.extend(b"rest");
        assert_eq!(strip_ipv4_header(&packet), Ok(&b"rest"[..]));
        assert_eq!(strip_ipv4_header(&[0x60; 40]), Err(EchoError::NotIpv4));
        assert_eq!(
            strip_ipv4_header(&[0x4f; 59]),
            Err(EchoError::TooShort { length: 59 })
        );
        assert_eq!(
            strip_ipv4_header(&[]),
            Err(EchoError::TooShort { length: 0 })
        );
    }

    proptest! {
        #[test]
        fn an_echo_comes_back(
            identifier: u16,
            sequence: u16,
            reply: bool,
            v6: bool,
            data in proptest::collection::vec(any::<u8>(), 0..=DATA_MAX),
        ) {
            let kind = if reply { Kind::Reply } else { Kind::Request };
            let version = if v6 { Version::V6 } else { Version::V4 };
            let echo = Echo { kind, identifier, sequence, data: &data };
            let message = echo.encode(version);
            prop_assert_eq!(Echo::decode(version, &message), Ok(echo));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Echo::decode(Version::V4, &bytes);
            let _ = Echo::decode(Version::V6, &bytes);
            let _ = strip_ipv4_header(&bytes);
        }
    }
}
