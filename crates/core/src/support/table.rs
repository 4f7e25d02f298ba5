//! Support sessions in the store.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::record::{Joined, Recorded, State, SupportSession, What};
use crate::clock::Timestamp;
use crate::id::{DeviceId, SupportId};
use crate::identity::{Actor, Page, Scope, device_seen_by};
use crate::refusal::Refusal;

/// The table of this part. What the device said of its way there is JSON.
pub(crate) const SCHEMA: &str = "
CREATE TABLE support (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    operator TEXT NOT NULL,
    reason TEXT NOT NULL,
    what TEXT NOT NULL,
    asked INTEGER NOT NULL,
    until INTEGER NOT NULL,
    state TEXT NOT NULL,
    since INTEGER NOT NULL,
    port INTEGER,
    tried TEXT,
    allowed_by TEXT,
    ended_by TEXT,
    why TEXT,
    bytes INTEGER,
    digest TEXT
) STRICT;
CREATE INDEX support_of_device ON support (device, seq);
CREATE INDEX support_not_over ON support (state) WHERE state IN ('asked', 'open');
CREATE INDEX support_by_age ON support (asked);
";

const COLUMNS: &str = "support.id, support.device, operator, reason, what, asked, until, \
    support.state, support.since, port, tried, allowed_by, ended_by, why, bytes, digest";

/// The most sessions that are cleared away at once.
const CLEARED: u32 = 1_000;

pub(super) fn insert(connection: &Connection, session: &SupportSession) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO support (id, device, operator, reason, what, asked, until, state, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            session.id,
            session.device,
            session.operator,
            session.reason,
            session.what.told(),
            session.asked,
            session.until,
            session.state,
            session.since
        ])?;
    Ok(())
}

/// The device has come.
pub(super) fn opened(
    connection: &Connection,
    id: &SupportId,
    now: Timestamp,
    joined: &Joined,
) -> Result<(), Refusal> {
    let tried = serde_json::to_string(&joined.tried).unwrap_or_default();
    connection
        .prepare_cached(
            "UPDATE support SET state = 'open', since = ?2, port = ?3, tried = ?4, allowed_by = ?5
             WHERE id = ?1 AND state = 'asked'",
        )?
        .execute(params![id, now, joined.port, tried, joined.by])?;
    Ok(())
}

/// It is over, in one state or the other.
pub(super) fn over(
    connection: &Connection,
    id: &SupportId,
    (state, now): (State, Timestamp),
    (by, why): (&str, &str),
    recorded: Option<&Recorded>,
) -> Result<(), Refusal> {
    let bytes = recorded.map(|recorded| i64::try_from(recorded.bytes).unwrap_or(i64::MAX));
    let digest = recorded.map(|recorded| recorded.digest.as_str());
    connection
        .prepare_cached(
            "UPDATE support SET state = ?2, since = ?3, ended_by = ?4, why = ?5, bytes = ?6,
             digest = ?7 WHERE id = ?1",
        )?
        .execute(params![id, state, now, by, why, bytes, digest])?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    id: &SupportId,
) -> Result<Option<SupportSession>, Refusal> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM support WHERE id = ?1"))?
        .query_row([id], read)
        .optional()?)
}

/// A session with a device that the actor sees.
pub(super) fn seen_by(
    connection: &Connection,
    actor: &Actor,
    id: &SupportId,
) -> Result<SupportSession, Refusal> {
    let unknown = || Refusal::not_found("support session", id);
    let session = find(connection, id)?.ok_or_else(unknown)?;
    match device_seen_by(connection, actor, &session.device) {
        Ok(_) => Ok(session),
        Err(Refusal::NotFound { .. }) => Err(unknown()),
        Err(refusal) => Err(refusal),
    }
}

/// Newest first: `page.after` is the name of the oldest seen so far.
pub(super) fn list(
    connection: &Connection,
    scope: &Scope,
    device: Option<&DeviceId>,
    page: &Page,
    fetch: u32,
) -> Result<Vec<SupportSession>, Refusal> {
    let listed = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM support JOIN devices ON devices.id = support.device
             WHERE (?1 IS NULL OR devices.site = ?1) AND (?2 IS NULL OR support.device = ?2)
             AND devices.removed IS NULL
             AND (?3 IS NULL OR seq < (SELECT seq FROM support WHERE id = ?3))
             ORDER BY seq DESC LIMIT ?4"
        ))?
        .query_map(params![scope.site(), device, page.after, fetch], read)?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(listed)
}

/// Where a list goes on after a session.
pub(super) fn place(session: &SupportSession) -> String {
    session.id.to_string()
}

/// Those that are not over.
pub(super) fn left(connection: &Connection) -> Result<Vec<SupportSession>, Refusal> {
    Ok(connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM support WHERE state IN ('asked', 'open')"
        ))?
        .query_map([], read)?
        .collect::<Result<_, _>>()?)
}

/// Forgets what is over and was asked before that time; gives what it was.
pub(super) fn clear(connection: &Connection, before: Timestamp) -> Result<Vec<SupportId>, Refusal> {
    Ok(connection
        .prepare_cached(
            "DELETE FROM support WHERE seq IN (SELECT seq FROM support
                 WHERE asked < ?1 AND state NOT IN ('asked', 'open') LIMIT ?2)
             RETURNING id",
        )?
        .query_map(params![before, CLEARED], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SupportSession> {
    let what: String = row.get(4)?;
    let tried: Option<String> = row.get(10)?;
    let tried = tried.map(|tried| serde_json::from_str(&tried).unwrap_or_default());
    let port: Option<u16> = row.get(9)?;
    let joined = port.zip(tried).zip(row.get::<_, Option<String>>(11)?);
    let bytes: Option<i64> = row.get(14)?;
    let recorded = bytes.zip(row.get::<_, Option<String>>(15)?);
    Ok(SupportSession {
        id: row.get(0)?,
        device: row.get(1)?,
        operator: row.get(2)?,
        reason: row.get(3)?,
        what: What::read(&what).ok_or(rusqlite::Error::InvalidQuery)?,
        asked: row.get(5)?,
        until: row.get(6)?,
        state: row.get(7)?,
        since: row.get(8)?,
        joined: joined.map(|((port, tried), by)| Joined { port, tried, by }),
        by: row.get(12)?,
        why: row.get(13)?,
        recorded: recorded.map(|(bytes, digest)| Recorded {
            bytes: u64::try_from(bytes).unwrap_or(0),
            digest,
        }),
    })
}
