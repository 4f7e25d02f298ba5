//! What waits, and what became of what does not.

use serde::Serialize;

use super::entry::Priority;

/// What waits, and what became of what does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// By how much it matters, what matters least first.
    pub levels: [Level; Priority::ALL.len()],
    /// Bytes of the file that hold something.
    pub bytes: u64,
    /// The most bytes of the file.
    pub limit_bytes: u64,
}

/// Entries that matter as much. What was kept since the queue was made is `settled`, `dropped` or
/// among the `entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    /// How much they matter.
    pub priority: Priority,
    /// How many wait.
    pub entries: u64,
    /// How many bytes those hold.
    pub bytes: u64,
    /// The number of the newest, waiting or not; 0 when there has been none.
    #[serde(skip)]
    pub newest: u64,
    /// How many the hub has.
    pub settled: u64,
    /// How many it will never have.
    pub dropped: Dropped,
}

impl Level {
    pub(super) fn empty(priority: Priority) -> Self {
        Self {
            priority,
            entries: 0,
            bytes: 0,
            newest: 0,
            settled: 0,
            dropped: Dropped::default(),
        }
    }
}

/// How many entries were dropped since the queue was made, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// For want of room.
    pub room: u64,
    /// Because they were older than they may be.
    pub age: u64,
    /// Because the hub will never take them.
    pub refused: u64,
}

impl Dropped {
    /// For whatever reason.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.room + self.age + self.refused
    }
}

impl Tally {
    /// What waits that matters as much.
    #[must_use]
    pub fn level(&self, priority: Priority) -> &Level {
        let [background, ordinary, important] = &self.levels;
        match priority {
            Priority::Background => background,
            Priority::Ordinary => ordinary,
            Priority::Important => important,
        }
    }

    /// How many entries wait.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.levels.iter().map(|level| level.entries).sum()
    }

    /// How many entries were dropped, for whatever reason.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.levels.iter().map(|level| level.dropped.all()).sum()
    }
}
