//! That commands wait for devices which are away: whom to remind of it, and when. How somebody is
//! reminded is not known here.
//!
//! With a command its device is noted, in the same write. It is due some time later
//! ([`Reminding::after`]), however many commands come meanwhile, and again no sooner than
//! [`Reminding::every`] after it was last reminded, if more have come. A device that has a live
//! session then is not reminded as long as it has one: it is looked at again as long as commands
//! wait.
//!
//! A reminder is given out once, and again when whoever took it has not said how it ended before
//! the hub came down.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::announcement::Announcement;
use crate::clock::{Clock, Timestamp};
use crate::commands::last_expiry;
use crate::id::DeviceId;
use crate::identity::{Actor, DeviceState, device_seen_by};
use crate::refusal::Refusal;
use crate::registrations::{self, Registration};
use crate::sessions::Sessions;
use crate::store::Store;

/// The table of this part. A device without `due` has nothing to be reminded of; one that is `held`
/// is being reminded.
pub(crate) const SCHEMA: &str = "
CREATE TABLE reminder (
    device TEXT PRIMARY KEY,
    due INTEGER,
    last INTEGER,
    held INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX reminder_due ON reminder (due) WHERE due IS NOT NULL AND held = 0;
";

/// The most devices that are looked at in one write, so that it holds nobody up.
const LOOKED_AT_ONCE: usize = 100;

/// Who is reminded of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminding {
    /// Of which commands.
    pub of: Vec<Names>,
    /// How long after the first command.
    pub after: Duration,
    /// How long after the last reminder at the least.
    pub every: Duration,
}

/// Which names of commands are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All there are.
    All,
    /// One.
    One(String),
    /// All that begin so, with the slash at its end.
    Below(String),
}

impl Names {
    /// Reads a name, `door/*` for all below `door`, or `*`; nothing when it is none of these.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let name = text.strip_suffix("/*").unwrap_or(text);
        if name.contains('*') || crate::commands::checks::path("commands", name).is_err() {
            return None;
        }
        Some(match text.strip_suffix('*') {
            Some(below) => Self::Below(below.to_owned()),
            None => Self::One(text.to_owned()),
        })
    }

    fn mean(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == name,
            Self::Below(below) => name.starts_with(below),
        }
    }
}

/// A device to be reminded.
#[derive(Clone, Debug)]
pub struct Reminder {
    /// Which.
    pub device: DeviceId,
    /// Where it is reached; not empty.
    pub at: Vec<Registration>,
    /// When the last of the commands that wait expires.
    pub until: Timestamp,
}

/// Whom to remind now.
#[derive(Debug, Default)]
pub struct Due {
    /// These.
    pub reminders: Vec<Reminder>,
    /// How long until there may be more; nothing when only a new command brings one.
    pub next: Option<Duration>,
}

/// How a reminder ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reminded {
    /// It is done, or cannot be.
    Done,
    /// It could not be done now: it is due again later.
    Later,
}

/// The reminders of all devices; there are none until they are set up.
#[derive(Clone, Debug)]
pub struct Reminders {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    reminding: Arc<Mutex<Option<Arc<Reminding>>>>,
    changed: watch::Sender<()>,
}

