//! Reads packets.

use bytes::{Buf, Bytes, BytesMut};

use crate::packet::reader::Reader;
use crate::packet::reason::Places;
use crate::packet::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, Packet, Publish, ReasonCode, SubAck,
    Subscribe, UnsubAck, Unsubscribe, Version,
};
use crate::text::TextError;
use crate::topics::{FilterError, TopicError};

/// Why bytes are not a packet that may be sent here. The connection ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It does not read as MQTT.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// It reads, but must not be said.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// A version of MQTT that is not spoken here.
    #[error("unsupported protocol version (level {level})")]
    Version {
        /// The protocol level that was asked for.
        level: u8,
    },
    /// More bytes than are taken. Nothing of it was kept.
    #[error("packet too large")]
    TooLarge,
    /// More parts than are taken.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A topic alias of 0.
    #[error("topic alias is 0")]
    TopicAlias,
    /// A text that is none.
    #[error("malformed packet: a text is not as MQTT wants it")]
    Text(#[from] TextError),
    /// A topic name that is none.
    #[error("invalid topic name")]
    Topic(#[from] TopicError),
    /// A topic filter that is none.
    #[error("invalid topic filter")]
    Filter(#[from] FilterError),
}

impl DecodeError {
    /// The reason code that MQTT 5.0 has for it.
    #[must_use]
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Malformed(_)
            | Self::Text(_)
            | Self::Topic(TopicError::Text(_))
            | Self::Filter(FilterError::Text(_)) => ReasonCode::MalformedPacket,
            Self::Protocol(_)
            | Self::Topic(TopicError::Empty)
            | Self::Filter(FilterError::Empty | FilterError::Shared) => ReasonCode::ProtocolError,
            Self::Version { .. } => ReasonCode::UnsupportedProtocolVersion,
            Self::TooLarge => ReasonCode::PacketTooLarge,
            Self::TooMany(_) => ReasonCode::QuotaExceeded,
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::Topic(TopicError::Wildcard | TopicError::TooDeep) => ReasonCode::TopicNameInvalid,
            Self::Filter(
                FilterError::MultiLevel | FilterError::SingleLevel | FilterError::TooDeep,
            ) => ReasonCode::TopicFilterInvalid,
        }
    }

    pub(super) fn reason_code(code: u8, place: u16) -> Result<ReasonCode, Self> {
        ReasonCode::from_number(code)
            .filter(|reason| reason.is_allowed_in(place))
            .ok_or(Self::Protocol(
                "a reason code that the packet does not have",
            ))
    }
}

/// Who sends what is read: some packets and properties only go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client; the reader is a server.
    Client,
    /// A server; the reader is a client.
    Server,
}

/// Reads the packets of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// The version in use. Does not matter to a CONNECT, which says its own.
    pub version: Version,
    /// The largest packet that is taken, in bytes with its fixed header.
    pub max_size: usize,
    /// Who sends.
    pub from: Peer,
}

/// Reads the next packet of a client, as [`Decoder::decode`] does.
///
/// # Errors
/// As [`Decoder::decode`].
pub fn decode(
    buffer: &mut BytesMut,
    version: Version,
    max_size: usize,
) -> Result<Option<Packet>, DecodeError> {
    Decoder {
        version,
        max_size,
        from: Peer::Client,
    }
    .decode(buffer)
}

