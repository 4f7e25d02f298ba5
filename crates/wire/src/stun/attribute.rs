//! Attributes: type, length, value, padded to four bytes (RFC 8489 §14).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{ReadError, message::TransactionId};

/// RFC 8489 §5.
pub(super) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Below this number, who does not know an attribute must refuse the message (RFC 8489 §14).
pub(super) const OPTIONAL_FROM: u16 = 0x8000;

// RFC 8489 §18.3; RFC 5780 §9.1.
pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
pub(super) const CHANGE_REQUEST: u16 = 0x0003;
pub(super) const USERNAME: u16 = 0x0006;
pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub(super) const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;
pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub(super) const SOFTWARE: u16 = 0x8022;
pub(super) const FINGERPRINT: u16 = 0x8028;
pub(super) const RESPONSE_ORIGIN: u16 = 0x802b;
pub(super) const OTHER_ADDRESS: u16 = 0x802c;

/// The longest SOFTWARE or reason that is kept, in characters; RFC 8489 §14.14 allows fewer than
/// 128.
const TEXT_MAX: usize = 127;
/// FINGERPRINT is the checksum, exclusive or this (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// From where a request asks to be answered (RFC 5780 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Change {
    /// From the server's other address.
    pub address: bool,
    /// From the server's other port.
    pub port: bool,
}

impl Change {
    pub(super) fn encode(self) -> [u8; 4] {
        [
            0,
            0,
            0,
            u8::from(self.address) << 2 | u8::from(self.port) << 1,
        ]
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, ReadError> {
        let flags = value.get(..4).ok_or(ReadError::BadAttribute {
            kind: CHANGE_REQUEST,
        })?[3];
        Ok(Self {
            address: flags & 4 != 0,
            port: flags & 2 != 0,
        })
    }
}

/// Why a server refused (RFC 8489 §14.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCode {
    /// 300 to 699.
    pub code: u16,
    /// Its words, at most 127 characters, none of them a control character.
    pub reason: String,
}

impl ErrorCode {
    pub(super) fn decode(value: &[u8]) -> Result<Self, ReadError> {
        let bad = ReadError::BadAttribute { kind: ERROR_CODE };
        let (head, reason) = value.split_first_chunk::<4>().ok_or(bad)?;
        let (class, number) = (head[2] & 7, head[3]);
        if !(3..=6).contains(&class) || number > 99 {
            return Err(bad);
        }
        Ok(Self {
            code: u16::from(class) * 100 + u16::from(number),
            reason: text(reason),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let class = u8::try_from(self.code / 100).unwrap_or(5);
        let number = u8::try_from(self.code % 100).unwrap_or(0);
        let mut value = vec![0, 0, class, number];
        value.extend(
            self.reason
                .chars()
                .take(TEXT_MAX)
                .collect::<String>()
                .bytes(),
        );
        value
    }
}

/// Text of a peer, cut and without control characters.
pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value)
        .chars()
        .filter(|letter| !letter.is_control())
        .take(TEXT_MAX)
        .collect()
}

/// MAPPED-ADDRESS and those of the same form (RFC 8489 §14.1).
pub(super) fn decode_address(kind: u16, value: &[u8]) -> Result<SocketAddr, ReadError> {
    let bad = ReadError::BadAttribute { kind };
    let (head, address) = value.split_first_chunk::<4>().ok_or(bad)?;
    let port = u16::from_be_bytes([head[2], head[3]]);
    let address = match head[1] {
        1 => IpAddr::from(<[u8; 4]>::try_from(address).map_err(|_| bad)?),
        2 => IpAddr::from(<[u8; 16]>::try_from(address).map_err(|_| bad)?),
        _ => return Err(bad),
    };
    Ok(SocketAddr::new(address, port))
}

pub(super) fn encode_address(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { 1 } else { 2 };
    let mut value = vec![0, family];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(address) => value.extend(address.octets()),
        IpAddr::V6(address) => value.extend(address.octets()),
    }
    value
}

/// To and from XOR-MAPPED-ADDRESS (RFC 8489 §14.2): twice is not at all.
pub(super) fn xor(address: SocketAddr, id: TransactionId) -> SocketAddr {
    let [high, low, ..] = MAGIC_COOKIE;
    let port = address.port() ^ u16::from_be_bytes([high, low]);
    let mut key = [0; 16];
    key[..4].copy_from_slice(&MAGIC_COOKIE);
    key[4..].copy_from_slice(&id.0);
    let address = match address.ip() {
        IpAddr::V4(address) => {
            let bits = address.to_bits() ^ u32::from_be_bytes(MAGIC_COOKIE);
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits() ^ u128::from_be_bytes(key);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    };
    SocketAddr::new(address, port)
}

/// The value of FINGERPRINT after these bytes, whose header counts the attribute already.
pub(super) fn fingerprint(message: &[u8]) -> u32 {
    crc32(message) ^ FINGERPRINT_XOR
}

/// CRC-32 of ITU-T V.42, bit by bit: messages are short.
fn crc32(bytes: &[u8]) -> u32 {
    let mut remainder = u32::MAX;
    for byte in bytes {
        remainder ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = remainder & 1;
            remainder >>= 1;
            if carry == 1 {
                remainder ^= 0xedb8_8320;
            }
        }
    }
    !remainder
}
