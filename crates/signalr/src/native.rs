//! Values that MessagePack has a form of its own for and that are text in JSON: bytes and points
//! of time, as `byte[]` and `DateTime` are in ASP.NET Core.
//!
//! A type learns from its serializer only whether people are to read what it writes, and they are
//! in either protocol. So the writer of MessagePack says beside it that it writes; whatever else
//! writes these types gets the text.

use std::cell::Cell;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rmp_serde::MSGPACK_EXT_STRUCT_NAME;
use serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// The extension that is a point of time (the specification of MessagePack, "Timestamp extension
/// type").
pub(crate) const TIMESTAMP: i8 = -1;

/// Seconds that the form of eight bytes has no room for.
const SECONDS_END: u64 = 1 << 34;

thread_local! {
    static IN_MESSAGE_PACK: Cell<bool> = const { Cell::new(false) };
}

/// Writes something in MessagePack, in which the types here have another form.
pub(crate) fn in_message_pack<T>(write: impl FnOnce() -> T) -> T {
    /// Puts back what was, also after a panic.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            IN_MESSAGE_PACK.set(self.0);
        }
    }

    let _before = Before(IN_MESSAGE_PACK.replace(true));
    write()
}

/// Bytes: `bin` in MessagePack, and text in base 64 (RFC 4648 §4) in JSON, as .NET has `byte[]`.
/// A clone shares them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binary(pub Bytes);

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if IN_MESSAGE_PACK.get() {
            serializer.serialize_bytes(&self.0)
        } else {
            serializer.serialize_str(&STANDARD.encode(&self.0))
        }
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BinaryVisitor)
    }
}

struct BinaryVisitor;

impl Visitor<'_> for BinaryVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or text in base 64")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(Binary(Bytes::copy_from_slice(bytes)))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Binary, E> {
        let bytes = STANDARD.decode(text);
        // The text may be long.
        let other = |_| E::invalid_value(Unexpected::Other("text"), &self);
        bytes.map(Binary::from).map_err(other)
    }
}

/// A point of time of the years 0 to 9999: MessagePack's timestamp, and in JSON text as RFC 3339
/// has it, in UTC. So .NET has `DateTime`, and JavaScript `Date` in MessagePack; in JSON that is
/// text there too.
///
/// Text without an offset, as .NET writes a `DateTime` of no kind, counts as UTC: so ASP.NET Core
/// has it in MessagePack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub OffsetDateTime);

impl From<OffsetDateTime> for Timestamp {
    fn from(time: OffsetDateTime) -> Self {
        Self(time)
    }
}

impl Timestamp {
    /// As RFC 3339 has it, in UTC; `None` for a year that it does not know.
    pub(crate) fn to_text(self) -> Option<String> {
        let utc = self.0.checked_to_offset(UtcOffset::UTC)?;
        utc.format(&Rfc3339).ok()
    }

