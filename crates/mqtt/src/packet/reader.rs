//! Reads the parts of a packet from its bytes.

use bytes::Bytes;

use crate::packet::decode::DecodeError;
use crate::packet::{PacketId, Version};
use crate::text::{self, Text};
use crate::topics::{TopicFilter, TopicName};

/// What is left of a packet's bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) version: Version,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8], version: Version) -> Self {
        Self { rest, version }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Refuses bytes that nothing asked for.
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Malformed("bytes after the last field"))
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Malformed(
                "a field goes beyond the packet's end",
            ))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A byte that is 0 or 1; anything else breaks the protocol wherever MQTT 5.0 has one.
    pub(super) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Protocol("a property is neither 0 nor 1")),
        }
    }

    pub(super) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16()?).ok_or(DecodeError::Protocol("packet identifier is 0"))
    }

    /// A variable byte integer (section 1.5.5), at most 268,435,455, in as few bytes as it needs.
    pub(super) fn variable(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for position in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << (7 * position);
            if byte & 0x80 == 0 {
                if byte == 0 && position > 0 {
                    return Err(DecodeError::Malformed(
                        "a number has more bytes than it needs",
                    ));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("a number has more than four bytes"))
    }

    /// Binary data (section 1.5.6), copied.
    pub(super) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        Ok(Bytes::copy_from_slice(self.prefixed()?))
    }

    pub(super) fn prefixed(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    pub(super) fn str(&mut self) -> Result<&'a str, DecodeError> {
        Ok(text::read(self.prefixed()?)?)
    }

    pub(super) fn text(&mut self) -> Result<Text, DecodeError> {
        Ok(Text::new(self.str()?)?)
    }

    pub(super) fn topic_name(&mut self) -> Result<TopicName, DecodeError> {
        Ok(TopicName::new(self.str()?)?)
    }

    pub(super) fn topic_filter(&mut self) -> Result<TopicFilter, DecodeError> {
        Ok(TopicFilter::new(self.str()?)?)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Malformed(
            "a field goes beyond the packet's end",
        ))?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(bytes: &[u8]) -> Result<u32, DecodeError> {
        Reader::new(bytes, Version::V5).variable()
    }

    /// The borders of table 1-1 of section 1.5.5.
    #[test]
    fn variable_numbers_read_as_in_the_standards_table() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7F], 127),
            (&[0x80, 0x01], 128),
            (&[0xFF, 0x7F], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xFF, 0xFF, 0x7F], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xFF, 0xFF, 0xFF, 0x7F], 268_435_455),
        ] {
            assert_eq!(variable(bytes), Ok(value));
        }
    }

    #[test]
    fn variable_numbers_have_no_more_bytes_than_needed() {
        assert!(variable(&[0x80, 0x00]).is_err());
        assert!(variable(&[0x80, 0x80, 0x80, 0x80]).is_err());
        assert!(variable(&[0x80]).is_err());
    }
}
