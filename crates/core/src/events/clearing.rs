//! What is cleared away, from the old end only.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};

use super::row::{place, signed};
use crate::clock::Timestamp;
use crate::consumers::taken_by_all;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::store::used;

/// After so many bytes of new events it is asked whether the store is too large.
const BYTES_A_LOOK: u64 = 256 << 10;

/// The most events cleared away in one write, so that nobody waits long for it.
pub(super) const MAX_CLEARED: u32 = 1_000;

/// How many bytes are cleared away at a look at a store that is too large: more than came since
/// the last one, so that it gets smaller.
const BYTES_CLEARED: u64 = 4 * BYTES_A_LOOK;

/// What an event takes beside its payload, about.
const OVERHEAD: u64 = 256;

/// Keeps the store within its limit.
#[derive(Debug)]
pub(super) struct Bound {
    most: AtomicU64,
    /// Bytes that came since the last look. Only the writer's thread changes it.
    unseen: AtomicU64,
}

impl Bound {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: AtomicU64::new(limits.store_bytes),
            // The first event looks.
            unseen: AtomicU64::new(BYTES_A_LOOK),
        }
    }

    /// Goes on with another limit.
    pub(super) fn set(&self, limits: &Limits) {
        self.most.store(limits.store_bytes, Ordering::Relaxed);
    }

    /// Makes room for an event of `bytes`, on the writer's thread.
    ///
    /// # Errors
    /// [`Refusal::Full`] when the store is too large, and the oldest events have yet to be taken
    /// by a consumer.
    pub(super) fn make_room(&self, connection: &Connection, bytes: usize) -> Result<(), Refusal> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let unseen = self.unseen.load(Ordering::Relaxed);
        let unseen = unseen.saturating_add(bytes).saturating_add(OVERHEAD);
        self.unseen.store(unseen, Ordering::Relaxed);
        if unseen < BYTES_A_LOOK {
            return Ok(());
        }
        if used(connection)?.held > self.most.load(Ordering::Relaxed)
            && clear(connection, BYTES_CLEARED)? == 0
        {
            // The next one looks again.
            return Err(Refusal::Full);
        }
        self.unseen.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// Clears away the oldest events that every consumer has taken, about `bytes` of them and at most
/// [`MAX_CLEARED`]. Gives how many.
fn clear(connection: &Connection, bytes: u64) -> Result<usize, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, length(payload) FROM event WHERE seq <= ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![clearable(connection)?, MAX_CLEARED])?;
    let (mut cleared, mut upto) = (0, 0);
    while cleared < bytes
        && let Some(row) = rows.next()?
    {
        upto = row.get(0)?;
        cleared += place(row.get(1)?) + OVERHEAD;
    }
    drop(rows);
    delete(connection, upto)
}

/// Clears away events that came before `limit` and that every consumer has taken, at most
/// [`MAX_CLEARED`]. Gives how many.
pub(super) fn clear_before(connection: &Connection, limit: Timestamp) -> Result<usize, Refusal> {
    // The newest of them that came before the limit: the clock may have been put back, but places
    // have not.
    let upto: Option<i64> = connection
        .prepare_cached(
            "SELECT max(seq) FROM (SELECT seq, received FROM event WHERE seq <= ?1 \
             ORDER BY seq LIMIT ?2) WHERE received < ?3",
        )?
        .query_row(params![clearable(connection)?, MAX_CLEARED, limit], |row| {
            row.get(0)
        })?;
    upto.map_or(Ok(0), |upto| delete(connection, upto))
}

/// Up to which place every consumer that holds events back has taken all.
fn clearable(connection: &Connection) -> Result<i64, Refusal> {
    Ok(taken_by_all(connection)?.map_or(i64::MAX, signed))
}

fn delete(connection: &Connection, upto: i64) -> Result<usize, Refusal> {
    Ok(connection
        .prepare_cached("DELETE FROM event WHERE seq <= ?1")?
        .execute([upto])?)
}
