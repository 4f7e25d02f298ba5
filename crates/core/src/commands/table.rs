//! Commands on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::clock::Timestamp;
use crate::commands::{
    Command, CommandState, Course, Followed, MAX_OPEN, MAX_OPEN_BYTES, NewCommand,
};
use crate::id::{CommandId, DeviceId};
use crate::refusal::Refusal;

/// The tables of this part. A command without an end is open.
pub(crate) const SCHEMA: &str = "
CREATE TABLE commands (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL,
    size INTEGER NOT NULL,
    outcome TEXT,
    deliveries INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    ended INTEGER
) STRICT;
CREATE INDEX commands_of_device ON commands (device, seq);
CREATE INDEX commands_open ON commands (device, seq, expires, size) WHERE outcome IS NULL;
CREATE INDEX commands_done ON commands (device, seq) WHERE outcome IS NOT NULL;
CREATE INDEX commands_ending ON commands (expires) WHERE outcome IS NULL;
CREATE INDEX commands_ended ON commands (ended) WHERE outcome IS NOT NULL;
";

/// What came later: commands whose payloads are sealed, so that only their device reads them.
pub(crate) const SEALED_SCHEMA: &str = "
ALTER TABLE commands ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
";

/// For how long a command that has ended can be listed.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The most commands of one device that have ended and can be listed; the oldest go first.
const MAX_ENDED: u32 = 1_000;

/// The most commands that one write tidies up, so that it holds nobody up.
const TIDIED_AT_ONCE: u32 = 100;

/// The most bytes of payloads in one answer, beyond the first command.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

const COLUMNS: &str = "seq, id, device, name, content_type, properties, payload, outcome, \
                       deliveries, created, expires, ended, sealed";

/// Ends what of the whole hub is past its time, and forgets what ended long ago; some at a time.
pub(super) fn tidy(connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE commands SET outcome = 'expired', ended = expires, payload = x'' WHERE seq IN
             (SELECT seq FROM commands WHERE outcome IS NULL AND expires <= ?1
              ORDER BY expires LIMIT ?2)",
        )?
        .execute(params![now, TIDIED_AT_ONCE])?;
    connection
        .prepare_cached(
            "DELETE FROM commands WHERE seq IN
             (SELECT seq FROM commands WHERE outcome IS NOT NULL AND ended <= ?1
              ORDER BY ended LIMIT ?2)",
        )?
        .execute(params![now.before(KEPT), TIDIED_AT_ONCE])?;
    Ok(())
}

/// Ends what of `device` is past its time.
pub(super) fn expire(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE commands SET outcome = 'expired', ended = expires, payload = x''
             WHERE device = ?1 AND outcome IS NULL AND expires <= ?2",
        )?
        .execute(params![device, now])?;
    Ok(())
}

/// Puts a command at the end of the queue of `device`.
pub(super) fn insert(
    connection: &Connection,
    device: &DeviceId,
    id: &CommandId,
    (command, sealed): (&NewCommand, bool),
    now: Timestamp,
) -> Result<Command, Refusal> {
    let size = command.payload.len();
    let (open, bytes): (u64, u64) = connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size), 0) FROM commands
             WHERE device = ?1 AND outcome IS NULL AND expires > ?2",
        )?
        .query_row(params![device, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if open >= MAX_OPEN || bytes + size as u64 > MAX_OPEN_BYTES {
        return Err(Refusal::Limited {
            what: "commands in the device's queue",
            retry_after: Duration::from_secs(60),
        });
    }
    let properties = serde_json::to_string(&command.properties)
        .map_err(|_| Refusal::Internal("properties cannot be written"))?;
    connection
        .prepare_cached(
            "INSERT INTO commands
             (id, device, name, content_type, properties, payload, size, created, expires, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            id,
            device,
            command.name,
            command.content_type,
            properties,
            &*command.payload,
            size,
            now,
            now.after(command.lasts),
            sealed,
        ])?;
    one(connection, device, id)
}

/// How many commands of `device` are open.
pub(crate) fn count_open(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT count(*) FROM commands
             WHERE device = ?1 AND outcome IS NULL AND expires > ?2",
        )?
        .query_row(params![device, now], |row| row.get(0))?)
}

