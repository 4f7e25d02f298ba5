//! When something was said, on a machine whose clock may be wrong.
//!
//! An entry carries the run of the machine in which it was said and how long that had lasted,
//! which no clock can put wrong, and the time if somebody knew it. Once somebody knows the time in
//! that run, all its entries have one.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use time::OffsetDateTime;

use super::entry::{Priority, Said};
use super::error::QueueError;
use super::moment::{Boot, Moment};

/// Notes in which run of the machine it is, and gives its number.
pub(super) fn boot(connection: &Connection, now: &Moment) -> Result<i64, QueueError> {
    let known = connection
        .prepare_cached("SELECT boot FROM boot WHERE run = ?1")?
        .query_row([run(now.boot)], |row| row.get(0))
        .optional()?;
    if let Some(boot) = known {
        note(connection, now)?;
        return Ok(boot);
    }
    forget(connection)?;
    let boot = connection
        .prepare_cached("INSERT INTO boot (run, began) VALUES (?1, ?2)")?
        .insert(params![run(now.boot), began(now)])?;
    Ok(boot)
}

/// Notes what time it is, if somebody knows and nobody has known before in this run.
pub(super) fn note(connection: &Connection, now: &Moment) -> Result<(), QueueError> {
    if let Some(began) = began(now) {
        connection
            .prepare_cached("UPDATE boot SET began = ?2 WHERE run = ?1 AND began IS NULL")?
            .execute(params![run(now.boot), began])?;
    }
    Ok(())
}

/// Forgets the runs of which nothing is left, so that there are never more than entries.
fn forget(connection: &Connection) -> Result<(), QueueError> {
    let mut oldest: Option<i64> = None;
    for priority in Priority::ALL {
        let statement = format!(
            "SELECT boot FROM {} ORDER BY number LIMIT 1",
            priority.name()
        );
        let first: Option<i64> = connection
            .prepare_cached(&statement)?
            .query_row([], |row| row.get(0))
            .optional()?;
        oldest = oldest.into_iter().chain(first).min();
    }
    connection
        .prepare_cached("DELETE FROM boot WHERE boot < ?1")?
        .execute([oldest.unwrap_or(i64::MAX)])?;
    Ok(())
}

/// When an entry was said, as its row tells.
pub(super) struct Told {
    boot: Boot,
    up: Duration,
    said: Said,
}

impl Told {
    /// What [`Told::of`] reads, of an entry joined with its `boot`.
    pub(super) const COLUMNS: &'static str = "boot.run, up, said, boot.began";

    /// Reads [`Told::COLUMNS`], of which `first` is the first.
    pub(super) fn of(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let up: u64 = row.get(first + 1)?;
        let known: Option<i64> = row.get(first + 2)?;
        let began: Option<i64> = row.get(first + 3)?;
        let reckoned = began.map(|began| began.saturating_add_unsigned(up));
        let said = match (known.and_then(date), reckoned.and_then(date)) {
            (Some(known), _) => Said::Known(known),
            (None, Some(reckoned)) => Said::Reckoned(reckoned),
            (None, None) => Said::Unknown,
        };
        Ok(Self {
            boot: Boot(u128::from_be_bytes(row.get(first)?)),
            up: Duration::from_millis(up),
            said,
        })
    }

    /// When it was said.
    pub(super) fn said(&self) -> Said {
        self.said
    }

    /// How old it is at least.
    pub(super) fn age(&self, now: &Moment) -> Duration {
        if self.boot == now.boot {
            return now.up.saturating_sub(self.up);
        }
        let said = match self.said {
            Said::Known(said) | Said::Reckoned(said) => Some(said),
            Said::Unknown => None,
        };
        let by_the_clock = now.wall.zip(said).map(|(now, said)| now - said);
        let by_the_clock = by_the_clock.and_then(|age| age.try_into().ok());
        // The run in which it was said is over.
        now.up.max(by_the_clock.unwrap_or_default())
    }
}

/// A date in milliseconds since the start of 1970.
pub(super) fn millis(date: OffsetDateTime) -> i64 {
    i64::try_from(date.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// How long it is since the machine started, in milliseconds.
pub(super) fn up(now: &Moment) -> i64 {
    i64::try_from(now.up.as_millis()).unwrap_or(i64::MAX)
}

fn date(millis: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

/// When the machine started, if somebody knows the time.
fn began(now: &Moment) -> Option<i64> {
    let wall = now.wall?;
    Some(millis(wall).saturating_sub(up(now)))
}

fn run(boot: Boot) -> [u8; 16] {
    boot.0.to_be_bytes()
}
