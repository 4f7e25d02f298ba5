//! Messages that wait to be sent, and what becomes of them when the peer is slow.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

/// Room for messages that is kept when none waits: what a few calls at a time need.
const ROOM_KEPT: usize = 16;

/// What to do when so much waits that nothing more may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlowPeer {
    /// End the connection: whoever must have everything comes back and asks anew.
    #[default]
    Disconnect,
    /// Drop the oldest message that may be dropped ([`Frame::droppable`]); where there is none, end
    /// the connection.
    DropOldest,
    /// A message takes the place of an earlier one with the same key ([`Frame::key`]) as long as
    /// that waits; what has no key counts as for [`SlowPeer::Disconnect`].
    Conflate,
}

/// A message as bytes, for one connection or for many: a clone shares them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The record, with what frames it.
    pub bytes: Bytes,
    /// Whether it is of a kind that a stateful connection numbers.
    pub counted: bool,
    /// Whether nobody waits for it, so that a slow peer may miss it.
    pub droppable: bool,
    /// What it is about, where a later message about the same makes it useless.
    pub key: Option<Arc<str>>,
}

impl Frame {
    /// A message that the peer waits for.
    #[must_use]
    pub const fn needed(bytes: Bytes) -> Self {
        Self {
            bytes,
            counted: true,
            droppable: false,
            key: None,
        }
    }

    /// A message that the peer could miss.
    #[must_use]
    pub const fn news(bytes: Bytes, key: Option<Arc<str>>) -> Self {
        Self {
            bytes,
            counted: true,
            droppable: true,
            key,
        }
    }
}

/// So much waits that the connection is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer takes its messages too slowly: {messages} of {bytes} bytes wait")]
pub struct Overrun {
    /// Messages that wait.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) policy: SlowPeer,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Frame>,
    bytes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, frame: Frame, bounds: Bounds) -> Result<(), Overrun> {
        if bounds.policy == SlowPeer::Conflate && frame.key.is_some() {
            let earlier = self.waiting.iter().position(|one| one.key == frame.key);
            self.remove(earlier);
        }
        while !self.fits(&frame, bounds) {
            let droppable = self.waiting.iter().position(|one| one.droppable);
            if bounds.policy != SlowPeer::DropOldest || droppable.is_none() {
                return Err(Overrun {
                    messages: self.waiting.len(),
                    bytes: self.bytes,
                });
            }
            self.remove(droppable);
        }
        self.bytes += frame.bytes.len();
        self.waiting.push_back(frame);
        Ok(())
    }

    /// One message fits always, however long: what may be said is not this queue's to decide.
    fn fits(&self, frame: &Frame, bounds: Bounds) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < bounds.messages
                && self.bytes + frame.bytes.len() <= bounds.bytes)
    }

    fn remove(&mut self, at: Option<usize>) {
        let removed = at.and_then(|at| self.waiting.remove(at));
        self.bytes -= removed.map_or(0, |frame| frame.bytes.len());
    }

    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.waiting.pop_front()?;
        self.bytes -= frame.bytes.len();
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM_KEPT {
            self.waiting = VecDeque::new();
        }
        Some(frame)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(policy: SlowPeer) -> Bounds {
        Bounds {
            messages: 2,
            bytes: 10,
            policy,
        }
    }

    fn news(text: &'static str, key: Option<&str>) -> Frame {
        Frame::news(Bytes::from_static(text.as_bytes()), key.map(Arc::from))
    }

    fn rest(mut queue: Queue) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.pop().map(|frame| frame.bytes)).collect()
    }

    #[test]
    fn too_many_messages_or_bytes_end_the_connection() {
        let bounds = bounds(SlowPeer::Disconnect);
        let mut queue = Queue::default();
        queue.push(news("a", None), bounds).unwrap();
        queue.push(news("b", None), bounds).unwrap();
        let overrun = queue.push(news("c", None), bounds).unwrap_err();
        assert_eq!((overrun.messages, overrun.bytes), (2, 2));
        let mut queue = Queue::default();
        queue.push(news("longer than ten", None), bounds).unwrap();
        assert!(queue.push(news("b", None), bounds).is_err());
    }

    #[test]
    fn the_oldest_that_may_be_dropped_is() {
        let bounds = bounds(SlowPeer::DropOldest);
        let mut queue = Queue::default();
        queue
            .push(Frame::needed(Bytes::from_static(b"answer")), bounds)
            .unwrap();
        queue.push(news("1", None), bounds).unwrap();
        queue.push(news("2", None), bounds).unwrap();
        assert_eq!(queue.bytes(), 7);
        assert_eq!(rest(queue), ["answer", "2"]);
        let mut queue = Queue::default();
        for _ in 0..2 {
            queue
                .push(Frame::needed(Bytes::from_static(b"x")), bounds)
                .unwrap();
        }
        assert!(queue.push(news("2", None), bounds).is_err());
    }

    #[test]
    fn news_of_the_same_takes_the_place_of_older() {
        let bounds = bounds(SlowPeer::Conflate);
        let mut queue = Queue::default();
        queue.push(news("a1", Some("a")), bounds).unwrap();
        queue.push(news("b1", Some("b")), bounds).unwrap();
        queue.push(news("a2", Some("a")), bounds).unwrap();
        assert_eq!(rest(queue), ["b1", "a2"]);
    }
}