impl Decoder {
    /// Takes the next packet out of `buffer`; `None` when there is no whole one yet. The first
    /// bytes already tell a packet that cannot come or is too large: no need to wait for the rest.
    ///
    /// # Errors
    /// Any [`DecodeError`]; what `buffer` has then is of no further use.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(header) = Header::read(buffer)? else {
            return Ok(None);
        };
        self.check_flags(header)?;
        let Some(length) = header.length else {
            return Ok(None);
        };
        let total = length.position + length.remaining;
        if total > self.max_size {
            return Err(DecodeError::TooLarge);
        }
        self.check_direction(header)?;
        let Some(whole) = buffer.get(length.position..total) else {
            return Ok(None);
        };
        let mut reader = Reader::new(whole, self.version);
        let packet = if header.kind == PUBLISH {
            let publish = Publish::read_head(&mut reader, header.flags, self.from)?;
            let payload_length = reader.len();
            let payload = take_payload(buffer, total, payload_length);
            Packet::Publish(Box::new(Publish { payload, ..publish }))
        } else {
            let packet = read(header, &mut reader)?;
            reader.finish()?;
            // CONNECT has told the version that its own length is held to.
            let version = reader.version;
            self.check_length(length, version)?;
            buffer.advance(total);
            return Ok(Some(packet));
        };
        self.check_length(length, self.version)?;
        Ok(Some(packet))
    }

    /// The reserved flags are as the standard has them (section 2.1.3).
    fn check_flags(&self, header: Header) -> Result<(), DecodeError> {
        let flags = match (header.kind, self.version) {
            (PUBLISH, _) => return Ok(()),
            // 3.1 marks repetitions of these too, with the flag that a PUBLISH has for it.
            (PUBREL | SUBSCRIBE | UNSUBSCRIBE, Version::V3_1) => header.flags & !0x08,
            _ => header.flags,
        };
        let wanted = match header.kind {
            PUBREL | SUBSCRIBE | UNSUBSCRIBE => 2,
            _ => 0,
        };
        if flags != wanted {
            return Err(DecodeError::Malformed(
                "a reserved flag of the fixed header",
            ));
        }
        match header.kind {
            0 => Err(DecodeError::Malformed("packet type 0")),
            AUTH if self.version < Version::V5 => Err(DecodeError::Malformed("packet type 15")),
            _ => Ok(()),
        }
    }

    fn check_direction(&self, header: Header) -> Result<(), DecodeError> {
        let wrong = match self.from {
            Peer::Client => matches!(header.kind, CONNACK | SUBACK | UNSUBACK | PINGRESP),
            Peer::Server => matches!(header.kind, CONNECT | SUBSCRIBE | UNSUBSCRIBE | PINGREQ),
        };
        if wrong {
            return Err(DecodeError::Protocol(
                "a packet that only goes the other way",
            ));
        }
        Ok(())
    }

    /// 5.0 wants lengths in as few bytes as they need [MQTT-1.5.5-1]; 3.1.1 does not.
    fn check_length(&self, length: Length, version: Version) -> Result<(), DecodeError> {
        if version == Version::V5 && !length.shortest {
            return Err(DecodeError::Malformed(
                "a number has more bytes than it needs",
            ));
        }
        Ok(())
    }
}

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
const UNSUBSCRIBE: u8 = 10;
const UNSUBACK: u8 = 11;
const PINGREQ: u8 = 12;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

/// A fixed header (section 2.1.1).
#[derive(Clone, Copy)]
struct Header {
    kind: u8,
    flags: u8,
    /// `None` while more of it must come.
    length: Option<Length>,
}

#[derive(Clone, Copy)]
struct Length {
    /// Where the fixed header ends.
    position: usize,
    remaining: usize,
    /// Whether it is written in as few bytes as it needs.
    shortest: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let header = Self {
            kind: first >> 4,
            flags: first & 0x0F,
            length: None,
        };
        let mut remaining = 0;
        for (index, byte) in rest.iter().take(4).enumerate() {
            remaining |= usize::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                let length = Length {
                    position: index + 2,
                    remaining,
                    shortest: index == 0 || *byte != 0,
                };
                return Ok(Some(Self {
                    length: Some(length),
                    ..header
                }));
            }
        }
        if rest.len() >= 4 {
            return Err(DecodeError::Malformed(
                "the length has more than four bytes",
            ));
        }
        Ok(Some(header))
    }
}

/// Takes a packet of `total` bytes out of `buffer`, and gives its last `length` bytes.
fn take_payload(buffer: &mut BytesMut, total: usize, length: usize) -> Bytes {
    buffer.advance(total - length);
    buffer.split_to(length).freeze()
}

fn read(header: Header, reader: &mut Reader<'_>) -> Result<Packet, DecodeError> {
    Ok(match header.kind {
        CONNECT => Packet::Connect(Box::new(Connect::read(reader)?)),
        CONNACK => Packet::ConnAck(Box::new(ConnAck::read(reader)?)),
        PUBACK => Packet::PubAck(Acknowledgement::read(reader, Places::PUBACK)?),
        PUBREC => Packet::PubRec(Acknowledgement::read(reader, Places::PUBREC)?),
        PUBREL => Packet::PubRel(Acknowledgement::read(reader, Places::PUBREL)?),
        PUBCOMP => Packet::PubComp(Acknowledgement::read(reader, Places::PUBCOMP)?),
        SUBSCRIBE => Packet::Subscribe(Subscribe::read(reader)?),
        SUBACK => Packet::SubAck(SubAck::read(reader)?),
        UNSUBSCRIBE => Packet::Unsubscribe(Unsubscribe::read(reader)?),
        UNSUBACK => Packet::UnsubAck(UnsubAck::read(reader)?),
        PINGREQ => Packet::PingReq,
        PINGRESP => Packet::PingResp,
        DISCONNECT => Packet::Disconnect(Disconnect::read(reader)?),
        AUTH => Packet::Auth(Box::new(Auth::read(reader)?)),
        _ => return Err(DecodeError::Malformed("packet type 0")),
    })
}
