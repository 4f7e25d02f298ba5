//! Writes packets.

use bytes::{BufMut, BytesMut};

use crate::packet::bits::{VARIABLE_MAX, put_variable};
use crate::packet::reason::Places;
use crate::packet::{Packet, ReasonCode, Version};

/// The largest packet that MQTT can say, in bytes: 256 MiB and its fixed header.
pub const PACKET_MAX: usize = 5 + VARIABLE_MAX;

/// Why a packet cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Binary data of more than 65,535 bytes.
    #[error("a field is longer than 65,535 bytes")]
    FieldTooLong,
    /// More than [`PACKET_MAX`] bytes.
    #[error("the packet is longer than MQTT can say")]
    TooLong,
    /// A PUBLISH with neither topic nor alias.
    #[error("the message has no topic")]
    NoTopic,
    /// The reason code does not belong in this packet.
    #[error("{0} does not belong in this packet")]
    Reason(ReasonCode),
    /// 3.1.1 has no AUTH.
    #[error("only MQTT 5.0 has this packet")]
    Version,
}

impl EncodeError {
    pub(super) fn check_reason(reason: ReasonCode, place: u16) -> Result<(), Self> {
        if reason.is_allowed_in(place) {
            Ok(())
        } else {
            Err(Self::Reason(reason))
        }
    }
}

/// Writes `packet` as `version` has it; a CONNECT as its own version has it. What the version does
/// not know is left out.
///
/// # Errors
/// Any [`EncodeError`]; then `out` is as before.
pub fn encode(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    let before = out.len();
    let result = write(packet, version, out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

fn write(packet: &Packet, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => with_header(0x10, out, |out| connect.write(out)),
        Packet::ConnAck(answer) => with_header(0x20, out, |out| answer.write(version, out)),
        Packet::Publish(publish) => publish.write(version, out),
        Packet::PubAck(answer) => {
            with_header(0x40, out, |out| answer.write(version, Places::PUBACK, out))
        }
        Packet::PubRec(answer) => {
            with_header(0x50, out, |out| answer.write(version, Places::PUBREC, out))
        }
        Packet::PubRel(answer) => {
            with_header(0x62, out, |out| answer.write(version, Places::PUBREL, out))
        }
        Packet::PubComp(answer) => {
            with_header(0x70, out, |out| answer.write(version, Places::PUBCOMP, out))
        }
        Packet::Subscribe(subscribe) => with_header(0x82, out, |out| subscribe.write(version, out)),
        Packet::SubAck(answer) => with_header(0x90, out, |out| answer.write(version, out)),
        Packet::Unsubscribe(unsubscribe) => {
            with_header(0xA2, out, |out| unsubscribe.write(version, out))
        }
        Packet::UnsubAck(answer) => with_header(0xB0, out, |out| answer.write(version, out)),
        Packet::PingReq => with_header(0xC0, out, |_| Ok(())),
        Packet::PingResp => with_header(0xD0, out, |_| Ok(())),
        Packet::Disconnect(disconnect) => {
            with_header(0xE0, out, |out| disconnect.write(version, out))
        }
        Packet::Auth(_) if version < Version::V5 => Err(EncodeError::Version),
        Packet::Auth(auth) => with_header(0xF0, out, |out| auth.write(out)),
    }
}

/// Writes a fixed header and what `body` writes behind it.
fn with_header(
    first: u8,
    out: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    // Nearly every packet's length fits into one byte.
    out.put_slice(&[first, 0]);
    body(out)?;
    let length = out.len() - start - 2;
    if length < 0x80 {
        out[start + 1] = length as u8;
        return Ok(());
    }
    if length > VARIABLE_MAX {
        return Err(EncodeError::TooLong);
    }
    let written = out.split_off(start + 2);
    out.truncate(start + 1);
    put_variable(out, length);
    out.put_slice(&written);
    Ok(())
}
