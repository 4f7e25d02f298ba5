//! The log beside the file, kept from growing without bound.
//!
//! SQLite appends commits to the log and copies them into the file when told to. It can begin the
//! log anew only once all of it has been copied and nobody reads from it, so a reader that goes
//! on and on would make it grow for ever. Readers here are short; should one not be, it is
//! interrupted when the log is [`MOST`] times as large as it should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::readers::Readers;

/// The bytes of a page, unless SQLite is told otherwise.
const PAGE: u64 = 4_096;

/// At so many times the size after which the log is copied, readers are interrupted so that it
/// can begin anew.
pub(super) const MOST: u32 = 8;

/// So many times that size is left of a log that had to grow, once it begins anew.
const KEPT: u64 = 2;

/// How long to wait for interrupted readers to be gone.
const READERS_GONE: Duration = Duration::from_millis(500);

/// The log.
pub(super) struct Wal {
    /// Pages in it after the last commit, as SQLite tells.
    pages: Arc<AtomicU32>,
    /// Pages in it when it was last copied.
    copied: u32,
    /// After so many more pages it is copied into the file.
    enough: u32,
    readers: Arc<Readers>,
}

impl Wal {
    /// Takes the care of the log over from SQLite. It is copied after about `bytes`.
    pub(super) fn watch(
        connection: &mut Connection,
        readers: Arc<Readers>,
        bytes: u64,
    ) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pages);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let kept = i64::try_from(bytes.saturating_mul(KEPT)).unwrap_or(i64::MAX);
        connection.pragma_update(None, "journal_size_limit", kept)?;
        Ok(Self {
            pages,
            copied: 0,
            enough: u32::try_from(bytes / PAGE).unwrap_or(u32::MAX).max(1),
            readers,
        })
    }

    /// Whether there is something to copy into the file.
    pub(super) fn is_dirty(&self) -> bool {
        self.pages.load(Ordering::Relaxed) != self.copied
    }

    /// Copies the log into the file if enough has come together.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.copied {
            // It has begun anew.
            self.copied = 0;
        }
        if pages >= self.enough.saturating_mul(MOST) {
            self.readers.interrupt();
            self.checkpoint(connection, "RESTART");
        } else if pages - self.copied >= self.enough {
            self.checkpoint(connection, "PASSIVE");
        }
    }

    /// Copies the log into the file while there is nothing else to do.
    pub(super) fn rest(&mut self, connection: &Connection) {
        self.checkpoint(connection, "PASSIVE");
    }

    /// A failure is no harm but to the size of the log: what is acknowledged is in it.
    fn checkpoint(&mut self, connection: &Connection, mode: &str) {
        let done = connection.busy_timeout(READERS_GONE).and_then(|()| {
            connection
                .prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?
                .query_row([], |row| row.get::<_, bool>(0))
        });
        match done {
            Ok(false) => {}
            Ok(true) => tracing::warn!(mode, "readers keep the log from being copied"),
            Err(error) => tracing::warn!(%error, mode, "the log cannot be copied into the file"),
        }
        self.copied = self.pages.load(Ordering::Relaxed);
    }
}
