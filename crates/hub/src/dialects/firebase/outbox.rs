//! What waits to be told to one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use outgate_core::limits::Share;
use outgate_firebase::database::Told;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::api::Held;

/// What waits to be told to one connection, up to so many bytes.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Under which number the connection listens.
    pub(super) number: u64,
    max: usize,
    inside: Mutex<Inside>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    waiting: VecDeque<Letter>,
    bytes: usize,
    is_overrun: bool,
}

/// Something to be told.
#[derive(Debug)]
pub(super) enum Letter {
    /// A message as it is, with the room that it has in memory if it may be large.
    Message(String, Option<Held>),
    /// What has changed, with the room that it has.
    Told(Told, Held),
}

/// More waited than may: whoever does not take it is to be disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Letter {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(text, _) => text.len(),
            Self::Told(told, _) => told.data.len(),
        }
    }
}

impl Outbox {
    pub(super) fn new(number: u64, max: usize) -> Self {
        Self {
            number,
            max,
            inside: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// Has something wait. However large the first is that waits, it is told: what stands where
    /// somebody begins to listen is followed by the answer to that at once.
    pub(super) fn put(&self, letter: Letter) {
        let mut inside = self.inside.lock();
        if inside.is_overrun {
            return;
        }
        let bytes = letter.bytes();
        let first = inside.waiting.front().map(Letter::bytes);
        if first.is_some_and(|first| inside.bytes - first + bytes > self.max) {
            inside.overrun();
        } else {
            inside.bytes += bytes;
            inside.waiting.push_back(letter);
        }
        drop(inside);
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Has whoever listens disconnected: there is no room for what they are to be told.
    pub(super) fn put_out(&self) {
        self.inside.lock().overrun();
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Waits for the next thing to be told. May be dropped and asked again: nothing is lost.
    pub(super) async fn next(&self) -> Result<Letter, Overrun> {
        loop {
            {
                let mut inside = self.inside.lock();
                if inside.is_overrun {
                    return Err(Overrun);
                }
                if let Some(letter) = inside.waiting.pop_front() {
                    inside.bytes -= letter.bytes();
                    return Ok(letter);
                }
            }
            self.bell.notified().await;
        }
    }

    /// Waits until more waits than may.
    pub(super) async fn overrun(&self) {
        loop {
            // Before the look, so that no ring is missed.
            let ring = self.bell.notified();
            if self.inside.lock().is_overrun {
                return;
            }
            ring.await;
        }
    }
}

impl Inside {
    fn overrun(&mut self) {
        *self = Self {
            is_overrun: true,
            ..Self::default()
        };
    }
}

/// Who is told what, by their numbers, and whose share of the room for it they use.
pub(super) type Outboxes = std::collections::HashMap<u64, (Arc<Outbox>, Share)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_overrun_and_what_waited_is_dropped() {
        let outbox = Outbox::new(1, 10);
        let text = |length: usize| Letter::Message("x".repeat(length), None);
        outbox.put(text(50));
        outbox.put(text(5));
        assert!(outbox.next().await.is_ok());
        outbox.put(text(5));
        outbox.put(text(5));
        assert!(outbox.next().await.is_ok());
        outbox.put(text(5));
        outbox.put(text(1));
        outbox.overrun().await;
        assert_eq!(outbox.next().await.unwrap_err(), Overrun);
        assert_eq!(outbox.inside.lock().waiting.len(), 0);
    }
}