/// Takes back all commands of `device` that are open. Returns how many.
pub(crate) fn cancel_all(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<usize, Refusal> {
    expire(connection, device, now)?;
    Ok(connection
        .prepare_cached(
            "UPDATE commands SET outcome = 'cancelled', ended = ?2, payload = x''
             WHERE device = ?1 AND outcome IS NULL",
        )?
        .execute(params![device, now])?)
}

/// The command of that name.
pub(super) fn one(
    connection: &Connection,
    device: &DeviceId,
    id: &CommandId,
) -> Result<Command, Refusal> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM commands WHERE id = ?1 AND device = ?2"
        ))?
        .query_row(params![id, device], read)
        .optional()?
        .ok_or_else(|| Refusal::not_found("command", id))
}

/// Whether `device` has a command that is open and is one of `commands`.
pub(super) fn any_open(
    connection: &Connection,
    device: &DeviceId,
    commands: &BTreeSet<u64>,
) -> Result<bool, Refusal> {
    let mut open = connection.prepare_cached(
        "SELECT seq FROM commands WHERE device = ?1 AND outcome IS NULL ORDER BY seq",
    )?;
    let mut rows = open.query([device])?;
    while let Some(row) = rows.next()? {
        if commands.contains(&row.get(0)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next open commands of `device` that are not among `held`, counted as delivered once more.
pub(super) fn deliver(
    connection: &Connection,
    device: &DeviceId,
    held: &BTreeSet<u64>,
    limit: u32,
    unseal: impl Fn(&CommandId, &[u8]) -> Result<Bytes, Refusal>,
) -> Result<Vec<Command>, Refusal> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    let mut open = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM commands WHERE device = ?1 AND outcome IS NULL ORDER BY seq"
    ))?;
    let mut rows = open.query([device])?;
    while let Some(row) = rows.next()? {
        if taken.len() >= limit as usize {
            break;
        }
        if held.contains(&row.get(0)?) {
            continue;
        }
        let mut command = read(row)?;
        if row.get(SEALED)? {
            command.payload = unseal(&command.id, row.get_ref(6)?.as_blob().unwrap_or_default())?;
        }
        bytes += command.payload.len();
        if !taken.is_empty() && bytes > MAX_ANSWER_BYTES {
            break;
        }
        command.deliveries = command.deliveries.saturating_add(1);
        taken.push(command);
    }
    drop(rows);
    let mut count =
        connection.prepare_cached("UPDATE commands SET deliveries = ?2 WHERE seq = ?1")?;
    for command in &taken {
        count.execute(params![command.seq, command.deliveries])?;
    }
    Ok(taken)
}

/// The open command of `device` that is to be begun next: one that was begun before, else the first.
pub(super) fn next_open(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Option<CommandId>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT id FROM commands WHERE device = ?1 AND outcome IS NULL
             ORDER BY course IS NULL, seq LIMIT 1",
        )?
        .query_row([device], |row| row.get(0))
        .optional()?)
}

/// The open commands of `device`, those first that were begun, without their payloads.
pub(super) fn open_without_payload(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Followed>, Refusal> {
    let columns = COLUMNS.replace("payload", "x''");
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {columns}, course FROM commands
         WHERE device = ?1 AND outcome IS NULL AND expires > ?2
         ORDER BY course IS NULL, seq LIMIT ?3"
    ))?;
    let mut rows = statement.query(params![device, now, limit])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        open.push(Followed {
            command: read(row)?,
            course: course(row)?,
        });
    }
    Ok(open)
}

/// A command with its payload and its course.
pub(super) fn followed(
    connection: &Connection,
    device: &DeviceId,
    id: &CommandId,
    unseal: impl Fn(&CommandId, &[u8]) -> Result<Bytes, Refusal>,
) -> Result<Followed, Refusal> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, course FROM commands WHERE id = ?1 AND device = ?2"
    ))?;
    let mut rows = statement.query(params![id, device])?;
    let row = rows.next()?;
    let row = row.ok_or_else(|| Refusal::not_found("command", id))?;
    let mut command = read(row)?;
    let has_ended = row.get_ref(7)? != ValueRef::Null;
    if row.get(SEALED)? && !has_ended {
        command.payload = unseal(id, row.get_ref(6)?.as_blob().unwrap_or_default())?;
    }
    Ok(Followed {
        command,
        course: course(row)?,
    })
}

/// Keeps the course of a command.
pub(super) fn keep_course(connection: &Connection, followed: &Followed) -> Result<(), Refusal> {
    let course = serde_json::to_string(&followed.course)
        .map_err(|_| Refusal::Internal("a course cannot be written"))?;
    connection
        .prepare_cached("UPDATE commands SET course = ?2 WHERE seq = ?1")?
        .execute(params![followed.command.seq, course])?;
    Ok(())
}

