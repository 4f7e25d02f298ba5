//! Records out of what a transport delivers. Transports cut and join as they like: a POST may bring
//! several records or a part of one, and so may a WebSocket's message.

use crate::{Expected, ProtocolError};

/// What ends a record of text: U+001E.
pub const RECORD_END: u8 = 0x1e;

/// Longest length before a message in MessagePack, in bytes: seven bits in each.
const LENGTH_BYTES_MAX: usize = 5;

/// Memory that is kept while nothing comes, in bytes: what a few calls need.
const ROOM_KEPT: usize = 1024;

/// Gathers what comes, and gives the records in it.
///
/// It holds what the caller hands in, so it is to be emptied after each piece: then it holds no more
/// than a piece and a record.
#[derive(Debug)]
pub struct Records {
    max: usize,
    bytes: Vec<u8>,
    /// Where the next record begins.
    start: usize,
    /// Up to where no end of a record of text was found.
    searched: usize,
}

impl Records {
    /// For records of at most `max` bytes, without what frames them.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            bytes: Vec::new(),
            start: 0,
            searched: 0,
        }
    }

    /// Takes records of at most `max` bytes from now on.
    pub fn limit(&mut self, max: usize) {
        self.max = max;
    }

    /// Gives memory back when nothing is left to read and there was much.
    pub fn tidy(&mut self) {
        if self.start == self.bytes.len() && self.bytes.capacity() > ROOM_KEPT {
            *self = Self::new(self.max);
        }
    }

    /// Takes the next piece.
    pub fn handle_bytes(&mut self, piece: &[u8]) {
        self.bytes.drain(..self.start);
        self.searched = self.searched.saturating_sub(self.start);
        self.start = 0;
        self.bytes.extend_from_slice(piece);
    }

    /// The next record of text, if all of it is there: handshakes, and messages in JSON.
    ///
    /// # Errors
    /// It is longer than is taken. Nothing that comes after is of use then.
    pub fn poll_text(&mut self) -> Result<Option<&[u8]>, ProtocolError> {
        let from = self.searched.max(self.start);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == RECORD_END) else {
            self.searched = self.bytes.len();
            self.bounded(self.bytes.len() - self.start)?;
            return Ok(None);
        };
        let (start, end) = (self.start, from + end);
        self.bounded(end - start)?;
        self.start = end + 1;
        self.searched = self.start;
        Ok(self.bytes.get(start..end))
    }

    /// The next record of bytes, if all of it is there: messages in MessagePack.
    ///
    /// # Errors
    /// It is longer than is taken, or its length is not one. Nothing that comes after is of use
    /// then.
    pub fn poll_binary(&mut self) -> Result<Option<&[u8]>, ProtocolError> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some((length, prefix)) = read_length(rest)? else {
            return Ok(None);
        };
        self.bounded(length)?;
        let start = self.start + prefix;
        if self.bytes.len() - start < length {
            return Ok(None);
        }
        self.start = start + length;
        self.searched = self.start;
        Ok(self.bytes.get(start..start + length))
    }

    fn bounded(&self, length: usize) -> Result<(), ProtocolError> {
        if length > self.max {
            return Err(ProtocolError::TooLong { max: self.max });
        }
        Ok(())
    }
}

/// A length and the bytes that it takes; `None` while some of them are missing.
fn read_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
    let mut length: u64 = 0;
    for (at, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            // Two gigabytes at most, as the document says.
            let length = i32::try_from(length).ok();
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or(ProtocolError::Not(Expected::Length))?;
            return Ok(Some((length, at + 1)));
        }
    }
    if bytes.len() < LENGTH_BYTES_MAX {
        return Ok(None);
    }
    Err(ProtocolError::Not(Expected::Length))
}

/// Writes a message's length as it stands before it.
pub(crate) fn write_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_longer_than_is_taken_is_refused_before_its_end_comes() {
        let mut records = Records::new(3);
        records.handle_bytes(b"abc\x1eabcd");
        assert_eq!(records.poll_text(), Ok(Some(&b"abc"[..])));
        assert_eq!(records.poll_text(), Err(ProtocolError::TooLong { max: 3 }));
        let mut records = Records::new(3);
        records.handle_bytes(&[4]);
        assert_eq!(
            records.poll_binary(),
            Err(ProtocolError::TooLong { max: 3 })
        );
    }

    #[test]
    fn what_was_read_is_given_back_and_what_was_not_is_kept() {
        let mut records = Records::new(5000);
        records.handle_bytes(&[b'a'; 4000]);
        records.tidy();
        records.handle_bytes(b"\x1e");
        assert_eq!(records.poll_text().unwrap().map(<[u8]>::len), Some(4000));
        records.tidy();
        assert_eq!(records.bytes.capacity(), 0);
        records.limit(1);
        records.handle_bytes(b"ab\x1e");
        assert_eq!(records.poll_text(), Err(ProtocolError::TooLong { max: 1 }));
    }

    #[test]
    fn a_length_beyond_two_gigabytes_is_none() {
        for bad in [[0xff, 0xff, 0xff, 0xff, 0x08], [0x80; 5]] {
            let mut records = Records::new(usize::MAX);
            records.handle_bytes(&bad);
            let length = ProtocolError::Not(Expected::Length);
            assert_eq!(records.poll_binary(), Err(length));
        }
    }

    #[test]
    fn the_handshake_and_what_follows_it_may_come_in_one_piece() {
        let mut records = Records::new(10);
        records.handle_bytes(b"{}\x1e\x02\x91\x06");
        assert_eq!(records.poll_text(), Ok(Some(&b"{}"[..])));
        assert_eq!(records.poll_binary(), Ok(Some(&[0x91, 6][..])));
        assert_eq!(records.poll_binary(), Ok(None));
    }

    proptest! {
        #[test]
        fn lengths_read_as_they_were_written(length in 0usize..=0x7fff_ffff) {
            let mut bytes = Vec::new();
            write_length(length, &mut bytes);
            prop_assert_eq!(read_length(&bytes), Ok(Some((length, bytes.len()))));
        }

        #[test]
        fn how_text_is_cut_changes_nothing(
            records in prop::collection::vec("[a-z]{0,5}", 0..8),
            cuts in prop::collection::vec(1usize..7, 1..20),
        ) {
            let whole = records.iter().map(|it| format!("{it}\u{1e}")).collect::<String>();
            let mut reader = Records::new(5);
            let (mut rest, mut cuts) = (whole.as_bytes(), cuts.iter().cycle());
            let mut found = Vec::new();
            while !rest.is_empty() {
                let (piece, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                reader.handle_bytes(piece);
                rest = later;
                while let Some(record) = reader.poll_text().unwrap() {
                    found.push(String::from_utf8(record.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(found, records);
        }
    }
}
