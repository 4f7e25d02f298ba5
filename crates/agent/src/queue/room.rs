//! What is dropped, and for what.

use outgate_store::used;
use rusqlite::Connection;

use super::Shared;
use super::entry::{Entry, Priority};
use super::error::QueueError;
use super::moment::Moment;
use super::table::{self, Fate};
use super::times::Told;

/// The bytes of a page of SQLite.
const PAGE: u64 = 4_096;

/// Pages that an entry may take beside those that it fills: where two pages become three, at two
/// levels of the tree.
const MORE_PAGES: u64 = 4;

/// At least so many bytes of entries are dropped at once, so that a page becomes free.
const BYTES_AT_ONCE: u64 = 2 * PAGE;

/// What an entry takes in the file beside its bytes, about.
const OVERHEAD: u64 = 48;

/// Makes room for an entry, on the writer's thread.
pub(super) fn make(
    connection: &Connection,
    shared: &Shared,
    entry: &Entry,
) -> Result<(), QueueError> {
    let bytes = u64::try_from(entry.bytes()).unwrap_or(u64::MAX);
    let needed = (bytes / PAGE + MORE_PAGES) * PAGE;
    loop {
        let used = used(connection)?;
        let limit = shared.limits.bytes;
        let too_much = used.held.saturating_add(needed).saturating_sub(limit);
        // What is hollow in the file is used before it grows.
        let grows = needed.saturating_sub(used.hollow);
        let disk_full = grows > 0 && !shared.space.has_room(connection)?;
        let (refused, excess) = match (disk_full, too_much) {
            (true, _) => (QueueError::DiskFull, grows),
            (false, 0) => return Ok(()),
            (false, too_much) => (QueueError::Crowded { limit }, too_much),
        };
        let goes = |priority: &Priority| match disk_full {
            true => *priority < entry.priority,
            false => *priority <= entry.priority,
        };
        if !drop_oldest(connection, shared, excess, goes)? {
            return Err(refused);
        }
    }
}

/// Drops about `excess` bytes of the oldest of those that matter least, out of those that may go.
/// Tells whether there were any.
fn drop_oldest(
    connection: &Connection,
    shared: &Shared,
    excess: u64,
    goes: impl Fn(&Priority) -> bool,
) -> Result<bool, QueueError> {
    let excess = excess.max(BYTES_AT_ONCE);
    for priority in Priority::ALL.into_iter().filter(goes) {
        let given = shared.given.lock().upto(priority);
        let mut dropped = 0;
        let goes_too = |bytes: u64| {
            let goes_too = dropped < excess;
            dropped += bytes + OVERHEAD;
            goes_too
        };
        if let Some(last) = table::oldest(connection, priority, given, goes_too)? {
            table::remove_upto(connection, priority, (given, last), Fate::Crowded)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Drops what is older than it may be, as much as may go in one write. Tells whether there may be
/// more.
pub(super) fn drop_old(
    connection: &Connection,
    shared: &Shared,
    now: &Moment,
) -> Result<bool, QueueError> {
    let mut more = false;
    for priority in Priority::ALL {
        let given = shared.given.lock().upto(priority);
        let old = |told: &Told| told.age(now) > shared.limits.keep;
        let (last, all) = table::oldest_by_age(connection, priority, given, old)?;
        if let Some(last) = last {
            table::remove_upto(connection, priority, (given, last), Fate::Aged)?;
        }
        more |= all;
    }
    Ok(more)
}
