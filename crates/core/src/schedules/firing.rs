//! What is due: moments to claim, and devices to whom commands are sent.

use std::collections::HashMap;
use std::time::Duration;

use outgate_wire::cron::Cron;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::table::{self, Found, length};
use super::{
    How, LATE, MAX_DEVICES, MAX_FIRED, MAX_FIRINGS, MAX_MADE_GOOD, Missed, Schedules, Zone, next,
};
use crate::clock::Timestamp;
use crate::commands::{LASTS, NewCommand};
use crate::happening::Happening;
use crate::id::{CommandId, DeviceId, FiringId};
use crate::identity::{Actor, DeviceState, device_seen_by};
use crate::refusal::Refusal;

/// The most devices that get their commands in one write, so that it holds nobody up.
const SENT_AT_ONCE: usize = 100;

/// The most bytes of payloads in one write, beyond the first command.
const BYTES_AT_ONCE: usize = 2 * 1024 * 1024;

/// The most writes before whoever asked hears that there is more.
const MAX_STEPS: usize = 64;

/// A device of a firing that is to get its command.
struct Waiting {
    firing: i64,
    schedule: i64,
    device: DeviceId,
    due: Timestamp,
}

impl Schedules {
    /// Does what is due: claims moments that have come, and sends their commands. Gives how long
    /// it is until something is due again; nothing when only a change of the schedules brings
    /// something.
    ///
    /// # Errors
    /// As the store. What was not done is still due.
    pub async fn fire(&self) -> Result<Option<Duration>, Refusal> {
        for _ in 0..MAX_STEPS {
            let now = self.clock.now();
            if self.send_due(now).await? || self.claim_due(now).await? {
                continue;
            }
            let next = self.store.read(next_due).await?;
            return Ok(next.map(|next| next.since(now)));
        }
        Ok(Some(Duration::ZERO))
    }

    /// Sends commands to some of the devices whose turn it is. Whether there were any.
    async fn send_due(&self, now: Timestamp) -> Result<bool, Refusal> {
        let any = move |connection: &Connection| Ok(!waiting(connection, now, 1)?.is_empty());
        if !self.store.read(any).await? {
            return Ok(false);
        }
        let schedules = self.clone();
        let sent = move |connection: &Connection| {
            let (mut bytes, mut told) = (0, Vec::new());
            let mut commands: HashMap<i64, NewCommand> = HashMap::new();
            for one in waiting(connection, now, SENT_AT_ONCE)? {
                let command = match commands.get(&one.schedule) {
                    Some(command) => command.clone(),
                    None => command_of(connection, one.schedule)?,
                };
                commands.insert(one.schedule, command.clone());
                bytes += command.payload.len();
                told.extend(schedules.send(connection, &one, command, now)?);
                if bytes > BYTES_AT_ONCE {
                    break;
                }
            }
            Ok(told)
        };
        let told = self.store.write_bulk(BYTES_AT_ONCE, sent).await?;
        let count = told.len();
        drop(told);
        self.commands.tell_sent(count);
        Ok(true)
    }

    /// Sends a device its command, and notes it.
    fn send(
        &self,
        connection: &Connection,
        to: &Waiting,
        mut command: NewCommand,
        now: Timestamp,
    ) -> Result<Option<impl Send + use<>>, Refusal> {
        let is_active = device_seen_by(connection, &Actor::hub(), &to.device)
            .is_ok_and(|device| device.state != DeviceState::Revoked);
        if !is_active {
            note(connection, to, "revoked", now)?;
            return Ok(None);
        }
        // Its time began when it was to get it.
        command.lasts = command.lasts.saturating_sub(now.since(to.due));
        if !LASTS.contains(&command.lasts) {
            note(connection, to, "expired", now)?;
            return Ok(None);
        }
        let id = CommandId::made_up()?;
        let (sent, told) = match self
            .commands
            .put(connection, &to.device, &id, &command, now)
        {
            Ok(sent) => sent,
            Err(Refusal::Limited { .. }) => {
                note(connection, to, "queue-full", now)?;
                return Ok(None);
            }
            Err(refusal) => return Err(refusal),
        };
        connection
            .prepare_cached(
                "UPDATE fired_devices SET due = NULL, command = ?3, expires = ?4
                 WHERE firing = ?1 AND device = ?2",
            )?
            .execute(params![to.firing, to.device, id, sent.expires])?;
        Ok(Some(told))
    }

