//! One way of a session: bytes that were recorded and not taken yet, each at its place.

use std::collections::VecDeque;

use crate::refusal::Refusal;

/// The most bytes that are sent or taken at once.
pub const MAX_CHUNK: usize = 32 * 1024;

/// The most bytes that wait for who takes them.
pub const MAX_WAITING: usize = 256 * 1024;

/// What waits. Nothing is forgotten before whoever takes it has said that it is there.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The place of the first byte that waits.
    start: u64,
    bytes: VecDeque<u8>,
    ended: bool,
    /// Whether its taker has been told that, and has come back.
    told: Told,
}

/// Whether who takes knows that nothing follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    /// It was in an answer.
    Answered,
    /// They have asked again since.
    Knows,
}

/// What is to be done with what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It comes next.
    Next,
    /// It is there already.
    Again,
}

impl Waiting {
    /// The place behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.start
            .saturating_add(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }

    /// Whether so many bytes that are said to begin at `at` come next.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when something is missing before them, or they overlap.
    pub(super) fn place(&self, at: u64, size: usize) -> Result<Sent, Refusal> {
        let behind = at.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        if at == self.end() && (!self.ended || size == 0) {
            return Ok(Sent::Next);
        }
        if behind <= self.end() {
            return Ok(Sent::Again);
        }
        Err(Refusal::Conflict {
            what: "the place in the stream",
        })
    }

    /// Whether there is room for so many more.
    pub(super) fn has_room(&self, size: usize) -> bool {
        self.bytes.len() + size <= MAX_WAITING
    }

    /// Puts bytes behind the others; `ended` says that none follow.
    pub(super) fn put(&mut self, bytes: &[u8], ended: bool) {
        self.bytes.extend(bytes);
        self.ended |= ended;
    }

    /// Forgets what stands before `after`, which its taker has.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when that is forgotten already, or has not come yet.
    pub(super) fn forget(&mut self, after: u64) -> Result<(), Refusal> {
        if !(self.start..=self.end()).contains(&after) {
            return Err(Refusal::Conflict {
                what: "the place in the stream",
            });
        }
        let many = usize::try_from(after - self.start).unwrap_or(usize::MAX);
        self.bytes.drain(..many.min(self.bytes.len()));
        self.start = after;
        if self.told == Told::Answered {
            self.told = Told::Knows;
        }
        Ok(())
    }

    /// Whether there is something behind `after`, or it is news that nothing will come.
    pub(super) fn has_news(&self, after: u64) -> bool {
        self.end() > after || (self.ended && self.told != Told::Knows)
    }

    /// What stands first, at most [`MAX_CHUNK`], and whether nothing follows it.
    pub(super) fn first(&mut self) -> (Vec<u8>, bool) {
        let bytes: Vec<u8> = self.bytes.iter().take(MAX_CHUNK).copied().collect();
        let last = self.ended && bytes.len() == self.bytes.len();
        if last && self.told == Told::No {
            self.told = Told::Answered;
        }
        (bytes, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_again_counts_once_and_what_leaves_a_gap_is_refused() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.place(0, 3).unwrap(), Sent::Next);
        waiting.put(b"abc", false);
        assert_eq!(waiting.place(0, 3).unwrap(), Sent::Again);
        assert_eq!(waiting.place(3, 1).unwrap(), Sent::Next);
        for (at, size) in [(4, 1), (2, 2), (u64::MAX, 1)] {
            waiting.place(at, size).unwrap_err();
        }
        waiting.put(b"", true);
        waiting.place(3, 1).unwrap_err();
        assert_eq!(waiting.place(3, 0).unwrap(), Sent::Next);
    }

    #[test]
    fn what_was_taken_is_there_until_its_taker_has_it() {
        let mut waiting = Waiting::default();
        waiting.put(b"abcdef", true);
        assert_eq!(waiting.first(), (b"abcdef".to_vec(), true));
        assert_eq!(waiting.first(), (b"abcdef".to_vec(), true));
        waiting.forget(4).unwrap();
        assert_eq!(waiting.first(), (b"ef".to_vec(), true));
        waiting.forget(3).unwrap_err();
        waiting.forget(7).unwrap_err();
        waiting.forget(6).unwrap();
        assert_eq!(waiting.first(), (Vec::new(), true));
    }

    #[test]
    fn who_knows_that_nothing_follows_waits_for_nothing_but_the_end() {
        let mut waiting = Waiting::default();
        waiting.put(b"a", true);
        assert!(waiting.has_news(0));
        waiting.first();
        waiting.forget(1).unwrap();
        assert!(!waiting.has_news(1));
        // Who asks again is told again, if later.
        assert_eq!(waiting.first(), (Vec::new(), true));
    }

    #[test]
    fn no_more_waits_than_may() {
        let mut waiting = Waiting::default();
        waiting.put(&[0; MAX_WAITING - 1], false);
        assert!(waiting.has_room(1) && !waiting.has_room(2));
        assert_eq!(waiting.first().0.len(), MAX_CHUNK);
    }
}
