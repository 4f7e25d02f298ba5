//! What a connection leaves to be written when it is over, what it listens to, and for how long it
//! may say nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::database::Write;
use crate::draft::Draft;
use crate::path::Path;

/// How long a client may say nothing until it is asked whether it is there. It shows every 45
/// seconds that it lives, but not while it is told things.
pub const SILENT_UNASKED: Duration = Duration::from_secs(60);

/// How long a client may say nothing at all.
pub const SILENT_MAX: Duration = Duration::from_secs(120);

/// How long a client may be nobody.
pub const NOBODY_MAX: Duration = Duration::from_secs(60);

/// The most listens of a connection.
pub const LISTENS_MAX: usize = 1_000;

/// The most values that a connection leaves to be written when it is over.
pub const LAST_WORDS_MAX: usize = 1_000;

/// The most bytes of the requests that asked for those.
pub const LAST_WORDS_BYTES_MAX: usize = 1024 * 1024;

/// What time brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// To ask the client whether it is there.
    Ask,
    /// To close the connection.
    Close,
}

/// A connection is at one of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a connection has at most {max} {what}")]
pub struct TooMany {
    /// Of what.
    pub what: &'static str,
    /// How many it may.
    pub max: usize,
}

/// One connection, driven by times since any moment of the caller's.
#[derive(Debug)]
pub struct Session {
    opened: Duration,
    heard: Duration,
    /// Whether it was asked since then whether it is there.
    is_asked: bool,
    is_somebody: bool,
    /// What it listens to, and the query as it was asked.
    listens: BTreeMap<(Path, Option<u64>), Value>,
    /// What it leaves to be written, and the size of what asked for it.
    last_words: BTreeMap<Path, (Draft, usize)>,
}

impl Session {
    /// A connection that was opened just now, of nobody yet.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            opened: now,
            heard: now,
            is_asked: false,
            is_somebody: false,
            listens: BTreeMap::new(),
            last_words: BTreeMap::new(),
        }
    }

    /// The client has said something.
    pub fn on_heard(&mut self, now: Duration) {
        self.heard = now;
        self.is_asked = false;
    }

    /// The client is somebody, or nobody.
    pub fn on_login(&mut self, is_somebody: bool, now: Duration) {
        if self.is_somebody && !is_somebody {
            self.opened = now;
        }
        self.is_somebody = is_somebody;
    }

    /// When [`Session::handle_timeout`] is to be called if nothing happens until then.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        let patience = if self.is_asked {
            SILENT_MAX
        } else {
            SILENT_UNASKED
        };
        (self.heard + patience).min(self.closes())
    }

    /// What is to be done now, if anything.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Due> {
        if now >= self.closes() {
            return Some(Due::Close);
        }
        let is_silent = now >= self.heard + SILENT_UNASKED;
        let is_due = is_silent && !self.is_asked;
        self.is_asked |= is_due;
        is_due.then_some(Due::Ask)
    }

    fn closes(&self) -> Duration {
        let silent = self.heard + SILENT_MAX;
        if self.is_somebody {
            silent
        } else {
            silent.min(self.opened + NOBODY_MAX)
        }
    }

    /// Notes that it listens.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn listen(&mut self, path: Path, tag: Option<u64>, query: Value) -> Result<(), TooMany> {
        let place = (path, tag);
        if self.listens.len() >= LISTENS_MAX && !self.listens.contains_key(&place) {
            return Err(TooMany {
                what: "listens",
                max: LISTENS_MAX,
            });
        }
        self.listens.insert(place, query);
        Ok(())
    }

    /// Notes that it listens no more; whether it did.
    pub fn unlisten(&mut self, path: &Path, tag: Option<u64>) -> bool {
        self.listens.remove(&(path.clone(), tag)).is_some()
    }

    /// What it listens to, with the query as it was asked.
    pub fn listens(&self) -> impl Iterator<Item = (&Path, Option<u64>, &Value)> {
        let listens = self.listens.iter();
        listens.map(|((path, tag), query)| (path, *tag, query))
    }

    /// Leaves `parts` to be written when the connection is over, asked for in `bytes`, in place of
    /// what was left for the same paths and below.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn leave(&mut self, parts: Vec<(Path, Draft)>, bytes: usize) -> Result<(), TooMany> {
        let held: usize = self.last_words.values().map(|(_, bytes)| bytes).sum();
        if held + bytes > LAST_WORDS_BYTES_MAX {
            return Err(TooMany {
                what: "bytes of onDisconnect",
                max: LAST_WORDS_BYTES_MAX,
            });
        }
        if self.last_words.len() + parts.len() > LAST_WORDS_MAX {
            return Err(TooMany {
                what: "values of onDisconnect",
                max: LAST_WORDS_MAX,
            });
        }
        let share = bytes / parts.len().max(1);
        for (path, draft) in parts {
            self.cancel(&path);
            self.last_words.insert(path, (draft, share));
        }
        Ok(())
    }

    /// Leaves nothing any more at `path` and below.
    pub fn cancel(&mut self, path: &Path) {
        self.last_words.retain(|left, _| left.below(path).is_none());
    }

    /// What is to be written now that the connection is over, one after the other.
    #[must_use]
    pub fn into_last_words(self) -> Vec<Write> {
        let write = |(path, (draft, _))| Write {
            parts: vec![(path, draft)],
            expected: None,
        };
        self.last_words.into_iter().map(write).collect()
    }
}
