//! Messages in pieces: whoever sends one of more than 16,384 characters says first how many pieces
//! follow.

/// The most characters of a piece, as UTF-16 counts them.
pub const PIECE_MAX: usize = 16_384;

/// The most characters of a text that may say how many pieces follow.
const COUNT_MAX: usize = 6;

/// Puts messages together again.
#[derive(Debug)]
pub struct Pieces {
    max: usize,
    text: String,
    /// How many pieces are still to come.
    left: usize,
}

/// Why what came is not in Firebase's pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message has more bytes than are taken.
    #[error("a message has at most {max} bytes")]
    TooLong {
        /// How many are.
        max: usize,
    },
}

impl Pieces {
    /// For messages of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            text: String::new(),
            left: 0,
        }
    }

    /// Takes a text of the WebSocket, and gives the message that is whole with it. A count of
    /// nothing is how clients show that they live.
    ///
    /// # Errors
    /// The message is longer than is taken; nothing that comes after is of use then.
    pub fn handle_text(&mut self, text: String) -> Result<Option<String>, FrameError> {
        if self.left == 0 {
            if let Some(pieces) = count(&text) {
                return self.expect(pieces).map(|()| None);
            }
            self.bounded(text.len())?;
            return Ok(Some(text));
        }
        self.bounded(self.text.len() + text.len())?;
        self.text.push_str(&text);
        self.left -= 1;
        Ok((self.left == 0).then(|| std::mem::take(&mut self.text)))
    }

    fn expect(&mut self, pieces: usize) -> Result<(), FrameError> {
        // Each piece but the last is full, and a character has at least a byte.
        self.bounded(pieces.saturating_sub(1).saturating_mul(PIECE_MAX))?;
        self.left = pieces;
        Ok(())
    }

    fn bounded(&self, length: usize) -> Result<(), FrameError> {
        if length > self.max {
            return Err(FrameError::TooLong { max: self.max });
        }
        Ok(())
    }
}

/// The count that a text is, if it is one.
fn count(text: &str) -> Option<usize> {
    let is_count = text.len() <= COUNT_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_count)
}

/// The texts that a message is sent in: itself, or a count and pieces.
#[must_use]
pub fn cut(message: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut length) = (0, 0);
    for (at, character) in message.char_indices() {
        if length + character.len_utf16() > PIECE_MAX {
            pieces.push(&message[start..at]);
            (start, length) = (at, 0);
        }
        length += character.len_utf16();
    }
    pieces.push(&message[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put_together(texts: &[&str], max: usize) -> Result<Vec<String>, FrameError> {
        let mut pieces = Pieces::new(max);
        let mut messages = Vec::new();
        for text in texts {
            messages.extend(pieces.handle_text((*text).to_owned())?);
        }
        Ok(messages)
    }

    #[test]
    fn a_message_longer_than_is_taken_is_refused_before_its_pieces_come() {
        let too_long = Err(FrameError::TooLong { max: 20_000 });
        assert_eq!(put_together(&["4"], 20_000), too_long);
        assert_eq!(put_together(&["999999"], 20_000), too_long);
        assert_eq!(
            put_together(&["2", &"a".repeat(16_384), &"b".repeat(3_617)], 20_000),
            too_long
        );
        assert!(put_together(&["2", &"a".repeat(16_384), &"b".repeat(3_616)], 20_000).is_ok());
    }

    #[test]
    fn a_client_that_shows_that_it_lives_says_nothing() {
        assert_eq!(put_together(&["0", "{}", "0", "0"], 9).unwrap(), ["{}"]);
        assert_eq!(put_together(&["2", "0", "1"], PIECE_MAX).unwrap(), ["01"]);
    }

    proptest! {
        #[test]
        fn what_is_cut_is_put_together_again(
            character in prop::sample::select(vec!["a", "é", "€", "\u{1f600}", "a\u{1f600}"]),
            times in 1usize..40_000,
        ) {
            let message = format!("{{{}}}", character.repeat(times));
            let cut = cut(&message);
            prop_assert!(cut.iter().all(|piece| piece.encode_utf16().count() <= PIECE_MAX));
            let count = cut.len().to_string();
            let counted: Vec<&str> = Some(&count[..]).filter(|_| cut.len() > 1).into_iter().chain(cut).collect();
            prop_assert_eq!(put_together(&counted, message.len()), Ok(vec![message]));
        }
    }
}