    /// Claims a moment that has come. Whether there was one.
    async fn claim_due(&self, now: Timestamp) -> Result<bool, Refusal> {
        let any = move |connection: &Connection| Ok(table::first_due(connection, now)?.is_some());
        if !self.store.read(any).await? {
            return Ok(false);
        }
        let claimed = move |connection: &Connection| match table::first_due(connection, now)? {
            Some(found) => claim(connection, &found, now),
            None => Ok(None),
        };
        if let Some(how) = self.store.write_bulk(0, claimed).await? {
            let how = how.as_str();
            self.hook.tell(&Happening::ScheduleCame { how });
        }
        Ok(true)
    }
}

/// Claims the moment of a schedule: notes what became of it, its devices if it fires, and when the
/// schedule comes next.
fn claim(connection: &Connection, found: &Found, now: Timestamp) -> Result<Option<How>, Refusal> {
    let (Some(due), Ok((cron, zone))) = (found.schedule.next, found.timing()) else {
        // Its zone has gone from this machine.
        tracing::error!(schedule = %found.schedule.name, "a schedule cannot be read and is paused");
        table::pause(connection, found.seq, now)?;
        return Ok(None);
    };
    let (how, made_good) = judge(connection, found, due, now)?;
    let after = match (how, found.schedule.missed) {
        (How::MadeGood, Missed::All) | (How::Fired | How::Overrun, _) => due,
        (How::MadeGood, Missed::Skip | Missed::Once) | (How::Missed, _) => now,
    };
    note_moment(connection, found, (due, now), how)?;
    put_on(connection, found.seq, (&cron, &zone, after), made_good)?;
    make_room(connection, found.seq)?;
    Ok(Some(how))
}

fn put_on(
    connection: &Connection,
    schedule: i64,
    (cron, zone, after): (&Cron, &Zone, Timestamp),
    made_good: u64,
) -> Result<(), Refusal> {
    match next(cron, zone, after) {
        Some(due) => table::put_on(connection, schedule, Some(due), made_good),
        None => table::pause(connection, schedule, after),
    }
}

/// What becomes of a moment, and how many have been made good in a row.
fn judge(
    connection: &Connection,
    found: &Found,
    due: Timestamp,
    now: Timestamp,
) -> Result<(How, u64), Refusal> {
    if has_waiting(connection, found.seq)? {
        return Ok((How::Overrun, 0));
    }
    if now.since(due) <= LATE {
        return Ok((How::Fired, 0));
    }
    let made_good = table::made_good(connection, found.seq)?;
    Ok(match found.schedule.missed {
        Missed::Skip => (How::Missed, 0),
        Missed::Once => (How::MadeGood, 0),
        Missed::All if made_good < MAX_MADE_GOOD => (How::MadeGood, made_good + 1),
        Missed::All => (How::Missed, 0),
    })
}

/// Notes a moment, with its devices if it fires.
fn note_moment(
    connection: &Connection,
    found: &Found,
    (due, now): (Timestamp, Timestamp),
    how: How,
) -> Result<(), Refusal> {
    let devices = match how {
        How::Fired | How::MadeGood => devices_of(connection, found)?,
        How::Missed | How::Overrun => Vec::new(),
    };
    connection
        .prepare_cached(
            "INSERT INTO firings (id, schedule, due, at, how, devices)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            FiringId::made_up()?,
            found.seq,
            due,
            now,
            how,
            devices.len()
        ])?;
    let firing = connection.last_insert_rowid();
    let from = match how {
        How::MadeGood => now,
        How::Fired | How::Missed | How::Overrun => due,
    };
    let mut insert = connection
        .prepare_cached("INSERT INTO fired_devices (firing, device, due) VALUES (?1, ?2, ?3)")?;
    for device in devices {
        let place = place_of(found, &device);
        insert.execute(params![firing, device, from.after(place)])?;
    }
    Ok(())
}

/// The place of a device in the time over which those of a schedule are spread.
fn place_of(found: &Found, device: &DeviceId) -> Duration {
    let spread = found.schedule.spread.as_millis();
    if spread == 0 {
        return Duration::ZERO;
    }
    let text = format!("{}\n{device}", found.schedule.name);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref().iter().take(8);
    let number = bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let place = u128::from(number) % spread;
    Duration::from_millis(u64::try_from(place).unwrap_or_default())
}

