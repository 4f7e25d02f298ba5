//! Messages: a header and attributes (RFC 8489 §5).

use std::net::SocketAddr;

use super::{
    HEADER_LEN, MESSAGE_MAX,
    attribute::{
        CHANGE_REQUEST, Change, ERROR_CODE, ErrorCode, FINGERPRINT, MAGIC_COOKIE, MAPPED_ADDRESS,
        MESSAGE_INTEGRITY, NONCE, OPTIONAL_FROM, OTHER_ADDRESS, REALM, RESPONSE_ORIGIN, SOFTWARE,
        UNKNOWN_ATTRIBUTES, USERNAME, XOR_MAPPED_ADDRESS, decode_address, encode_address,
        fingerprint, text, xor,
    },
};

/// The only method here (RFC 8489 §18.2).
const BINDING: u16 = 0x0001;
/// Most unknown attributes that are listed: more of them than these are counted as these.
const UNKNOWN_MAX: usize = 16;

/// Tells transactions apart (RFC 8489 §6). Whoever does not see the request cannot guess it, if
/// the caller draws it at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// What a message is (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// Asks for none.
    Indication,
    /// It worked.
    Success,
    /// It did not.
    Error,
}

impl Class {
    /// The bits that stand between those of the method.
    fn bits(self) -> u16 {
        match self {
            Self::Request => 0x0000,
            Self::Indication => 0x0010,
            Self::Success => 0x0100,
            Self::Error => 0x0110,
        }
    }
}

/// A binding message as it was read. Of an attribute that comes twice the first counts (RFC 8489
/// §14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub class: Class,
    /// Which transaction it belongs to.
    pub id: TransactionId,
    /// XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS where a server knows no other: whom it saw asking.
    pub reflexive: Option<SocketAddr>,
    /// OTHER-ADDRESS (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// RESPONSE-ORIGIN (RFC 5780 §7.3).
    pub response_origin: Option<SocketAddr>,
    /// CHANGE-REQUEST; nothing changes where there is none.
    pub change: Change,
    /// ERROR-CODE.
    pub error: Option<ErrorCode>,
    /// SOFTWARE, at most 127 characters.
    pub software: Option<String>,
    /// Attributes that must be known and are not, at most 16.
    pub unknown: Vec<u16>,
}

impl Message {
    /// Reads a whole datagram, or a message cut out of a stream.
    ///
    /// # Errors
    ///
    /// When it is no binding message of RFC 8489, or an attribute that counts is broken.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let (class, id) = read_header(bytes)?;
        let mut message = Self {
            class,
            id,
            reflexive: None,
            other_address: None,
            response_origin: None,
            change: Change::default(),
            error: None,
            software: None,
            unknown: Vec::new(),
        };
        let mut mapped = None;
        let mut at = HEADER_LEN;
        let mut seen_change = false;
        while at < bytes.len() {
            let (kind, value, next) = attribute(bytes, at)?;
            match kind {
                XOR_MAPPED_ADDRESS if message.reflexive.is_none() => {
                    message.reflexive = Some(xor(decode_address(kind, value)?, id));
                }
                MAPPED_ADDRESS if mapped.is_none() => mapped = Some(decode_address(kind, value)?),
                OTHER_ADDRESS if message.other_address.is_none() => {
                    message.other_address = Some(decode_address(kind, value)?);
                }
                RESPONSE_ORIGIN if message.response_origin.is_none() => {
                    message.response_origin = Some(decode_address(kind, value)?);
                }
                CHANGE_REQUEST if !seen_change => {
                    seen_change = true;
                    message.change = Change::decode(value)?;
                }
                ERROR_CODE if message.error.is_none() => {
                    message.error = Some(ErrorCode::decode(value)?);
                }
                SOFTWARE if message.software.is_none() => message.software = Some(text(value)),
                FINGERPRINT => {
                    let right = fingerprint(&bytes[..at]).to_be_bytes();
                    // It is the last (RFC 8489 §14.7): what follows is not covered by it.
                    if value != right || next != bytes.len() {
                        return Err(ReadError::WrongFingerprint);
                    }
                }
                kind if kind < OPTIONAL_FROM
                    && !is_known(kind)
                    && message.unknown.len() < UNKNOWN_MAX =>
                {
                    message.unknown.push(kind);
                }
                _ => {}
            }
            at = next;
        }
        message.reflexive = message.reflexive.or(mapped);
        Ok(message)
    }

    /// How long the message is that begins with this header, in bytes, header included: what a
    /// reader of a stream has to wait for.
    ///
    /// # Errors
    ///
    /// When it is no header of RFC 8489, or the message is longer than [`MESSAGE_MAX`].
    pub fn length(header: &[u8; HEADER_LEN]) -> Result<usize, ReadError> {
        check_header(header)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) + HEADER_LEN;
        if length > MESSAGE_MAX {
            return Err(ReadError::TooLong { length });
        }
        Ok(length)
    }
}

/// What carries no word of its own here, but is known and so need not be refused.
fn is_known(kind: u16) -> bool {
    matches!(
        kind,
        MAPPED_ADDRESS
            | CHANGE_REQUEST
            | USERNAME
            | MESSAGE_INTEGRITY
            | ERROR_CODE
            | UNKNOWN_ATTRIBUTES
            | REALM
            | NONCE
            | XOR_MAPPED_ADDRESS
    )
}

