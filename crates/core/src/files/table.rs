//! Files and grants on the disk.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::grants::Held;
use super::{FileName, Grant};
use crate::clock::Timestamp;
use crate::id::{DeviceId, GrantId};
use crate::identity::{DeviceState, Principal};
use crate::refusal::Refusal;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE file_grants (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL REFERENCES devices (id),
    name TEXT NOT NULL,
    verb TEXT NOT NULL,
    by TEXT NOT NULL,
    created INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    used INTEGER,
    revoked INTEGER
) STRICT;
CREATE INDEX file_grants_of_device ON file_grants (device, seq);
CREATE INDEX file_grants_in_use ON file_grants (device, ends) WHERE revoked IS NULL;
CREATE INDEX file_grants_by_end ON file_grants (min(ends, coalesce(revoked, ends)));
";

const GRANT: &str = "g.seq, g.id, g.device, g.name, g.verb, g.by, g.created, g.ends, g.used, \
                     g.revoked";

pub(super) fn insert_grant(connection: &Connection, grant: &Grant) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO file_grants (id, device, name, verb, by, created, ends)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            grant.id,
            grant.device,
            grant.name,
            grant.verb,
            grant.by,
            grant.created,
            grant.ends,
        ])?;
    Ok(())
}

/// How many grants of `device` hold.
pub(super) fn count_grants(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FROM file_grants
             WHERE device = ?1 AND ends > ?2 AND revoked IS NULL",
        )?
        .query_row(params![device, now], |row| row.get(0))?)
}

/// The grant of `device` of that name.
pub(super) fn grant(
    connection: &Connection,
    device: &DeviceId,
    id: &GrantId,
) -> Result<Grant, Refusal> {
    let sql = format!("SELECT {GRANT} FROM file_grants AS g WHERE g.id = ?1 AND g.device = ?2");
    let found = connection
        .prepare_cached(&sql)?
        .query_row((id, device), read_grant)
        .optional()?;
    let (_, grant) = found.ok_or_else(|| Refusal::not_found("grant", id))?;
    Ok(grant)
}

/// The grant of that name with who it makes its holder.
pub(super) fn held(connection: &Connection, id: &GrantId) -> Result<Option<Held>, Refusal> {
    let sql = format!(
        "SELECT {GRANT}, d.site, d.policy, d.state, s.revoked, w.state FROM file_grants AS g
         JOIN devices AS d ON d.id = g.device JOIN sites AS s ON s.id = d.site
         LEFT JOIN devices AS w ON w.id = substr(d.id, 1, instr(d.id, '~') - 1) WHERE g.id = ?1"
    );
    let read = |row: &Row<'_>| {
        let (_, grant) = read_grant(row)?;
        // Of the device, and of what it is a part of.
        let states: [Option<DeviceState>; 2] = [row.get(12)?, row.get(14)?];
        let is_out = states.contains(&Some(DeviceState::Revoked));
        Ok(Held {
            principal: Principal::Device {
                device: grant.device.clone(),
                site: row.get(10)?,
                policy: row.get(11)?,
            },
            revoked: is_out || row.get::<_, Option<Timestamp>>(13)?.is_some(),
            grant,
        })
    };
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([id], read)
        .optional()?)
}

/// Revokes a grant. Whether it was not before.
pub(super) fn revoke(
    connection: &Connection,
    id: &GrantId,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let changed = connection
        .prepare_cached("UPDATE file_grants SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL")?
        .execute(params![id, now])?;
    Ok(changed == 1)
}

/// How many grants hold that were given to the device of `grant` by who gave that.
pub(super) fn count_own(
    connection: &Connection,
    grant: &Grant,
    now: Timestamp,
) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FROM file_grants
             WHERE device = ?1 AND ends > ?2 AND revoked IS NULL AND by = ?3",
        )?
        .query_row(params![grant.device, now, grant.by], |row| row.get(0))?)
}

/// Forgets grants that were given to the device of `grant` by who gave that and that have ended,
/// all but the newest.
pub(super) fn forget_own(
    connection: &Connection,
    grant: &Grant,
    now: Timestamp,
    keep: u32,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "DELETE FROM file_grants WHERE seq IN (SELECT seq FROM file_grants
             WHERE device = ?1 AND (ends <= ?2 OR revoked IS NOT NULL) AND by = ?3
             ORDER BY seq DESC LIMIT -1 OFFSET ?4)",
        )?
        .execute(params![grant.device, now, grant.by, keep])?;
    Ok(())
}

/// Revokes all grants of `device`: what it had leads nowhere any more.
pub(crate) fn revoke_all(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE file_grants SET revoked = ?2 WHERE device = ?1 AND revoked IS NULL",
        )?
        .execute(params![device, now])?;
    Ok(())
}

/// Notes that a grant is used. Whether it was for the first time.
pub(super) fn note_use(
    connection: &Connection,
    id: &GrantId,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let changed = connection
        .prepare_cached("UPDATE file_grants SET used = ?2 WHERE id = ?1 AND used IS NULL")?
        .execute(params![id, now])?;
    Ok(changed == 1)
}

/// Forgets some grants that ended or were revoked before `ended`. Gives how many.
pub(super) fn forget_grants(
    connection: &Connection,
    ended: Timestamp,
    limit: u32,
) -> Result<usize, Refusal> {
    Ok(connection
        .prepare_cached(
            "DELETE FROM file_grants WHERE seq IN (SELECT seq FROM file_grants
             WHERE min(ends, coalesce(revoked, ends)) <= ?1 LIMIT ?2)",
        )?
        .execute(params![ended, limit])?)
}

/// What `after` says: before which place to list, newest first.
pub(super) fn place_of(after: Option<&str>) -> Result<i64, Refusal> {
    let Some(text) = after else {
        return Ok(i64::MAX);
    };
    text.parse()
        .map_err(|_| Refusal::invalid("after", "what `next` was"))
}

/// Grants of `device` before a place, the newest first, with their places.
pub(super) fn grants(
    connection: &Connection,
    device: &DeviceId,
    before: i64,
    fetch: u32,
) -> Result<Vec<(i64, Grant)>, Refusal> {
    let sql = format!(
        "SELECT {GRANT} FROM file_grants AS g WHERE g.device = ?1 AND g.seq < ?2
         ORDER BY g.seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let grants = statement.query_map(params![device, before, fetch], read_grant)?;
    Ok(grants.collect::<Result<_, _>>()?)
}

fn read_grant(row: &Row<'_>) -> rusqlite::Result<(i64, Grant)> {
    let grant = Grant {
        id: row.get(1)?,
        device: row.get(2)?,
        name: row.get::<_, FileName>(3)?,
        verb: row.get(4)?,
        by: row.get(5)?,
        created: row.get(6)?,
        ends: row.get(7)?,
        used: row.get(8)?,
        revoked: row.get(9)?,
    };
    Ok((row.get(0)?, grant))
}
