//! CONNACK (MQTT 5.0 and 3.1.1, section 3.2).

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{BufMut, BytesMut};

use crate::packet::connect::{read_maximum_packet_size, read_receive_maximum};
use crate::packet::encode::EncodeError;
use crate::packet::property::{
    ASSIGNED_CLIENT_ID, AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Known, MAXIMUM_PACKET_SIZE,
    MAXIMUM_QOS, PropertyWriter, REASON_STRING, RECEIVE_MAXIMUM, RESPONSE_INFORMATION,
    RETAIN_AVAILABLE, SERVER_KEEP_ALIVE, SERVER_REFERENCE, SESSION_EXPIRY, SHARED_AVAILABLE,
    SUBSCRIPTION_IDS_AVAILABLE, TOPIC_ALIAS_MAXIMUM, USER_PROPERTY, UserProperties,
    WILDCARDS_AVAILABLE, read_properties, read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::reason::Places;
use crate::packet::{Authentication, DecodeError, QoS, ReasonCode, Version};
use crate::text::Text;

/// The server's answer to a CONNECT. Only the first two fields travel in 3.1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnAck {
    /// Whether the server has a session of this client.
    pub session_present: bool,
    /// Whether the client is connected.
    pub reason: ReasonCode,
    /// For how many seconds the session outlives its connection, when not as asked.
    pub session_expiry: Option<u32>,
    /// How many messages of QoS 1 and 2 the server takes at once.
    pub receive_maximum: NonZeroU16,
    /// The highest quality of service that the server supports.
    pub maximum_qos: QoS,
    /// Whether the server retains messages.
    pub retain_available: bool,
    /// The largest packet that the server takes, in bytes; `None`: any.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The name that the server has chosen for the client.
    pub assigned_client_id: Option<Text>,
    /// The highest topic alias that the server takes; 0: none.
    pub topic_alias_maximum: u16,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// Whether filters may have wildcards.
    pub wildcards_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_ids_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_available: bool,
    /// The keep-alive time in seconds that holds instead of the client's.
    pub server_keep_alive: Option<u16>,
    /// From what the client may make response topics.
    pub response_information: Option<Text>,
    /// Another server, to be used instead.
    pub server_reference: Option<Text>,
    /// The end of an enhanced authentication.
    pub authentication: Option<Authentication>,
    /// What else the server says.
    pub user_properties: UserProperties,
}

impl ConnAck {
    /// An answer that says no more than `reason`, of a server without limits.
    #[must_use]
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            session_present: false,
            reason,
            session_expiry: None,
            receive_maximum: NonZeroU16::MAX,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_id: None,
            topic_alias_maximum: 0,
            reason_string: None,
            wildcards_available: true,
            subscription_ids_available: true,
            shared_available: true,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication: None,
            user_properties: Vec::new(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.u8()?;
        if flags & !1 != 0 {
            return Err(DecodeError::Malformed("a reserved flag of CONNACK is set"));
        }
        let code = reader.u8()?;
        let mut read = if reader.version == Version::V5 {
            let mut read = Self::new(DecodeError::reason_code(code, Places::CONNACK)?);
            read.read_properties(reader)?;
            read
        } else {
            Self::new(
                ReasonCode::from_return_code(code)
                    .ok_or(DecodeError::Malformed("a reserved return code"))?,
            )
        };
        // 3.1 reserves the byte, and does not say for what.
        read.session_present = flags == 1 && reader.version > Version::V3_1;
        if read.session_present && read.reason != ReasonCode::Success {
            return Err(DecodeError::Protocol("refused, but with a session"));
        }
        Ok(read)
    }