impl Reminders {
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions) -> Self {
        Self {
            store,
            clock,
            sessions,
            reminding: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Devices are reminded from now on. What was given out before the hub came down is due now.
    ///
    /// # Errors
    /// As the store.
    pub async fn set_up(&self, reminding: Reminding) -> Result<(), Refusal> {
        let now = self.clock.now();
        let again = move |connection: &Connection| {
            connection
                .prepare_cached("UPDATE reminder SET held = 0, due = ?1 WHERE held = 1")?
                .execute([now])?;
            Ok(())
        };
        self.store.write(again).await?;
        *self.reminding.lock() = Some(Arc::new(reminding));
        Ok(())
    }

    /// That a device has been noted, or a reminder has ended.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Notes that a command of that name waits for `device`, as part of a write. Tells when the
    /// result is dropped.
    pub(crate) fn note(
        &self,
        connection: &Connection,
        device: &DeviceId,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<Announcement<impl FnMut() + Send + use<>>>, Refusal> {
        let reminding = self.reminding.lock().clone();
        let Some(reminding) = reminding.filter(|it| it.of.iter().any(|of| of.mean(name))) else {
            return Ok(None);
        };
        connection
            .prepare_cached(
                "INSERT INTO reminder (device, due) VALUES (?1, ?2) ON CONFLICT (device) DO UPDATE
                 SET due = min(coalesce(due, ?4), max(?2, min(coalesce(last + ?3, 0), ?4)))",
            )?
            .execute(params![
                device,
                now.after(reminding.after),
                millis(reminding.every),
                // The clock may have been put back since the last one.
                now.after(longest(&reminding)),
            ])?;
        let changed = self.changed.clone();
        Ok(Some(Announcement::new(move || {
            changed.send_replace(());
        })))
    }

    /// Those to be reminded now, at most `limit`. Each is given out once: whoever takes one says by
    /// [`Reminders::ended`] how it ended.
    ///
    /// # Errors
    /// As the store.
    pub async fn due(&self, limit: usize) -> Result<Due, Refusal> {
        let Some(reminding) = self.reminding.lock().clone() else {
            return Ok(Due::default());
        };
        let reminders = self.clone();
        let due = move |connection: &Connection| {
            let now = reminders.clock.now();
            let mut due = Due::default();
            let noted = noted(connection, now, &reminding, limit.min(LOOKED_AT_ONCE))?;
            for device in noted {
                due.reminders
                    .extend(reminders.look_at(connection, device, now, &reminding)?);
            }
            due.next = next(connection)?.map(|next| next.since(now).min(longest(&reminding)));
            Ok(due)
        };
        self.store.write(due).await
    }

    /// Looks at a device whose time has come: gives it out, or puts it off, or forgets it.
    fn look_at(
        &self,
        connection: &Connection,
        device: DeviceId,
        now: Timestamp,
        reminding: &Reminding,
    ) -> Result<Option<Reminder>, Refusal> {
        let until = last_expiry(connection, &device, now)?;
        let at = registrations::listed(connection, &device)?;
        let is_active = device_seen_by(connection, &Actor::hub(), &device)
            .is_ok_and(|device| device.state == DeviceState::Active);
        let (Some(until), true, false) = (until, is_active, at.is_empty()) else {
            put_off(connection, &device, None)?;
            return Ok(None);
        };
        if self.sessions.is_present(&device) {
            let later = now.after(reminding.every);
            put_off(connection, &device, Some(later))?;
            return Ok(None);
        }
        connection
            .prepare_cached(
                "UPDATE reminder SET due = NULL, last = ?2, held = 1 WHERE device = ?1",
            )?
            .execute(params![device, now])?;
        Ok(Some(Reminder { device, at, until }))
    }

    /// Notes how a reminder ended.
    ///
    /// # Errors
    /// As the store.
    pub async fn ended(&self, device: &DeviceId, how: Reminded) -> Result<(), Refusal> {
        let (reminders, device) = (self.clone(), device.clone());
        let ended = move |connection: &Connection| {
            let every = reminders.reminding.lock().as_ref().map(|it| it.every);
            let again = match how {
                Reminded::Done => None,
                Reminded::Later => Some(reminders.clock.now().after(every.unwrap_or_default())),
            };
            connection
                .prepare_cached(
                    "UPDATE reminder SET held = 0, due = coalesce(due, ?2) WHERE device = ?1",
                )?
                .execute(params![device, again])?;
            let changed = reminders.changed.clone();
            Ok(Announcement::new(move || {
                changed.send_replace(());
            }))
        };
        self.store.write(ended).await.map(drop)
    }
}

/// The furthest ahead that anything is noted: what is further was noted before the clock was put
/// back, and has come.
fn longest(reminding: &Reminding) -> Duration {
    reminding.after.max(reminding.every)
}

fn noted(
    connection: &Connection,
    now: Timestamp,
    reminding: &Reminding,
    limit: usize,
) -> Result<Vec<DeviceId>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT device FROM reminder WHERE due IS NOT NULL AND held = 0 AND (due <= ?1 OR due > ?2)
         ORDER BY due LIMIT ?3",
    )?;
    let beyond = now.after(longest(reminding));
    let found = statement.query_map(params![now, beyond, limit], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn next(connection: &Connection) -> Result<Option<Timestamp>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT min(due) FROM reminder WHERE due IS NOT NULL AND held = 0")?
        .query_row([], |row| row.get(0))?)
}

fn put_off(
    connection: &Connection,
    device: &DeviceId,
    until: Option<Timestamp>,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("UPDATE reminder SET due = ?2 WHERE device = ?1")?
        .execute(params![device, until])?;
    Ok(())
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_meant_by_name_by_what_is_above_them_or_all() {
        for (text, name, means) in [
            ("*", "print", true),
            ("print", "print", true),
            ("print", "print/all", false),
            ("door/*", "door/open", true),
            ("door/*", "door/1/open", true),
            ("door/*", "door", false),
            ("door/*", "doors/open", false),
        ] {
            let names = Names::read(text).unwrap();
            assert_eq!(names.mean(name), means, "{text} {name}");
        }
        for text in ["", "/*", "door/", "d*", "*/open", "door/**", "a+", "a\n"] {
            assert_eq!(Names::read(text), None, "{text:?}");
        }
    }
}
