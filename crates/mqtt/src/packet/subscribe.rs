//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (MQTT 5.0, sections 3.8 to 3.11).

use std::num::NonZeroU32;

use bytes::{BufMut, BytesMut};

use crate::packet::acknowledgement::{read_reason, reason_properties};
use crate::packet::bits::put_prefixed;
use crate::packet::encode::EncodeError;
use crate::packet::property::{
    Known, PropertyWriter, SUBSCRIPTION_ID, USER_PROPERTY, UserProperties, read_properties,
    read_user_property,
};
use crate::packet::reader::Reader;
use crate::packet::reason::Places;
use crate::packet::{DecodeError, PacketId, QoS, ReasonCode, Version};
use crate::text::Text;
use crate::topics::TopicFilter;

/// The most filters of a packet. MQTT states none; a reader must, since a filter takes several
/// times its bytes on the wire.
pub const FILTERS_MAX: usize = 1024;

/// The largest subscription identifier (section 3.8.2.1.2).
pub const SUBSCRIPTION_ID_MAX: u32 = 268_435_455;

/// Filters that a client asks messages of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// What the SUBACK will carry.
    pub packet_id: PacketId,
    /// At least one filter, at most [`FILTERS_MAX`].
    pub filters: Vec<SubscribeFilter>,
    /// What messages that match are marked with; at most [`SUBSCRIPTION_ID_MAX`].
    pub subscription_id: Option<NonZeroU32>,
    /// What else the client says.
    pub user_properties: UserProperties,
}

/// A filter and its options. 3.1.1 only has the quality of service; the rest is as if 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeFilter {
    /// Which topics.
    pub filter: TopicFilter,
    /// The highest quality of service to deliver with.
    pub qos: QoS,
    /// Whether the client's own messages are left out.
    pub no_local: bool,
    /// Whether messages keep the retain flag they were published with.
    pub retain_as_published: bool,
    /// Whether retained messages are sent now.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent to a new subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: always.
    #[default]
    Send,
    /// 1: unless the subscription was there already.
    SendIfNew,
    /// 2: never.
    Keep,
}

/// The server's answer to a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAck {
    /// To which SUBSCRIBE.
    pub packet_id: PacketId,
    /// For each filter what was granted (`Success`, `GrantedQos1`, `GrantedQos2`) or why it was
    /// refused. To 3.1.1 every refusal is 0x80, [`ReasonCode::UnspecifiedError`].
    pub reasons: Vec<ReasonCode>,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// What else the server says.
    pub user_properties: UserProperties,
}

/// Filters that a client no longer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What the UNSUBACK will carry.
    pub packet_id: PacketId,
    /// At least one filter, at most [`FILTERS_MAX`].
    pub filters: Vec<TopicFilter>,
    /// What else the client says.
    pub user_properties: UserProperties,
}

/// The server's answer to an UNSUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubAck {
    /// To which UNSUBSCRIBE.
    pub packet_id: PacketId,
    /// For each filter how it went. They do not travel in 3.1.1.
    pub reasons: Vec<ReasonCode>,
    /// The reason in words, for people.
    pub reason_string: Option<Text>,
    /// What else the server says.
    pub user_properties: UserProperties,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RETAIN_HANDLING_SHIFT: u8 = 4;

impl Subscribe {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let mut subscription_id = None;
        let mut user_properties = Vec::new();
        if reader.version == Version::V5 {
            read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
                match identifier {
                    SUBSCRIPTION_ID => subscription_id = Some(read_subscription_id(reader)?),
                    USER_PROPERTY => read_user_property(&mut user_properties, reader)?,
                    _ => return Ok(Known::Elsewhere),
                }
                Ok(Known::Here)
            })?;
        }
        let filters = read_filters(reader, SubscribeFilter::read)?;
        Ok(Self {
            packet_id,
            filters,
            subscription_id,
            user_properties,
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_u16(self.packet_id.get());
        if version == Version::V5 {
            let mut properties = PropertyWriter::default();
            if let Some(id) = self.subscription_id {
                properties.variable(SUBSCRIPTION_ID, id.get().min(SUBSCRIPTION_ID_MAX));
            }
            properties.user(&self.user_properties)?;
            properties.finish(out);
        }
        for filter in &self.filters {
            put_prefixed(out, filter.filter.as_bytes())?;
            out.put_u8(filter.options(version));
        }
        Ok(())
    }
}

