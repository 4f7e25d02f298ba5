//! CONNECT (MQTT 5.0 and 3.1.1, section 3.1).

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

use bytes::{BufMut, Bytes, BytesMut};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::packet::bits::put_prefixed;
use crate::packet::encode::EncodeError;
use crate::packet::property::{
    AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Known, MAXIMUM_PACKET_SIZE, PropertyWriter,
    RECEIVE_MAXIMUM, REQUEST_PROBLEM_INFORMATION, REQUEST_RESPONSE_INFORMATION, SESSION_EXPIRY,
    TOPIC_ALIAS_MAXIMUM, USER_PROPERTY, UserProperties, WILL_DELAY, read_properties,
    read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::{DecodeError, PublishProperties, QoS, Version};
use crate::text::Text;
use crate::topics::TopicName;

/// A client asks to be connected. What 3.1.1 does not have is as 5.0 takes it when left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The version that the client speaks from here on.
    pub version: Version,
    /// Whether an earlier session ends first. 3.1.1: Clean Session, which also ends this one with
    /// its connection.
    pub clean_start: bool,
    /// After how many seconds without a packet the client may be taken for gone; 0: never.
    pub keep_alive: u16,
    /// The client's name; empty when the server shall choose one.
    pub client_id: Text,
    /// Who connects.
    pub user_name: Option<Text>,
    /// The proof of it.
    pub password: Option<Password>,
    /// What is published once the client is gone without goodbye.
    pub will: Option<Will>,
    /// For how many seconds the session outlives its connection; `u32::MAX`: for ever. For 3.1.1
    /// it is 0 with Clean Session and `u32::MAX` without, as section 3.1.2.11.2 has it.
    pub session_expiry: u32,
    /// How many messages of QoS 1 and 2 the client takes at once.
    pub receive_maximum: NonZeroU16,
    /// The largest packet that the client takes, in bytes; `None`: any.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The highest topic alias that the client takes; 0: none.
    pub topic_alias_maximum: u16,
    /// Whether the client asks for response information in the CONNACK.
    pub request_response_information: bool,
    /// Whether reason strings and user properties are welcome in packets other than PUBLISH,
    /// CONNACK and DISCONNECT.
    pub request_problem_information: bool,
    /// Enhanced authentication, when the client wants it.
    pub authentication: Option<Authentication>,
    /// What else the client says.
    pub user_properties: UserProperties,
}

/// What the server publishes in the client's name when it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where.
    pub topic: TopicName,
    /// What.
    pub payload: Bytes,
    /// How surely.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// How many seconds after the connection's end; not later than the session's end.
    pub delay: u32,
    /// The properties of the message.
    pub properties: PublishProperties,
}

/// A step of enhanced authentication (section 4.12).
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// Its method.
    pub method: Text,
    /// What the method says; may be secret.
    pub data: Option<Bytes>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authentication")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// A password: wiped when dropped, not shown by `Debug`, compared in constant time.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes `bytes` as a password.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes. Whoever asks takes care of where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS_SHIFT: u8 = 3;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;
/// Will QoS and Will Retain.
const WILL_DETAILS: u8 = 0x38;

impl Connect {
    /// A CONNECT of `version` by `client_id` that asks for nothing.
    #[must_use]
    pub fn new(version: Version, client_id: Text) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            user_name: None,
            password: None,
            will: None,
            session_expiry: 0,
            receive_maximum: NonZeroU16::MAX,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            authentication: None,
            user_properties: Vec::new(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = read_version(reader)?;
        reader.version = version;
        let flags = reader.u8()?;
        check_flags(flags, version)?;
        let mut read = Self::new(version, Text::default());
        read.clean_start = flags & CLEAN_START != 0;
        read.keep_alive = reader.u16()?;
        if version == Version::V5 {
            read.read_properties(reader)?;
        } else if !read.clean_start {
            read.session_expiry = u32::MAX;
        }
        read.client_id = reader.text()?;
        if flags & WILL != 0 {
            read.will = Some(Will::read(reader, flags)?);
        }
        if flags & USER_NAME != 0 {
            read.user_name = Some(reader.text()?);
        }
        if flags & PASSWORD != 0 {
            read.password = Some(Password::new(reader.prefixed()?));
        }
        Ok(read)
    }

