//! DISCONNECT and AUTH (MQTT 5.0, sections 3.14 and 3.15).

use bytes::{BufMut, BytesMut};

use crate::packet::encode::EncodeError;
use crate::packet::property::{
    AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Known, PropertyWriter, REASON_STRING,
    SERVER_REFERENCE, SESSION_EXPIRY, USER_PROPERTY, UserProperties, read_properties,
    read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::reason::Places;
use crate::packet::{Authentication, DecodeError, ReasonCode, Version};
use crate::text::Text;

/// The last packet of whoever sends it. In 3.1.1 only clients send it, and it says nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Why.
    pub reason: ReasonCode,
    /// For how many seconds the session outlives its connection, when not as before. Clients only.
    pub session_expiry: Option<u32>,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// Another server, to be used instead. Servers only.
    pub server_reference: Option<Text>,
    /// What else the sender says.
    pub user_properties: UserProperties,
}

/// A step of enhanced authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How it stands.
    pub reason: ReasonCode,
    /// The method and what it says; a server may leave it out of what ends the exchange well.
    pub authentication: Option<Authentication>,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// What else the sender says.
    pub user_properties: UserProperties,
}

impl Disconnect {
    /// A DISCONNECT that says no more than `reason`.
    #[must_use]
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry: None,
            reason_string: None,
            server_reference: None,
            user_properties: Vec::new(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.version < Version::V5 || reader.is_empty() {
            return Ok(Self::new(ReasonCode::Success));
        }
        let mut read = Self::new(DecodeError::reason_code(reader.u8()?, Places::DISCONNECT)?);
        if reader.is_empty() {
            return Ok(read);
        }
        read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
            match identifier {
                SESSION_EXPIRY => read.session_expiry = Some(reader.u32()?),
                REASON_STRING => read.reason_string = Some(reader.text()?),
                SERVER_REFERENCE => read.server_reference = Some(reader.text()?),
                USER_PROPERTY => read_user_property(&mut read.user_properties, reader)?,
                _ => return Ok(Known::Elsewhere),
            }
            Ok(Known::Here)
        })?;
        Ok(read)
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        if version < Version::V5 {
            return Ok(());
        }
        EncodeError::check_reason(self.reason, Places::DISCONNECT)?;
        let mut properties = PropertyWriter::default();
        if let Some(seconds) = self.session_expiry {
            properties.u32(SESSION_EXPIRY, seconds);
        }
        properties.optional_text(REASON_STRING, self.reason_string.as_ref())?;
        properties.optional_text(SERVER_REFERENCE, self.server_reference.as_ref())?;
        properties.user(&self.user_properties)?;
        finish(self.reason, properties, out);
        Ok(())
    }
}

impl Auth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut read = Self {
            reason: ReasonCode::Success,
            authentication: None,
            reason_string: None,
            user_properties: Vec::new(),
        };
        if reader.is_empty() {
            return Ok(read);
        }
        read.reason = DecodeError::reason_code(reader.u8()?, Places::AUTH)?;
        if reader.is_empty() {
            return Ok(read);
        }
        let mut method = None;
        let mut data = None;
        read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
            match identifier {
                AUTHENTICATION_METHOD => method = Some(reader.text()?),
                AUTHENTICATION_DATA => data = Some(reader.binary()?),
                REASON_STRING => read.reason_string = Some(reader.text()?),
                USER_PROPERTY => read_user_property(&mut read.user_properties, reader)?,
                _ => return Ok(Known::Elsewhere),
            }
            Ok(Known::Here)
        })?;
        read.authentication = Authentication::from_parts(method, data)?;
        Ok(read)
    }

    pub(super) fn write(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        EncodeError::check_reason(self.reason, Places::AUTH)?;
        let mut properties = PropertyWriter::default();
        Authentication::write(self.authentication.as_ref(), &mut properties)?;
        properties.optional_text(REASON_STRING, self.reason_string.as_ref())?;
        properties.user(&self.user_properties)?;
        finish(self.reason, properties, out);
        Ok(())
    }
}

/// Writes what may be left out when there is nothing to say.
fn finish(reason: ReasonCode, properties: PropertyWriter, out: &mut BytesMut) {
    if properties.is_empty() && reason == ReasonCode::Success {
        return;
    }
    out.put_u8(reason.number());
    if !properties.is_empty() {
        properties.finish(out);
    }
}