impl SubscribeFilter {
    /// A subscription to `filter` with at most `qos` and no other option.
    #[must_use]
    pub fn new(filter: TopicFilter, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let filter = reader.topic_filter()?;
        let options = reader.u8()?;
        let reserved = if reader.version == Version::V5 {
            0xC0
        } else {
            0xFC
        };
        if options & reserved != 0 {
            return Err(DecodeError::Malformed(
                "a reserved subscription option is set",
            ));
        }
        let qos = QoS::from_number(options & 3)
            .ok_or(DecodeError::Protocol("a subscription asks for QoS 3"))?;
        let no_local = options & NO_LOCAL != 0;
        // [MQTT-3.8.3-4]
        if no_local && filter.shared().is_some() {
            return Err(DecodeError::Protocol("no local on a shared subscription"));
        }
        let retain_handling = match options >> RETAIN_HANDLING_SHIFT {
            0 => RetainHandling::Send,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::Keep,
            _ => return Err(DecodeError::Protocol("retain handling is 3")),
        };
        let retain_as_published = options & RETAIN_AS_PUBLISHED != 0;
        Ok(Self {
            filter,
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        })
    }

    fn options(&self, version: Version) -> u8 {
        let mut options = self.qos.number();
        if version < Version::V5 {
            return options;
        }
        if self.no_local {
            options |= NO_LOCAL;
        }
        if self.retain_as_published {
            options |= RETAIN_AS_PUBLISHED;
        }
        let handling = match self.retain_handling {
            RetainHandling::Send => 0,
            RetainHandling::SendIfNew => 1,
            RetainHandling::Keep => 2,
        };
        options | handling << RETAIN_HANDLING_SHIFT
    }
}

impl SubAck {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let (reason_string, user_properties) = if reader.version == Version::V5 {
            read_reason(reader)?
        } else {
            (None, Vec::new())
        };
        let reasons = read_filters(reader, |reader| {
            let code = reader.u8()?;
            let reason = DecodeError::reason_code(code, Places::SUBACK)?;
            if reader.version < Version::V5 && !matches!(code, 0..=2 | 0x80) {
                return Err(DecodeError::Malformed("a reserved return code"));
            }
            Ok(reason)
        })?;
        Ok(Self {
            packet_id,
            reasons,
            reason_string,
            user_properties,
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_u16(self.packet_id.get());
        if version == Version::V5 {
            reason_properties(self.reason_string.as_ref(), &self.user_properties)?.finish(out);
        }
        for reason in &self.reasons {
            EncodeError::check_reason(*reason, Places::SUBACK)?;
            let plain = version < Version::V5 && reason.is_failure();
            out.put_u8(if plain { 0x80 } else { reason.number() });
        }
        Ok(())
    }
}

impl Unsubscribe {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let mut user_properties = Vec::new();
        if reader.version == Version::V5 {
            read_properties(reader, &[USER_PROPERTY], |identifier, reader| {
                if identifier != USER_PROPERTY {
                    return Ok(Known::Elsewhere);
                }
                read_user_property(&mut user_properties, reader)?;
                Ok(Known::Here)
            })?;
        }
        let filters = read_filters(reader, Reader::topic_filter)?;
        Ok(Self {
            packet_id,
            filters,
            user_properties,
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_u16(self.packet_id.get());
        if version == Version::V5 {
            reason_properties(None, &self.user_properties)?.finish(out);
        }
        for filter in &self.filters {
            put_prefixed(out, filter.as_bytes())?;
        }
        Ok(())
    }
}

impl UnsubAck {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        if reader.version < Version::V5 {
            return Ok(Self {
                packet_id,
                reasons: Vec::new(),
                reason_string: None,
                user_properties: Vec::new(),
            });
        }
        let (reason_string, user_properties) = read_reason(reader)?;
        let reasons = read_filters(reader, |reader| {
            DecodeError::reason_code(reader.u8()?, Places::UNSUBACK)
        })?;
        Ok(Self {
            packet_id,
            reasons,
            reason_string,
            user_properties,
        })
    }

    pub(super) fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), EncodeError> {
        out.put_u16(self.packet_id.get());
        if version < Version::V5 {
            return Ok(());
        }
        reason_properties(self.reason_string.as_ref(), &self.user_properties)?.finish(out);
        for reason in &self.reasons {
            EncodeError::check_reason(*reason, Places::UNSUBACK)?;
            out.put_u8(reason.number());
        }
        Ok(())
    }
}

/// Reads what is left of the packet as a list with one entry a filter, which is never empty
/// [MQTT-3.8.3-2], [MQTT-3.10.3-2].
fn read_filters<'a, T>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut filters = Vec::new();
    while !reader.is_empty() {
        if filters.len() >= FILTERS_MAX {
            return Err(DecodeError::TooMany("filters"));
        }
        filters.push(read(reader)?);
    }
    if filters.is_empty() {
        return Err(DecodeError::Protocol("no filter"));
    }
    Ok(filters)
}

pub(super) fn read_subscription_id(reader: &mut Reader<'_>) -> Result<NonZeroU32, DecodeError> {
    NonZeroU32::new(reader.variable()?).ok_or(DecodeError::Protocol("subscription identifier is 0"))
}
