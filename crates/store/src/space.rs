//! Room on the disk, so that the last of it is left for what must not fail.

use std::path::PathBuf;

use rusqlite::Connection;

/// After so many bytes the log is copied into the file, unless something else is said: 16 MiB.
pub const LOG: u64 = 16 << 20;

/// How much of a disk a store uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the disk that are left free of what may not fill it.
    pub reserve: u64,
    /// Bytes of the log beside the file after which it is copied into the file. It has a few
    /// commits more, and up to eight times as many while somebody reads for long.
    pub log: u64,
}

impl Room {
    /// Leaves so many bytes free, with a log of the usual size.
    #[must_use]
    pub fn leaving(reserve: u64) -> Self {
        Self { reserve, log: LOG }
    }
}

/// The disk that the store lies on.
#[derive(Clone, Debug)]
pub struct Space {
    file: PathBuf,
    reserve: u64,
}

/// Where a store's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Bytes of the file that hold something.
    pub held: u64,
    /// Bytes of the file that hold nothing any more and will be used again.
    pub hollow: u64,
}

impl Space {
    /// The disk of `file`, of which `reserve` bytes are to be left free.
    #[must_use]
    pub fn new(file: PathBuf, reserve: u64) -> Self {
        Self { file, reserve }
    }

    /// Whether there is room beyond the reserve.
    ///
    /// What was cleared away leaves hollows in the file, which count as free: otherwise a disk
    /// that this store alone has filled would stay full for ever. They do not take the log,
    /// though, so a quarter of the reserve must be free on the disk itself.
    ///
    /// # Errors
    /// SQLite's.
    pub fn has_room(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let Ok(disk) = rustix::fs::statvfs(&self.file) else {
            // Then SQLite will find out.
            return Ok(true);
        };
        let used = used(connection)?;
        let lies = std::fs::metadata(&self.file).map_or(0, |file| file.len());
        // What is in the log still but will lengthen the file.
        let to_come = (used.held + used.hollow).saturating_sub(lies);
        let free = (disk.f_bavail * disk.f_frsize).saturating_sub(to_come);
        Ok(free.saturating_add(used.hollow) >= self.reserve && free >= self.reserve / 4)
    }
}

/// Where the store's bytes are.
///
/// # Errors
/// SQLite's.
pub fn used(connection: &Connection) -> rusqlite::Result<Use> {
    let number = |pragma: &str| -> rusqlite::Result<u64> {
        let number: i64 = connection
            .prepare_cached(pragma)?
            .query_row([], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    };
    let size = number("PRAGMA page_size")?;
    let hollow = number("PRAGMA freelist_count")?;
    let pages = number("PRAGMA page_count")?;
    Ok(Use {
        held: pages.saturating_sub(hollow) * size,
        hollow: hollow * size,
    })
}
