//! The tables, and what is done with their rows.
//!
//! Each priority has a table of its own, which is written at its end and cleared from its
//! beginning: so a commit touches few pages, and what is cleared leaves whole pages free. The
//! tables are named as the priorities are.

use bytes::Bytes;
use outgate_store::{Schema, used};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::entry::{Entry, EntryId, Kind, Position, Priority, Waiting};
use super::error::QueueError;
use super::moment::Moment;
use super::tally::{Dropped, Level, Tally};
use super::times::{self, Told};
use super::{MAX_BATCH_BYTES, Upto};

/// What is in the file: "OutQ".
pub(super) const SCHEMA: Schema = Schema {
    holder: "agent",
    application: 0x4f75_7451,
    versions: &[
        &["
CREATE TABLE queue (
    id BLOB NOT NULL,
    -- How many dropped entries the hub was told of.
    reported INTEGER NOT NULL
) STRICT;
INSERT INTO queue (id, reported) VALUES (randomblob(16), 0);

-- Runs of the machine; `began` is when, in milliseconds since 1970, once somebody knows.
CREATE TABLE boot (
    boot INTEGER PRIMARY KEY,
    run BLOB NOT NULL UNIQUE,
    began INTEGER
) STRICT;

CREATE TABLE level (
    priority INTEGER PRIMARY KEY,
    newest INTEGER NOT NULL DEFAULT 0,
    entries INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0,
    room INTEGER NOT NULL DEFAULT 0,
    age INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO level (priority) VALUES (0), (1), (2);

-- `up` is how long the machine had been running, `said` when it was, in milliseconds.
CREATE TABLE background (
    number INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    up INTEGER NOT NULL,
    said INTEGER,
    bytes INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE ordinary (
    number INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    up INTEGER NOT NULL,
    said INTEGER,
    bytes INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE TABLE important (
    number INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL,
    up INTEGER NOT NULL,
    said INTEGER,
    bytes INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
"],
        &["
-- What is rare in its table, so that nobody looks through everything else for it.
CREATE INDEX background_rare ON background (number) WHERE kind = 0;
CREATE INDEX ordinary_rare ON ordinary (number) WHERE kind = 1;
CREATE INDEX important_rare ON important (number) WHERE kind = 1;

-- What has become of commands, for the hub that asks again; the highest number is the last.
CREATE TABLE settled (
    number INTEGER PRIMARY KEY,
    command TEXT NOT NULL UNIQUE,
    how INTEGER NOT NULL
) STRICT;
"],
    ],
};

/// Which entries were not given out to be sent: those of either kind after a number of its own.
const NOT_GIVEN: &str = "number > CASE kind WHEN 0 THEN ?1 ELSE ?2 END";

/// The most entries that are looked at to find what is to be dropped.
const LOOKED_AT: u32 = 1_000;

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The hub has it.
    Settled,
    /// There is no room for it.
    Crowded,
    /// It is older than it may be.
    Aged,
    /// The hub will never take it.
    Refused,
}

impl Fate {
    /// The column in which it is counted.
    fn column(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Crowded => "room",
            Self::Aged => "age",
            Self::Refused => "refused",
        }
    }
}

/// What the queue is called.
pub(super) fn id(connection: &Connection) -> Result<[u8; 16], QueueError> {
    let id = connection.query_row("SELECT id FROM queue", [], |row| row.get(0))?;
    Ok(id)
}

/// What waits, and what became of what does not.
pub(super) fn tally(connection: &Connection, limit_bytes: u64) -> Result<Tally, QueueError> {
    let mut statement = connection.prepare_cached(
        "SELECT entries, bytes, newest, settled, room, age, refused FROM level ORDER BY priority",
    )?;
    let mut rows = statement.query([])?;
    let mut levels = Priority::ALL.map(Level::empty);
    for level in &mut levels {
        let Some(row) = rows.next()? else { break };
        level.entries = row.get(0)?;
        level.bytes = row.get(1)?;
        level.newest = row.get(2)?;
        level.settled = row.get(3)?;
        level.dropped = Dropped {
            room: row.get(4)?,
            age: row.get(5)?,
            refused: row.get(6)?,
        };
    }
    Ok(Tally {
        levels,
        bytes: used(connection)?.held,
        limit_bytes,
    })
}

/// Writes an entry that was said `now`, in the run of the machine with the number `boot`.
pub(super) fn insert(
    connection: &Connection,
    entry: &Entry,
    boot: i64,
    now: &Moment,
) -> Result<Position, QueueError> {
    let priority = entry.priority;
    let bytes = entry.bytes();
    let number: u64 = connection
        .prepare_cached(
            "UPDATE level SET newest = newest + 1, entries = entries + 1, bytes = bytes + ?2
             WHERE priority = ?1 RETURNING newest",
        )?
        .query_row(params![number_of(priority), bytes], |row| row.get(0))?;
    let properties = serde_json::to_string(&entry.properties)
        .map_err(|_| outgate_store::Error::Internal("named texts are no JSON"))?;
    let statement = format!(
        "INSERT INTO {} (number, boot, up, said, bytes, kind, name, content_type, properties,
         payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        priority.name()
    );
    connection.prepare_cached(&statement)?.execute(params![
        number,
        boot,
        times::up(now),
        now.wall.map(times::millis),
        bytes,
        number_of_kind(entry.kind),
        entry.name,
        entry.content_type,
        properties,
        &entry.payload[..],
    ])?;
    Ok(Position { priority, number })
}

/// The first entries, what matters most first: at most `most` of at most [`MAX_BATCH_BYTES`], but
/// one at least.
pub(super) fn batch(
    connection: &Connection,
    queue: [u8; 16],
    kinds: &[Kind],
    most: usize,
) -> Result<Vec<Waiting>, QueueError> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for priority in Priority::ALL.into_iter().rev() {
        let statement = format!(
            "SELECT number, kind, name, content_type, properties, payload, {}
             FROM {} ORDER BY number LIMIT ?1",
            Told::COLUMNS,
            of_kinds(priority, kinds),
        );
        let mut statement = connection.prepare_cached(&statement)?;
        let mut rows = statement.query([most - batch.len()])?;
        while let Some(row) = rows.next()? {
            let waiting = waiting(row, queue, priority)?;
            bytes += waiting.entry.bytes();
            if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                return Ok(batch);
            }
            batch.push(waiting);
        }
    }
    Ok(batch)
}

/// The entries of these kinds with the runs in which they were said, as they stand after `FROM`.
fn of_kinds(priority: Priority, kinds: &[Kind]) -> String {
    let table = priority.name();
    let join = "JOIN boot USING (boot)";
    let [kind] = kinds else {
        return format!("{table} {join}");
    };
    // The index is of no use where nearly all are of that kind.
    let indexed = match (priority, kind) {
        (Priority::Background, Kind::Event)
        | (Priority::Ordinary | Priority::Important, Kind::Log) => {
            format!("INDEXED BY {table}_rare")
        }
        (Priority::Background, Kind::Log)
        | (Priority::Ordinary | Priority::Important, Kind::Event) => String::new(),
    };
    let kind = number_of_kind(*kind);
    format!("{table} {indexed} {join} WHERE kind = {kind}")
}

fn waiting(row: &Row<'_>, queue: [u8; 16], priority: Priority) -> rusqlite::Result<Waiting> {
    let number = row.get(0)?;
    let properties: String = row.get(4)?;
    let properties = serde_json::from_str(&properties)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
    Ok(Waiting {
        id: EntryId {
            queue,
            position: Position { priority, number },
        },
        said: Told::of(row, 6)?.said(),
        entry: Entry {
            kind: match row.get(1)? {
                0 => Kind::Event,
                1 => Kind::Log,
                other => return Err(rusqlite::Error::IntegralValueOutOfRange(1, other)),
            },
            priority,
            name: row.get(2)?,
            content_type: row.get(3)?,
            properties,
            payload: Bytes::from(row.get::<_, Vec<u8>>(5)?),
        },
    })
}

/// Removes an entry, if it is there.
pub(super) fn remove(
    connection: &Connection,
    position: Position,
    fate: Fate,
) -> Result<(), QueueError> {
    let Position { priority, number } = position;
    let statement = format!(
        "DELETE FROM {} WHERE number = ?1 RETURNING bytes",
        priority.name()
    );
    let bytes: Option<u64> = connection
        .prepare_cached(&statement)?
        .query_row([number], |row| row.get(0))
        .optional()?;
    match bytes {
        Some(bytes) => count(connection, priority, (1, bytes), fate),
        None => Ok(()),
    }
}

/// Removes the entries of a priority up to a number but for those that were given out.
pub(super) fn remove_upto(
    connection: &Connection,
    priority: Priority,
    (given, last): (Upto, u64),
    fate: Fate,
) -> Result<(), QueueError> {
    let table = priority.name();
    let which = format!("WHERE {NOT_GIVEN} AND number <= ?3");
    let statement = format!("SELECT count(*), COALESCE(sum(bytes), 0) FROM {table} {which}");
    let gone = connection
        .prepare_cached(&statement)?
        .query_row([given.events, given.logs, last], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    connection
        .prepare_cached(&format!("DELETE FROM {table} {which}"))?
        .execute([given.events, given.logs, last])?;
    count(connection, priority, gone, fate)
}

/// Counts entries that are gone, by number and bytes.
fn count(
    connection: &Connection,
    priority: Priority,
    (entries, bytes): (u64, u64),
    fate: Fate,
) -> Result<(), QueueError> {
    let column = fate.column();
    let statement = format!(
        "UPDATE level SET entries = entries - ?2, bytes = bytes - ?3, {column} = {column} + ?2
         WHERE priority = ?1"
    );
    connection
        .prepare_cached(&statement)?
        .execute(params![number_of(priority), entries, bytes])?;
    Ok(())
}

/// The last of the oldest entries that are not given out of which `goes`, asked with the bytes of
/// each, says yes.
pub(super) fn oldest(
    connection: &Connection,
    priority: Priority,
    given: Upto,
    mut goes: impl FnMut(u64) -> bool,
) -> Result<Option<u64>, QueueError> {
    let statement = format!(
        "SELECT number, bytes FROM {} WHERE {NOT_GIVEN} ORDER BY number LIMIT {LOOKED_AT}",
        priority.name()
    );
    let mut statement = connection.prepare_cached(&statement)?;
    let mut rows = statement.query([given.events, given.logs])?;
    let mut last = None;
    while let Some(row) = rows.next()?
        && goes(row.get(1)?)
    {
        last = Some(row.get(0)?);
    }
    Ok(last)
}

/// The last of the oldest entries that are not given out of which `is_old` says yes, and whether
/// there may be more.
pub(super) fn oldest_by_age(
    connection: &Connection,
    priority: Priority,
    given: Upto,
    is_old: impl Fn(&Told) -> bool,
) -> Result<(Option<u64>, bool), QueueError> {
    let statement = format!(
        "SELECT number, {} FROM {} JOIN boot USING (boot) WHERE {NOT_GIVEN} ORDER BY number
         LIMIT {LOOKED_AT}",
        Told::COLUMNS,
        priority.name()
    );
    let mut statement = connection.prepare_cached(&statement)?;
    let mut rows = statement.query([given.events, given.logs])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        if !is_old(&Told::of(row, 1)?) {
            return Ok((last, false));
        }
        last = Some(row.get(0)?);
    }
    Ok((last, last.is_some()))
}

/// What a priority is called in `level`.
fn number_of(priority: Priority) -> u8 {
    match priority {
        Priority::Background => 0,
        Priority::Ordinary => 1,
        Priority::Important => 2,
    }
}

/// What a kind is called in the tables of entries.
fn number_of_kind(kind: Kind) -> u8 {
    match kind {
        Kind::Event => 0,
        Kind::Log => 1,
    }
}
