//! Schedules on the disk.

use std::time::Duration;

use bytes::Bytes;
use outgate_wire::cron::Cron;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use super::{MAX_SCHEDULES, NewSchedule, Schedule, Zone, read_cron};
use crate::clock::Timestamp;
use crate::id::{DeviceId, ScheduleName, SiteId};
use crate::identity::Actor;
use crate::refusal::Refusal;

/// The tables of this part. A schedule without `due` is paused. A device of a firing has `due`
/// until it has got its command; that is noted as ended by whatever ends it.
pub(crate) const SCHEMA: &str = "
CREATE TABLE schedules (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    site TEXT,
    of_site INTEGER NOT NULL,
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,
    command TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL,
    lasts INTEGER NOT NULL,
    missed TEXT NOT NULL,
    spread INTEGER NOT NULL,
    by TEXT NOT NULL,
    created INTEGER NOT NULL,
    paused INTEGER,
    due INTEGER,
    made_good INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX schedules_due ON schedules (due) WHERE due IS NOT NULL;

CREATE TABLE schedule_devices (
    schedule INTEGER NOT NULL REFERENCES schedules (seq) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES devices (id),
    PRIMARY KEY (schedule, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_devices_of ON schedule_devices (device);

CREATE TABLE firings (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    schedule INTEGER NOT NULL REFERENCES schedules (seq) ON DELETE CASCADE,
    due INTEGER NOT NULL,
    at INTEGER NOT NULL,
    how TEXT NOT NULL,
    devices INTEGER NOT NULL,
    UNIQUE (schedule, due)
) STRICT;
CREATE INDEX firings_of ON firings (schedule, seq);

CREATE TABLE fired_devices (
    firing INTEGER NOT NULL REFERENCES firings (seq) ON DELETE CASCADE,
    device TEXT NOT NULL REFERENCES devices (id),
    due INTEGER,
    command TEXT,
    expires INTEGER,
    outcome TEXT,
    ended INTEGER,
    PRIMARY KEY (firing, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX fired_devices_due ON fired_devices (due) WHERE due IS NOT NULL;
CREATE INDEX fired_devices_of ON fired_devices (device);
CREATE UNIQUE INDEX fired_devices_command ON fired_devices (command) WHERE command IS NOT NULL;
CREATE TRIGGER fired_commands_end AFTER UPDATE OF outcome ON commands
WHEN NEW.outcome IS NOT NULL
BEGIN
    UPDATE fired_devices SET outcome = NEW.outcome, ended = NEW.ended WHERE command = NEW.id;
END;
";

const COLUMNS: &str = "s.seq, s.name, s.site, s.cron, s.zone, s.of_site, s.command, \
    s.content_type, s.lasts, s.missed, s.spread, s.by, s.created, s.paused, s.due, \
    (SELECT count(*) FROM schedule_devices WHERE schedule = s.seq)";

/// Those that the reader sees.
const SEEN: &str = "(:only IS NULL OR s.site = :only)";

/// A schedule and its place.
pub(super) struct Found {
    pub(super) seq: i64,
    pub(super) schedule: Schedule,
}

impl Found {
    /// When it comes.
    pub(super) fn timing(&self) -> Result<(Cron, Zone), Refusal> {
        Ok((read_cron(&self.schedule.cron)?, self.schedule.zone.parse()?))
    }
}

pub(super) fn insert(
    connection: &Connection,
    new: &NewSchedule,
    (site, devices): (Option<&SiteId>, &[DeviceId]),
    (by, now, due): (&str, Timestamp, Timestamp),
) -> Result<(), Refusal> {
    let (count, exists): (u64, bool) = connection
        .prepare_cached(
            "SELECT count(*), EXISTS (SELECT 1 FROM schedules WHERE name = ?1) FROM schedules",
        )?
        .query_row([&new.name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if exists {
        let (what, id) = ("schedule", new.name.to_string());
        return Err(Refusal::Exists { what, id });
    }
    if count >= MAX_SCHEDULES {
        let (what, limit) = ("schedules", MAX_SCHEDULES);
        return Err(Refusal::TooMany { what, limit });
    }
    let command = &new.command;
    let properties = serde_json::to_string(&command.properties)
        .map_err(|_| Refusal::Internal("properties cannot be written"))?;
    connection
        .prepare_cached(
            "INSERT INTO schedules (name, site, of_site, cron, zone, command, content_type,
             properties, payload, lasts, missed, spread, by, created, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            new.name,
            site,
            devices.is_empty(),
            new.cron.as_str(),
            new.zone.as_str(),
            command.name,
            command.content_type,
            properties,
            &*command.payload,
            millis(command.lasts),
            new.missed,
            millis(new.spread),
            by,
            now,
            due,
        ])?;
    let seq = connection.last_insert_rowid();
    let mut insert = connection
        .prepare_cached("INSERT INTO schedule_devices (schedule, device) VALUES (?1, ?2)")?;
    for device in devices {
        insert.execute((seq, device))?;
    }
    Ok(())
}

/// The schedule of that name, if `actor` sees it, with its payload.
pub(super) fn find(
    connection: &Connection,
    actor: &Actor,
    name: &ScheduleName,
) -> Result<Found, Refusal> {
    let sql =
        format!("SELECT {COLUMNS}, s.payload FROM schedules AS s WHERE s.name = :name AND {SEEN}");
    let named = named_params! {":name": name, ":only": actor.scope.site()};
    connection
        .prepare_cached(&sql)?
        .query_row(named, |row| {
            let mut found = read(row)?;
            found.schedule.payload = Bytes::copy_from_slice(row.get_ref(16)?.as_blob()?);
            Ok(found)
        })
        .optional()?
        .ok_or_else(|| Refusal::not_found("schedule", name))
}

/// Those after a name, by name.
pub(super) fn after(
    connection: &Connection,
    actor: &Actor,
    after: &str,
    fetch: u32,
) -> Result<Vec<Schedule>, Refusal> {
    let sql = format!(
        "SELECT {COLUMNS} FROM schedules AS s WHERE s.name > :after AND {SEEN}
         ORDER BY s.name LIMIT :fetch"
    );
    let named = named_params! {":after": after, ":only": actor.scope.site(), ":fetch": fetch};
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(named, |row| Ok(read(row)?.schedule))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The devices that a schedule names, after a name.
pub(super) fn named_after(
    connection: &Connection,
    schedule: i64,
    after: &str,
    fetch: u32,
) -> Result<Vec<DeviceId>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT device FROM schedule_devices WHERE schedule = ?1 AND device > ?2
         ORDER BY device LIMIT ?3",
    )?;
    let found = statement.query_map((schedule, after, fetch), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The first schedule whose moment has come.
pub(super) fn first_due(connection: &Connection, now: Timestamp) -> Result<Option<Found>, Refusal> {
    let sql = format!(
        "SELECT {COLUMNS} FROM schedules AS s WHERE s.due <= ?1 ORDER BY s.due, s.seq LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([now], read).optional()?)
}

/// How many missed moments in a row have been made good.
pub(super) fn made_good(connection: &Connection, schedule: i64) -> Result<u64, Refusal> {
    Ok(connection
        .prepare_cached("SELECT made_good FROM schedules WHERE seq = ?1")?
        .query_row([schedule], |row| row.get(0))?)
}

/// Says when a schedule comes next. One that never comes again stays as if it were paused.
pub(super) fn put_on(
    connection: &Connection,
    schedule: i64,
    due: Option<Timestamp>,
    made_good: u64,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE schedules SET due = ?2, made_good = ?3, paused = NULL WHERE seq = ?1",
        )?
        .execute((schedule, due, made_good))?;
    Ok(())
}

pub(super) fn pause(connection: &Connection, schedule: i64, now: Timestamp) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE schedules SET due = NULL, paused = ?2 WHERE seq = ?1")?
        .execute((schedule, now))?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, schedule: i64) -> Result<(), Refusal> {
    for sql in [
        "DELETE FROM fired_devices WHERE firing IN (SELECT seq FROM firings WHERE schedule = ?1)",
        "DELETE FROM firings WHERE schedule = ?1",
        "DELETE FROM schedule_devices WHERE schedule = ?1",
        "DELETE FROM schedules WHERE seq = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([schedule])?;
    }
    Ok(())
}

/// Forgets all of a device that is taken out of the registry: another may come by its name.
pub(crate) fn forget_all(connection: &Connection, device: &DeviceId) -> Result<(), Refusal> {
    for sql in [
        "DELETE FROM schedule_devices WHERE device = ?1",
        "DELETE FROM fired_devices WHERE device = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([device])?;
    }
    Ok(())
}

pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn length(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    let schedule = Schedule {
        name: row.get(1)?,
        site: row.get(2)?,
        cron: row.get(3)?,
        zone: row.get(4)?,
        is_of_site: row.get(5)?,
        command: row.get(6)?,
        content_type: row.get(7)?,
        payload: Bytes::new(),
        lasts: length(row.get(8)?),
        missed: row.get(9)?,
        spread: length(row.get(10)?),
        by: row.get(11)?,
        created: row.get(12)?,
        paused: row.get(13)?,
        next: row.get(14)?,
        devices: row.get(15)?,
    };
    Ok(Found {
        seq: row.get(0)?,
        schedule,
    })
}
