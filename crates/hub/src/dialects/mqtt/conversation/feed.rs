//! How far a service is with the events that it takes.

use std::collections::BTreeMap;

use outgate_core::id::ConsumerId;
use outgate_core::identity::Scope;

/// The most events read at a time.
pub(super) const BATCH: u32 = 64;

/// A service's place among the events.
#[derive(Debug)]
pub(super) struct Feed {
    /// Its own place on the disk, if its session is kept.
    pub(super) consumer: Option<ConsumerId>,
    /// What it sees.
    pub(super) scope: Scope,
    /// Everything up to here has been read.
    pub(super) read: u64,
    /// Everything up to here has been taken, as the disk knows.
    pub(super) placed: u64,
    /// Everything up to here has been taken.
    taken: u64,
    /// Whether a read is on its way.
    pub(super) reading: bool,
    /// Whether the new place is on its way to the disk.
    pub(super) placing: bool,
    /// Events that were sent, and whether they have been taken.
    sent: BTreeMap<u64, bool>,
}

impl Feed {
    /// A feed that begins after `place`.
    pub(super) fn new(consumer: Option<ConsumerId>, scope: Scope, place: u64) -> Self {
        Self {
            consumer,
            scope,
            read: place,
            placed: place,
            taken: place,
            reading: false,
            placing: false,
            sent: BTreeMap::new(),
        }
    }

    /// An event is on its way.
    pub(super) fn on_sent(&mut self, place: u64) {
        self.sent.insert(place, false);
    }

    /// An event has been taken.
    pub(super) fn on_taken(&mut self, place: u64) {
        if let Some(taken) = self.sent.get_mut(&place) {
            *taken = true;
        }
    }

    /// Up to where everything has been taken, if that is further than the disk knows.
    pub(super) fn new_place(&mut self) -> Option<u64> {
        while let Some(entry) = self.sent.first_entry() {
            if !*entry.get() {
                break;
            }
            self.taken = self.taken.max(*entry.key());
            entry.remove();
        }
        if self.sent.is_empty() {
            self.taken = self.read;
        }
        (self.taken > self.placed).then_some(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_moves_only_over_what_has_all_been_taken() {
        let mut feed = Feed::new(None, Scope::All, 10);
        feed.read = 20;
        for place in [11, 13, 17] {
            feed.on_sent(place);
        }
        assert_eq!(feed.new_place(), None);
        feed.on_taken(13);
        assert_eq!(feed.new_place(), None);
        feed.on_taken(11);
        assert_eq!(feed.new_place(), Some(13));
        assert_eq!(feed.new_place(), Some(13), "until the disk knows");
        feed.placed = 13;
        feed.on_taken(17);
        assert_eq!(
            feed.new_place(),
            Some(20),
            "what nobody wanted is passed over too"
        );
    }
}