fn check_header(header: &[u8; HEADER_LEN]) -> Result<(), ReadError> {
    if header[0] & 0xc0 != 0 || header[4..8] != MAGIC_COOKIE || !header[3].is_multiple_of(4) {
        return Err(ReadError::NotStun);
    }
    Ok(())
}

fn read_header(bytes: &[u8]) -> Result<(Class, TransactionId), ReadError> {
    let header = bytes
        .first_chunk::<HEADER_LEN>()
        .ok_or(ReadError::NotStun)?;
    check_header(header)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]])) + HEADER_LEN;
    if bytes.len() > MESSAGE_MAX || length > MESSAGE_MAX {
        return Err(ReadError::TooLong {
            length: length.max(bytes.len()),
        });
    }
    if length != bytes.len() {
        return Err(ReadError::WrongLength {
            told: length,
            came: bytes.len(),
        });
    }
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let class = match kind & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    if kind & !0x0110 != BINDING {
        return Err(ReadError::NotBinding { kind });
    }
    let mut id = [0; 12];
    id.copy_from_slice(&header[8..]);
    Ok((class, TransactionId(id)))
}

/// The attribute at this place, and where the next begins.
fn attribute(bytes: &[u8], at: usize) -> Result<(u16, &[u8], usize), ReadError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let (head, rest) = rest.split_first_chunk::<4>().ok_or(ReadError::NotStun)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = rest.get(..length).ok_or(ReadError::BadAttribute { kind })?;
    let next = at + 4 + length.next_multiple_of(4);
    if next > bytes.len() {
        return Err(ReadError::BadAttribute { kind });
    }
    Ok((kind, value, next))
}

/// A binding request; at most [`REQUEST_MAX`](super::REQUEST_MAX) bytes.
pub fn binding_request(id: TransactionId, change: Option<Change>) -> Vec<u8> {
    let mut message = begin(Class::Request, id);
    if let Some(change) = change {
        push(&mut message, CHANGE_REQUEST, &change.encode());
    }
    message
}

/// What a server says to a binding request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Whom it saw asking, and where else it can be asked.
    Success {
        /// From where the request came.
        reflexive: SocketAddr,
        /// From where the answer leaves.
        response_origin: Option<SocketAddr>,
        /// The address and the port that are both other than those that were asked.
        other_address: Option<SocketAddr>,
    },
    /// No, and why.
    Error {
        /// The code and its words.
        error: ErrorCode,
        /// For code 420: what was not known.
        unknown: Vec<u16>,
    },
}

/// An answer, with a FINGERPRINT; at most [`MESSAGE_MAX`] bytes.
pub fn write_answer(id: TransactionId, answer: &Answer) -> Vec<u8> {
    let mut message;
    match answer {
        Answer::Success {
            reflexive,
            response_origin,
            other_address,
        } => {
            message = begin(Class::Success, id);
            let reflexive = encode_address(xor(*reflexive, id));
            push(&mut message, XOR_MAPPED_ADDRESS, &reflexive);
            if let Some(origin) = response_origin {
                push(&mut message, RESPONSE_ORIGIN, &encode_address(*origin));
            }
            if let Some(other) = other_address {
                push(&mut message, OTHER_ADDRESS, &encode_address(*other));
            }
        }
        Answer::Error { error, unknown } => {
            message = begin(Class::Error, id);
            push(&mut message, ERROR_CODE, &error.encode());
            if !unknown.is_empty() {
                let kinds = unknown.iter().take(UNKNOWN_MAX);
                let value: Vec<u8> = kinds.flat_map(|kind| kind.to_be_bytes()).collect();
                push(&mut message, UNKNOWN_ATTRIBUTES, &value);
            }
        }
    }
    // The checksum is made over a header that counts its attribute already (RFC 8489 §14.7).
    let before = message.len();
    push(&mut message, FINGERPRINT, &[0; 4]);
    let value = fingerprint(&message[..before]).to_be_bytes();
    message[before + 4..].copy_from_slice(&value);
    message
}

fn begin(class: Class, id: TransactionId) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_LEN + 64);
    message.extend((BINDING | class.bits()).to_be_bytes());
    message.extend([0, 0]);
    message.extend(MAGIC_COOKIE);
    message.extend(id.0);
    message
}

fn push(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = u16::try_from(message.len() - HEADER_LEN).unwrap_or(0);
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Why bytes are not a binding message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No header of RFC 8489, such as one without the magic cookie.
    #[error("the answer is not STUN")]
    NotStun,
    /// Longer than anything that is read.
    #[error("a STUN message of {length} bytes, {MESSAGE_MAX} are read")]
    TooLong {
        /// Bytes that it has or claims.
        length: usize,
    },
    /// The header's length is not that of the message.
    #[error("a STUN message that says {told} bytes, {came} came")]
    WrongLength {
        /// What the header says, header included.
        told: usize,
        /// What is there.
        came: usize,
    },
    /// Another method, such as one of TURN.
    #[error("STUN message type 0x{kind:04x} is no binding")]
    NotBinding {
        /// Type of the message.
        kind: u16,
    },
    /// An attribute that is too short, too long, or makes no sense.
    #[error("STUN attribute 0x{kind:04x} is broken")]
    BadAttribute {
        /// Its type.
        kind: u16,
    },
    /// Damaged on the way.
    #[error("the STUN fingerprint is wrong")]
    WrongFingerprint,
}
