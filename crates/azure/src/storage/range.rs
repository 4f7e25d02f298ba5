//! Which bytes of a blob are asked for (RFC 9110, section 14.1.2; Microsoft's "Specify the range
//! header").

use std::ops::Range;

/// Some bytes of a blob, as they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte on.
    From(u64),
    /// From one byte to another, both of them included; the second is no less than the first.
    Between(u64, u64),
    /// So many at the end.
    Last(u64),
}

impl ByteRange {
    /// Reads the header `x-ms-range` or `Range`. None is for what a server passes over (RFC 9110,
    /// section 14.2): another unit, several ranges, and what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once('=')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        match range.split_once('-')? {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// The bytes of a blob of `size` bytes that these are; none when there are no such bytes.
    #[must_use]
    pub fn of(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first) => first..size,
            Self::Between(first, last) => first..size.min(last.saturating_add(1)),
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The header `Content-Range` of an answer with `range` out of `size` bytes; without a range, of
/// one that says that there are no such bytes.
#[must_use]
pub fn content_range(range: Option<&Range<u64>>, size: u64) -> String {
    match range {
        Some(range) => format!(
            "bytes {}-{}/{size}",
            range.start,
            range.end.saturating_sub(1)
        ),
        None => format!("bytes */{size}"),
    }
}

/// Digits only: `+5` is a number to Rust. One that is too large is the largest there is.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_clients_write_them() {
        for (text, range) in [
            ("bytes=0-33554431", Some(ByteRange::Between(0, 33_554_431))),
            ("bytes=5-", Some(ByteRange::From(5))),
            ("Bytes=-7", Some(ByteRange::Last(7))),
            (
                "bytes=0-99999999999999999999",
                Some(ByteRange::Between(0, u64::MAX)),
            ),
            ("bytes=7-5", None),
            ("bytes=0-1,5-6", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("lines=1-2", None),
            ("", None),
        ] {
            assert_eq!(ByteRange::parse(text), range, "{text}");
        }
    }

    #[test]
    fn a_range_of_an_empty_blob_or_behind_its_end_is_none() {
        assert_eq!(ByteRange::Between(0, 9).of(0), None);
        assert_eq!(ByteRange::From(5).of(5), None);
        assert_eq!(ByteRange::Last(0).of(5), None);
        assert_eq!(ByteRange::Last(9).of(5), Some(0..5));
        assert_eq!(ByteRange::Between(4, u64::MAX).of(5), Some(4..5));
        assert_eq!(content_range(Some(&(4..5)), 5), "bytes 4-4/5");
        assert_eq!(content_range(None, 0), "bytes */0");
    }

    proptest! {
        #[test]
        fn a_range_lies_within_its_blob(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
            if let Some(range) = ByteRange::parse(&text).and_then(|range| range.of(size)) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }

        #[test]
        fn any_text_is_read_or_passed_over(text in any::<String>()) {
            let _ = ByteRange::parse(&text);
        }
    }
}
