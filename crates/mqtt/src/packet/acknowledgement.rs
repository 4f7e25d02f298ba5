//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0, sections 3.4 to 3.7), which look the same.

use bytes::{BufMut, BytesMut};

use crate::packet::encode::EncodeError;
use crate::packet::property::{
    Known, PropertyWriter, REASON_STRING, USER_PROPERTY, UserProperties, read_properties,
    read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::{DecodeError, PacketId, ReasonCode, Version};
use crate::text::Text;

/// What one end says of a message that the other sent. In 3.1.1 only the identifier travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Of which message.
    pub packet_id: PacketId,
    /// How it went.
    pub reason: ReasonCode,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// What else the sender says.
    pub user_properties: UserProperties,
}

impl Acknowledgement {
    /// An acknowledgement that says no more than `reason`.
    #[must_use]
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            reason_string: None,
            user_properties: Vec::new(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, place: u16) -> Result<Self, DecodeError> {
        let mut read = Self::new(reader.packet_id()?, ReasonCode::Success);
        if reader.version < Version::V5 || reader.is_empty() {
            return Ok(read);
        }
        read.reason = DecodeError::reason_code(reader.u8()?, place)?;
        if !reader.is_empty() {
            (read.reason_string, read.user_properties) = read_reason(reader)?;
        }
        Ok(read)
    }

    pub(super) fn write(
        &self,
        version: Version,
        place: u16,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        out.put_u16(self.packet_id.get());
        if version < Version::V5 {
            return Ok(());
        }
        EncodeError::check_reason(self.reason, place)?;
        let properties = reason_properties(self.reason_string.as_ref(), &self.user_properties)?;
        if self.reason == ReasonCode::Success && properties.is_empty() {
            return Ok(());
        }
        out.put_u8(self.reason.number());
        if !properties.is_empty() {
            properties.finish(out);
        }
        Ok(())
    }
}

/// Reads the properties of a packet that may have a reason string and user properties only.
pub(super) fn read_reason(
    reader: &mut Reader<'_>,
) -> Result<(Option<Text>, UserProperties), DecodeError> {
    let mut reason_string = None;
    let mut user_properties = Vec::new();
    read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
        match identifier {
            REASON_STRING => reason_string = Some(reader.text()?),
            USER_PROPERTY => read_user_property(&mut user_properties, reader)?,
            _ => return Ok(Known::Elsewhere),
        }
        Ok(Known::Here)
    })?;
    Ok((reason_string, user_properties))
}

/// The properties of such a packet, to be written.
pub(super) fn reason_properties(
    reason_string: Option<&Text>,
    user_properties: &UserProperties,
) -> Result<PropertyWriter, EncodeError> {
    let mut properties = PropertyWriter::default();
    properties.optional_text(REASON_STRING, reason_string)?;
    properties.user(user_properties)?;
    Ok(properties)
}