    fn read_properties(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut method = None;
        let mut data = None;
        read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
            match identifier {
                SESSION_EXPIRY => self.session_expiry = Some(reader.u32()?),
                RECEIVE_MAXIMUM => self.receive_maximum = read_receive_maximum(reader)?,
                MAXIMUM_QOS => {
                    self.maximum_qos = if reader.boolean()? {
                        QoS::AtLeastOnce
                    } else {
                        QoS::AtMostOnce
                    };
                }
                RETAIN_AVAILABLE => self.retain_available = reader.boolean()?,
                MAXIMUM_PACKET_SIZE => {
                    self.maximum_packet_size = Some(read_maximum_packet_size(reader)?);
                }
                ASSIGNED_CLIENT_ID => self.assigned_client_id = Some(reader.text()?),
                TOPIC_ALIAS_MAXIMUM => self.topic_alias_maximum = reader.u16()?,
                REASON_STRING => self.reason_string = Some(reader.text()?),
                WILDCARDS_AVAILABLE => self.wildcards_available = reader.boolean()?,
                SUBSCRIPTION_IDS_AVAILABLE => self.subscription_ids_available = reader.boolean()?,
                SHARED_AVAILABLE => self.shared_available = reader.boolean()?,
                SERVER_KEEP_ALIVE => self.server_keep_alive = Some(reader.u16()?),
                RESPONSE_INFORMATION => self.response_information = Some(reader.text()?),
                SERVER_REFERENCE => self.server_reference = Some(reader.text()?),
                AUTHENTICATION_METHOD => method = Some(reader.text()?),
                AUTHENTICATION_DATA => data = Some(reader.binary()?),
                USER_PROPERTY => read_user_property(&mut self.user_properties, reader)?,
                _ => return Ok(Known::Elsewhere),
            }
            Ok(Known::Here)
        })?;
        self.authentication = Authentication::from_parts(method, data)?;
        Ok(())
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        // 3.1 reserves the byte.
        out.put_u8((self.session_present && version > Version::V3_1).into());
        if version < Version::V5 {
            out.put_u8(self.reason.to_return_code());
            return Ok(());
        }
        EncodeError::check_reason(self.reason, Places::CONNACK)?;
        out.put_u8(self.reason.number());
        let mut properties = PropertyWriter::default();
        self.write_limits(&mut properties);
        self.write_texts(&mut properties)?;
        properties.finish(out);
        Ok(())
    }

    fn write_limits(&self, properties: &mut PropertyWriter) {
        if let Some(seconds) = self.session_expiry {
            properties.u32(SESSION_EXPIRY, seconds);
        }
        if self.receive_maximum != NonZeroU16::MAX {
            properties.u16(RECEIVE_MAXIMUM, self.receive_maximum.get());
        }
        if self.maximum_qos != QoS::ExactlyOnce {
            properties.boolean(MAXIMUM_QOS, self.maximum_qos == QoS::AtLeastOnce);
        }
        if let Some(size) = self.maximum_packet_size {
            properties.u32(MAXIMUM_PACKET_SIZE, size.get());
        }
        if self.topic_alias_maximum != 0 {
            properties.u16(TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        }
        if let Some(seconds) = self.server_keep_alive {
            properties.u16(SERVER_KEEP_ALIVE, seconds);
        }
        for (identifier, available) in [
            (RETAIN_AVAILABLE, self.retain_available),
            (WILDCARDS_AVAILABLE, self.wildcards_available),
            (SUBSCRIPTION_IDS_AVAILABLE, self.subscription_ids_available),
            (SHARED_AVAILABLE, self.shared_available),
        ] {
            if !available {
                properties.boolean(identifier, false);
            }
        }
    }

    fn write_texts(&self, properties: &mut PropertyWriter) -> Result<(), EncodeError> {
        properties.optional_text(ASSIGNED_CLIENT_ID, self.assigned_client_id.as_ref())?;
        properties.optional_text(REASON_STRING, self.reason_string.as_ref())?;
        properties.optional_text(RESPONSE_INFORMATION, self.response_information.as_ref())?;
        properties.optional_text(SERVER_REFERENCE, self.server_reference.as_ref())?;
        Authentication::write(self.authentication.as_ref(), properties)?;
        properties.user(&self.user_properties)
    }
}