    fn of_text(text: &str) -> Option<Self> {
        let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339);
        let time = read(text).or_else(|_| read(&format!("{text}Z")));
        Some(Self(time.ok()?.checked_to_offset(UtcOffset::UTC)?))
    }

    /// The extension's bytes, as few as will do.
    fn packed(self) -> Vec<u8> {
        let (seconds, nanoseconds) = (self.0.unix_timestamp(), self.0.nanosecond());
        match u64::try_from(seconds) {
            Ok(seconds) if seconds < SECONDS_END => match u32::try_from(seconds) {
                Ok(seconds) if nanoseconds == 0 => seconds.to_be_bytes().into(),
                Ok(_) | Err(_) => (u64::from(nanoseconds) << 34 | seconds)
                    .to_be_bytes()
                    .into(),
            },
            Ok(_) | Err(_) => {
                let (nanoseconds, seconds) = (nanoseconds.to_be_bytes(), seconds.to_be_bytes());
                [&nanoseconds[..], &seconds[..]].concat()
            }
        }
    }

    /// Out of the extension's bytes; `None` for another length, or what no calendar has.
    pub(crate) fn of_packed(bytes: &[u8]) -> Option<Self> {
        let (seconds, nanoseconds) = match *bytes {
            [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
            [a, b, c, d, e, f, g, h] => {
                let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                (
                    i64::try_from(both % SECONDS_END).ok()?,
                    u32::try_from(both / SECONDS_END).ok()?,
                )
            }
            [a, b, c, d, e, f, g, h, i, j, k, l] => (
                i64::from_be_bytes([e, f, g, h, i, j, k, l]),
                u32::from_be_bytes([a, b, c, d]),
            ),
            _ => return None,
        };
        let second = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        Some(Self(second.replace_nanosecond(nanoseconds).ok()?))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if IN_MESSAGE_PACK.get() {
            let extension = (TIMESTAMP, Binary::from(self.packed()));
            return serializer.serialize_newtype_struct(MSGPACK_EXT_STRUCT_NAME, &extension);
        }
        let text = self.to_text();
        let text = text.ok_or_else(|| S::Error::custom("a year that RFC 3339 does not know"))?;
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl<'de> Visitor<'de> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a point of time")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let other = || E::invalid_value(Unexpected::Other("text"), &self);
        Timestamp::of_text(text).ok_or_else(other)
    }

    /// An extension: rmp-serde gives it as its number and its bytes.
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        extension: D,
    ) -> Result<Timestamp, D::Error> {
        extension.deserialize_tuple(2, self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut extension: A) -> Result<Timestamp, A::Error> {
        let number = extension.next_element::<i8>()?;
        let bytes = extension.next_element::<Binary>()?;
        let time = bytes
            .filter(|_| number == Some(TIMESTAMP))
            .and_then(|bytes| Timestamp::of_packed(&bytes.0));
        time.ok_or_else(|| A::Error::invalid_value(Unexpected::Other("an extension"), &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::Protocol;
    use crate::payload::Payload;

    const BOTH: [Protocol; 2] = [Protocol::Json, Protocol::MessagePack];

    /// A value as it is on the wire, in MessagePack.
    fn packed(value: &impl Serialize) -> Vec<u8> {
        let Payload::MessagePack(value) = Payload::of(Protocol::MessagePack, value).unwrap() else {
            panic!("it is in MessagePack");
        };
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &value).unwrap();
        bytes
    }

    fn json(text: &str) -> Payload {
        Payload::Json(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn bytes_are_text_in_base_64_or_bytes() {
        let bytes = Binary::from(vec![0, 30, 255]);
        assert_eq!(packed(&bytes), [0xc4, 3, 0, 30, 255]);
        let in_json = Payload::of(Protocol::Json, &bytes).unwrap();
        assert_eq!(in_json, json("\"AB7/\""));
        // And wherever else they are written.
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"AB7/\"");
        for wrong in ["\"AB7\"", "[0,30]", "7", "null"] {
            json(wrong).read::<Binary>().unwrap_err();
        }
    }

    #[test]
    fn points_of_time_are_timestamps_as_the_specification_has_them_or_text() {
        let times = [
            (
                datetime!(1970-01-01 00:00:01 UTC),
                &[0xd6, 0xff, 0, 0, 0, 1][..],
                "1970-01-01T00:00:01Z",
            ),
            (
                datetime!(2024-02-29 01:00:00.123 +1),
                &[0xd7, 0xff, 0x1d, 0x53, 0x53, 0, 0x65, 0xdf, 0xc9, 0],
                "2024-02-29T00:00:00.123Z",
            ),
            (
                datetime!(1969-12-31 23:59:59.5 UTC),
                &[
                    0xc7, 12, 0xff, 0x1d, 0xcd, 0x65, 0, 255, 255, 255, 255, 255, 255, 255, 255,
                ],
                "1969-12-31T23:59:59.5Z",
            ),
        ];
        for (time, bytes, text) in times {
            let time = Timestamp(time);
            assert_eq!(packed(&time), bytes, "{text}");
            let in_json = Payload::of(Protocol::Json, &time).unwrap();
            assert_eq!(in_json, json(&format!("{text:?}")));
            for protocol in BOTH {
                let payload = Payload::of(protocol, &time).unwrap();
                assert_eq!(payload.read::<Timestamp>().unwrap(), time);
            }
        }
    }

    #[test]
    fn text_as_dotnet_writes_it_is_read_with_an_offset_or_without() {
        let expected = Timestamp(datetime!(2024-02-29 00:00:00.123_456_7 UTC));
        for text in [
            "\"2024-02-29T00:00:00.1234567\"",
            "\"2024-02-29T00:00:00.1234567Z\"",
            "\"2024-02-29T01:00:00.1234567+01:00\"",
        ] {
            assert_eq!(json(text).read::<Timestamp>().unwrap(), expected, "{text}");
        }
        for wrong in ["\"yesterday\"", "\"2024-02-30T00:00:00Z\"", "0", "null"] {
            json(wrong).read::<Timestamp>().unwrap_err();
        }
    }

    #[test]
    fn other_extensions_and_lengths_are_no_points_of_time() {
        for (kind, bytes) in [(-1, vec![0; 3]), (-1, vec![0xff; 8]), (5, vec![0; 4])] {
            let payload = Payload::MessagePack(rmpv::Value::Ext(kind, bytes));
            payload.read::<Timestamp>().unwrap_err();
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Photo {
        taken: Option<Timestamp>,
        parts: Vec<Binary>,
        #[serde(flatten)]
        kind: Kind,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Kind {
        Still { thumbnail: Binary, shown: Timestamp },
    }

    #[test]
    fn they_may_stand_anywhere_in_a_value() {
        let time = Timestamp(datetime!(2024-02-29 00:00:00 UTC));
        let photo = Photo {
            taken: Some(time),
            parts: vec![vec![1].into(), Binary::default()],
            kind: Kind::Still {
                thumbnail: vec![2].into(),
                shown: time,
            },
        };
        for protocol in BOTH {
            let payload = Payload::of(protocol, &photo).unwrap();
            assert_eq!(payload.read::<Photo>().unwrap(), photo, "{protocol:?}");
        }
    }

    proptest! {
        #[test]
        fn every_point_of_time_and_all_bytes_come_back(
            // The years 0 to 9999.
            seconds in -62_167_219_200_i64..=253_402_300_799,
            nanoseconds in 0..1_000_000_000_u32,
            bytes: Vec<u8>,
        ) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let value = (
                Timestamp(time.replace_nanosecond(nanoseconds).unwrap()),
                Binary::from(bytes),
            );
            for protocol in BOTH {
                let payload = Payload::of(protocol, &value).unwrap();
                prop_assert_eq!(&payload.read::<(Timestamp, Binary)>().unwrap(), &value);
            }
        }
    }
}
