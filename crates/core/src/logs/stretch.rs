//! Stretches of records: what is written, and what is cleared away.

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{NewLog, NewLogs};
use crate::clock::Timestamp;
use crate::events::row::place;
use crate::id::{DeviceId, SiteId};
use crate::refusal::Refusal;
use crate::store::used;

/// The most records of a stretch, but for those that came at once with its last.
pub(super) const MAX_RECORDS: i64 = 10_000;

/// The most bytes of a stretch, but for those that came at once with its last: clearing one away
/// holds up who waits for the disk for as long as deleting so much takes.
pub(super) const MAX_BYTES: i64 = 16 << 20;

/// What a record takes beside its bytes, about.
const OVERHEAD: usize = 128;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// Keeps records of a device; gives the place of the last, or the newest when there are none.
pub(super) fn append(
    connection: &Connection,
    (device, site): (&DeviceId, &SiteId),
    now: Timestamp,
    logs: &NewLogs,
) -> Result<u64, Refusal> {
    if logs.records.is_empty() {
        return super::search::newest(connection);
    }
    let stretch = current(connection, now)?;
    let contexts = logs.contexts.iter();
    let contexts: Result<Vec<i64>, Refusal> = contexts
        .map(|bytes| context(connection, stretch, bytes))
        .collect();
    let contexts = contexts?;
    let of = |at: usize| {
        let id = contexts.get(at).copied();
        id.ok_or(Refusal::Internal("a log record of no context"))
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO log (device, site, received, severity, resource, scope, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut last = 0;
    for NewLog {
        resource,
        scope,
        severity,
        record,
    } in &logs.records
    {
        last = insert.insert(params![
            device,
            site,
            now,
            severity,
            of(*resource)?,
            of(*scope)?,
            record.as_ref(),
        ])?;
    }
    let count = logs.records.len();
    let bytes = logs.bytes().saturating_add(count.saturating_mul(OVERHEAD));
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "UPDATE stretch SET records = records + ?2, bytes = bytes + ?3,
             earliest = min(earliest, ?4), latest = max(latest, ?4) WHERE first = ?1",
        )?
        .execute(params![stretch, count, bytes, now])?;
    connection
        .prepare_cached(
            "INSERT INTO tally (stretch, device, records, bytes, latest) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET records = records + excluded.records,
             bytes = bytes + excluded.bytes, latest = max(latest, excluded.latest)",
        )?
        .execute(params![stretch, device, count, bytes, now])?;
    Ok(place(last))
}

/// The stretch that records of this moment belong to, begun if it must be.
fn current(connection: &Connection, now: Timestamp) -> Result<i64, Refusal> {
    let day = now.as_millis().div_euclid(DAY);
    let newest = connection
        .prepare_cached(
            "SELECT first, day, records, bytes FROM stretch ORDER BY first DESC LIMIT 1",
        )?
        .query_row([], |row| {
            let fits = row.get::<_, i64>(1)? == day
                && row.get::<_, i64>(2)? < MAX_RECORDS
                && row.get::<_, i64>(3)? < MAX_BYTES;
            Ok(fits.then_some(row.get::<_, i64>(0)?))
        })
        .optional()?;
    if let Some(stretch) = newest.flatten() {
        return Ok(stretch);
    }
    let first = crate::events::row::signed(super::search::newest(connection)? + 1);
    connection
        .prepare_cached(
            "INSERT INTO stretch (first, day, earliest, latest, records, bytes)
             VALUES (?1, ?2, ?3, ?3, 0, 0)",
        )?
        .execute(params![first, day, now])?;
    Ok(first)
}

/// What records of a stretch share, kept once.
fn context(connection: &Connection, stretch: i64, bytes: &[u8]) -> Result<i64, Refusal> {
    let hash = digest(&SHA256, bytes);
    let known = connection
        .prepare_cached("SELECT id FROM context WHERE stretch = ?1 AND digest = ?2")?
        .query_row(params![stretch, hash.as_ref()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    Ok(connection
        .prepare_cached("INSERT INTO context (stretch, digest, bytes) VALUES (?1, ?2, ?3)")?
        .insert(params![stretch, hash.as_ref(), bytes])?)
}

/// Clears away the oldest stretch while the file holds more than `most` bytes. What comes in one
/// write is less than a stretch, so the file gets no larger.
pub(super) fn make_room(connection: &Connection, most: u64) -> Result<(), Refusal> {
    if used(connection)?.held > most {
        clear_oldest(connection, Timestamp::from_millis(i64::MAX))?;
    }
    Ok(())
}

/// Clears away the oldest stretch if nothing of it came at `limit` or later. Gives how many
/// records it had.
pub(super) fn clear_before(connection: &Connection, limit: Timestamp) -> Result<u64, Refusal> {
    clear_oldest(connection, limit)
}

fn clear_oldest(connection: &Connection, limit: Timestamp) -> Result<u64, Refusal> {
    let oldest = connection
        .prepare_cached("SELECT first, latest, records FROM stretch ORDER BY first LIMIT 1")?
        .query_row([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Timestamp>(1)?,
                row.get(2)?,
            ))
        })
        .optional()?;
    let Some((first, latest, records)) = oldest else {
        return Ok(0);
    };
    if latest >= limit {
        return Ok(0);
    }
    connection
        .prepare_cached("DELETE FROM stretch WHERE first = ?1")?
        .execute([first])?;
    for shared in ["context", "tally"] {
        connection
            .prepare_cached(&format!("DELETE FROM {shared} WHERE stretch = ?1"))?
            .execute([first])?;
    }
    // Up to the next one, or all.
    connection
        .prepare_cached(
            "DELETE FROM log WHERE seq < coalesce((SELECT min(first) FROM stretch), ?1)",
        )?
        .execute([i64::MAX])?;
    Ok(place(records))
}