/// The devices of a schedule now: those that have left its site, or were revoked, are none.
fn devices_of(connection: &Connection, found: &Found) -> Result<Vec<DeviceId>, Refusal> {
    let sql = if found.schedule.is_of_site {
        "SELECT id FROM devices WHERE site = ?2 AND state != 'revoked' AND removed IS NULL
         AND ?1 = ?1 ORDER BY id LIMIT ?3"
    } else {
        "SELECT d.id FROM schedule_devices AS n JOIN devices AS d ON d.id = n.device
         WHERE n.schedule = ?1 AND (?2 IS NULL OR d.site = ?2) AND d.state != 'revoked'
         AND d.removed IS NULL ORDER BY d.id LIMIT ?3"
    };
    let most = i64::try_from(MAX_DEVICES).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let named = params![found.seq, found.schedule.site, most];
    let devices = statement.query_map(named, |row| row.get(0))?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Whether devices of an earlier moment of the schedule have still to get their commands.
fn has_waiting(connection: &Connection, schedule: i64) -> Result<bool, Refusal> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM firings AS f JOIN fired_devices AS d ON d.firing = f.seq
             WHERE f.schedule = ?1 AND d.due IS NOT NULL LIMIT 1",
        )?
        .exists([schedule])?)
}

/// Lets the oldest firings go: of the schedule beyond [`MAX_FIRINGS`], and of all beyond
/// [`MAX_FIRED`]. None of which devices have still to get their commands.
fn make_room(connection: &Connection, schedule: i64) -> Result<(), Refusal> {
    const DONE: &str = "NOT EXISTS
        (SELECT 1 FROM fired_devices WHERE firing = f.seq AND due IS NOT NULL)";
    let of_schedule = format!(
        "SELECT f.seq FROM firings AS f WHERE f.schedule = ?1 AND {DONE} AND f.seq <=
         (SELECT seq FROM firings WHERE schedule = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)
         LIMIT 1"
    );
    let of_all = format!(
        "SELECT f.seq FROM firings AS f WHERE f.devices > 0 AND {DONE}
         AND (SELECT sum(devices) FROM firings) > ?1 ORDER BY f.seq LIMIT 1"
    );
    // One of the schedule goes when one comes; of all as many as it takes.
    let mut oldest: Option<i64> = connection
        .prepare_cached(&of_schedule)?
        .query_row((schedule, MAX_FIRINGS), |row| row.get(0))
        .optional()?;
    loop {
        if let Some(firing) = oldest {
            for sql in [
                "DELETE FROM fired_devices WHERE firing = ?1",
                "DELETE FROM firings WHERE seq = ?1",
            ] {
                connection.prepare_cached(sql)?.execute([firing])?;
            }
        }
        oldest = connection
            .prepare_cached(&of_all)?
            .query_row([MAX_FIRED], |row| row.get(0))
            .optional()?;
        if oldest.is_none() {
            return Ok(());
        }
    }
}

fn waiting(connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT d.firing, f.schedule, d.device, d.due FROM fired_devices AS d
         JOIN firings AS f ON f.seq = d.firing WHERE d.due <= ?1 ORDER BY d.due LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map((now, limit), |row| {
        Ok(Waiting {
            firing: row.get(0)?,
            schedule: row.get(1)?,
            device: row.get(2)?,
            due: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn command_of(connection: &Connection, schedule: i64) -> Result<NewCommand, Refusal> {
    let (command, properties) = connection
        .prepare_cached(
            "SELECT command, content_type, payload, lasts, properties FROM schedules
             WHERE seq = ?1",
        )?
        .query_row([schedule], |row| {
            let command = NewCommand {
                name: row.get(0)?,
                content_type: row.get(1)?,
                payload: row.get::<_, Vec<u8>>(2)?.into(),
                lasts: length(row.get(3)?),
                properties: std::collections::BTreeMap::new(),
            };
            Ok((command, row.get::<_, String>(4)?))
        })?;
    let properties = serde_json::from_str(&properties)
        .map_err(|_| Refusal::Internal("properties cannot be read"))?;
    Ok(NewCommand {
        properties,
        ..command
    })
}

/// Notes that a device gets no command, and why.
fn note(
    connection: &Connection,
    to: &Waiting,
    why: &'static str,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "UPDATE fired_devices SET due = NULL, outcome = ?3, ended = ?4
             WHERE firing = ?1 AND device = ?2",
        )?
        .execute(params![to.firing, to.device, why, now])?;
    Ok(())
}

fn next_due(connection: &Connection) -> Result<Option<Timestamp>, Refusal> {
    let due: [Option<Timestamp>; 2] = connection
        .prepare_cached(
            "SELECT (SELECT min(due) FROM schedules WHERE due IS NOT NULL),
             (SELECT min(due) FROM fired_devices WHERE due IS NOT NULL)",
        )?
        .query_row([], |row| Ok([row.get(0)?, row.get(1)?]))?;
    Ok(due.into_iter().flatten().min())
}
