//! What waits to be told to one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use outgate_firebase::database::Told;
use parking_lot::Mutex;
use tokio::sync::Notify;

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
    /// A message as it is.
    Message(String),
    /// What has changed.
    Told(Told),
}

/// More waited than may: whoever does not take it is to be disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Letter {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(text) => text.len(),
            Self::Told(told) => told.data.len(),
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

    /// Has something wait. One that is larger than all that may wait is taken when nothing else
    /// waits.
    pub(super) fn put(&self, letter: Letter) {
        let mut inside = self.inside.lock();
        if inside.is_overrun {
            return;
        }
        let bytes = letter.bytes();
        if inside.bytes + bytes > self.max && !inside.waiting.is_empty() {
            *inside = Inside {
                is_overrun: true,
                ..Inside::default()
            };
        } else {
            inside.bytes += bytes;
            inside.waiting.push_back(letter);
        }
        drop(inside);
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

/// Who is told what, by their numbers.
pub(super) type Outboxes = std::collections::HashMap<u64, Arc<Outbox>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_takes_nothing_is_overrun_and_what_waited_is_dropped() {
        let outbox = Outbox::new(1, 10);
        let text = |length: usize| Letter::Message("x".repeat(length));
        outbox.put(text(50));
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