/// Counts a command as delivered once more.
pub(super) fn count_delivery(
    connection: &Connection,
    command: &mut Command,
) -> Result<(), Refusal> {
    command.deliveries = command.deliveries.saturating_add(1);
    connection
        .prepare_cached("UPDATE commands SET deliveries = ?2 WHERE seq = ?1")?
        .execute(params![command.seq, command.deliveries])?;
    Ok(())
}

/// Ends an open command, and forgets the oldest of its device that have ended if they are many.
pub(super) fn end(
    connection: &Connection,
    command: &Command,
    outcome: CommandState,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE commands SET outcome = ?2, ended = ?3, payload = x'' WHERE seq = ?1",
        )?
        .execute(params![command.seq, word(outcome), now])?;
    connection
        .prepare_cached(
            "DELETE FROM commands WHERE device = ?1 AND outcome IS NOT NULL AND seq <=
             (SELECT seq FROM commands WHERE device = ?1 AND outcome IS NOT NULL
              ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![command.device, MAX_ENDED])?;
    Ok(())
}

/// Whether `device` has open commands.
pub(super) fn has_open(connection: &Connection, device: &DeviceId) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM commands WHERE device = ?1 AND outcome IS NULL LIMIT 1")?
        .exists([device])?)
}

/// When the last of the open commands of `device` expires, if it has any.
pub(crate) fn last_expiry(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT max(expires) FROM commands
             WHERE device = ?1 AND outcome IS NULL AND expires > ?2",
        )?
        .query_row(params![device, now], |row| row.get(0))?)
}

/// Commands of `device` before `before`, newest first; and whether there are more.
pub(super) fn before(
    connection: &Connection,
    device: &DeviceId,
    before: u64,
    limit: u32,
) -> Result<(Vec<Command>, bool), Refusal> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM commands WHERE device = ?1 AND seq < ?2 ORDER BY seq DESC"
    ))?;
    let mut rows = statement.query(params![device, before])?;
    let mut listed: Vec<Command> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if listed.len() >= limit as usize {
            return Ok((listed, true));
        }
        let command = read(row)?;
        bytes += command.payload.len();
        if !listed.is_empty() && bytes > MAX_ANSWER_BYTES {
            return Ok((listed, true));
        }
        listed.push(command);
    }
    Ok((listed, false))
}

/// The place of `sealed` among [`COLUMNS`].
const SEALED: usize = 12;

/// The place of the course behind [`COLUMNS`].
const COURSE: usize = 13;

/// How far the device is, as a row has it.
fn course(row: &Row<'_>) -> Result<Course, Refusal> {
    let text: Option<String> = row.get(COURSE)?;
    match text {
        None => Ok(Course::default()),
        Some(text) => {
            serde_json::from_str(&text).map_err(|_| Refusal::Internal("a course cannot be read"))
        }
    }
}

/// A row as a command that nobody has taken. What is sealed is left out.
fn read(row: &Row<'_>) -> rusqlite::Result<Command> {
    let properties: BTreeMap<String, String> = match row.get_ref(5)? {
        ValueRef::Text(text) => serde_json::from_slice(text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                5,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })?,
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => {
            BTreeMap::new()
        }
    };
    Ok(Command {
        seq: row.get(0)?,
        id: row.get(1)?,
        device: row.get(2)?,
        name: row.get(3)?,
        content_type: row.get(4)?,
        properties,
        payload: match row.get(SEALED)? {
            true => Bytes::new(),
            false => Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        },
        state: state(row.get_ref(7)?.as_str_or_null()?),
        deliveries: row.get(8)?,
        created: row.get(9)?,
        expires: row.get(10)?,
        ended: row.get(11)?,
    })
}

/// How an outcome is written.
fn word(outcome: CommandState) -> Option<&'static str> {
    match outcome {
        CommandState::Queued | CommandState::Delivered => None,
        CommandState::Completed => Some("completed"),
        CommandState::Rejected => Some("rejected"),
        CommandState::Expired => Some("expired"),
        CommandState::Cancelled => Some("cancelled"),
    }
}

/// What a written outcome says.
fn state(outcome: Option<&str>) -> CommandState {
    match outcome {
        None => CommandState::Queued,
        Some("completed") => CommandState::Completed,
        Some("rejected") => CommandState::Rejected,
        Some("cancelled") => CommandState::Cancelled,
        Some(_) => CommandState::Expired,
    }
}