    fn read_properties(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut method = None;
        let mut data = None;
        read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
            match identifier {
                SESSION_EXPIRY => self.session_expiry = reader.u32()?,
                RECEIVE_MAXIMUM => self.receive_maximum = read_receive_maximum(reader)?,
                MAXIMUM_PACKET_SIZE => {
                    self.maximum_packet_size = Some(read_maximum_packet_size(reader)?);
                }
                TOPIC_ALIAS_MAXIMUM => self.topic_alias_maximum = reader.u16()?,
                REQUEST_RESPONSE_INFORMATION => {
                    self.request_response_information = reader.boolean()?;
                }
                REQUEST_PROBLEM_INFORMATION => {
                    self.request_problem_information = reader.boolean()?;
                }
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

    pub(super) fn write(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        put_prefixed(out, protocol_name(self.version))?;
        out.put_u8(level(self.version));
        out.put_u8(self.flags());
        out.put_u16(self.keep_alive);
        if self.version == Version::V5 {
            self.properties()?.finish(out);
        }
        put_prefixed(out, self.client_id.as_bytes())?;
        if let Some(will) = &self.will {
            will.write(self.version, out)?;
        }
        if let Some(user_name) = &self.user_name {
            put_prefixed(out, user_name.as_bytes())?;
        }
        if let Some(password) = &self.password {
            put_prefixed(out, password.expose())?;
        }
        Ok(())
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | will.qos.number() << WILL_QOS_SHIFT;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        flags
    }

    fn properties(&self) -> Result<PropertyWriter, EncodeError> {
        let mut properties = PropertyWriter::default();
        if self.session_expiry != 0 {
            properties.u32(SESSION_EXPIRY, self.session_expiry);
        }
        if self.receive_maximum != NonZeroU16::MAX {
            properties.u16(RECEIVE_MAXIMUM, self.receive_maximum.get());
        }
        if let Some(size) = self.maximum_packet_size {
            properties.u32(MAXIMUM_PACKET_SIZE, size.get());
        }
        if self.topic_alias_maximum != 0 {
            properties.u16(TOPIC_ALIAS_MAXIMUM, self.topic_alias_maximum);
        }
        if self.request_response_information {
            properties.boolean(REQUEST_RESPONSE_INFORMATION, true);
        }
        if !self.request_problem_information {
            properties.boolean(REQUEST_PROBLEM_INFORMATION, false);
        }
        Authentication::write(self.authentication.as_ref(), &mut properties)?;
        properties.user(&self.user_properties)?;
        Ok(properties)
    }
}

impl Authentication {
    /// Data without a method breaks the protocol (section 3.1.2.11.10).
    pub(super) fn from_parts(
        method: Option<Text>,
        data: Option<Bytes>,
    ) -> Result<Option<Self>, DecodeError> {
        match (method, data) {
            (Some(method), data) => Ok(Some(Self { method, data })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(DecodeError::Protocol(
                "authentication data without a method",
            )),
        }
    }

    pub(super) fn write(
        this: Option<&Self>,
        properties: &mut PropertyWriter,
    ) -> Result<(), EncodeError> {
        let Some(this) = this else { return Ok(()) };
        properties.binary(AUTHENTICATION_METHOD, this.method.as_bytes())?;
        if let Some(data) = &this.data {
            properties.binary(AUTHENTICATION_DATA, data)?;
        }
        Ok(())
    }
}

impl Will {
    fn read(reader: &mut Reader<'_>, flags: u8) -> Result<Self, DecodeError> {
        let qos = QoS::from_number(flags >> WILL_QOS_SHIFT & 3)
            .ok_or(DecodeError::Malformed("the will has QoS 3"))?;
        let mut delay = 0;
        let mut properties = PublishProperties::default();
        if reader.version == Version::V5 {
            read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
                if identifier == WILL_DELAY {
                    delay = reader.u32()?;
                    return Ok(Known::Here);
                }
                properties.take_forwarded(identifier, reader)
            })?;
        }
        let topic = reader.topic_name()?;
        let payload = reader.binary()?;
        Ok(Self {
            topic,
            payload,
            qos,
            retain: flags & WILL_RETAIN != 0,
            delay,
            properties,
        })
    }

    fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        if version == Version::V5 {
            let mut properties = PropertyWriter::default();
            if self.delay != 0 {
                properties.u32(WILL_DELAY, self.delay);
            }
            self.properties.write_expiry(&mut properties);
            self.properties.write_unchanging(&mut properties)?;
            properties.finish(out);
        }
        put_prefixed(out, self.topic.as_bytes())?;
        put_prefixed(out, &self.payload)
    }
}

fn read_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = reader.prefixed()?;
    let level = reader.u8()?;
    match (name, level) {
        (b"MQTT", 5) => Ok(Version::V5),
        (b"MQTT", 4) => Ok(Version::V3_1_1),
        (b"MQIsdp", 3) => Ok(Version::V3_1),
        (b"MQTT" | b"MQIsdp", level) => Err(DecodeError::Version { level }),
        _ => Err(DecodeError::Malformed("the protocol's name is not MQTT")),
    }
}

fn protocol_name(version: Version) -> &'static [u8] {
    match version {
        Version::V3_1 => b"MQIsdp",
        Version::V3_1_1 | Version::V5 => b"MQTT",
    }
}

fn level(version: Version) -> u8 {
    match version {
        Version::V3_1 => 3,
        Version::V3_1_1 => 4,
        Version::V5 => 5,
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    // 3.1 reserves the bit without asking for it to be 0.
    if flags & 1 != 0 && version != Version::V3_1 {
        return Err(DecodeError::Malformed(
            "the reserved flag of CONNECT is set",
        ));
    }
    if flags & WILL == 0 && flags & WILL_DETAILS != 0 {
        return Err(DecodeError::Malformed(
            "will QoS or will retain without a will",
        ));
    }
    if flags & PASSWORD != 0 && flags & USER_NAME == 0 && version < Version::V5 {
        return Err(DecodeError::Malformed("a password without a user name"));
    }
    Ok(())
}

pub(super) fn read_receive_maximum(reader: &mut Reader<'_>) -> Result<NonZeroU16, DecodeError> {
    NonZeroU16::new(reader.u16()?).ok_or(DecodeError::Protocol("receive maximum is 0"))
}

pub(super) fn read_maximum_packet_size(reader: &mut Reader<'_>) -> Result<NonZeroU32, DecodeError> {
    NonZeroU32::new(reader.u32()?).ok_or(DecodeError::Protocol("maximum packet size is 0"))
}
