//! What became of a schedule's moments.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{How, Schedules, table};
use crate::clock::Timestamp;
use crate::id::{CommandId, DeviceId, FiringId, ScheduleName};
use crate::identity::{Actor, Listed, Page, words};
use crate::refusal::Refusal;

/// How far a device is with a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its turn in the time over which they are spread has not come yet.
    Waiting,
    /// Its command is in its queue.
    Queued,
    /// Its command was given to it and is not settled yet.
    Delivered,
    /// It has done it.
    Completed,
    /// It has refused it.
    Rejected,
    /// It did not take it in time.
    Expired,
    /// An operator took it back.
    Cancelled,
    /// It got none: it had been revoked.
    Revoked,
    /// It got none: its queue was full.
    QueueFull,
}

words!(Outcome {
    Waiting => "waiting",
    Queued => "queued",
    Delivered => "delivered",
    Completed => "completed",
    Rejected => "rejected",
    Expired => "expired",
    Cancelled => "cancelled",
    Revoked => "revoked",
    QueueFull => "queue-full",
});

/// How many devices are how far.
pub type Counts = Vec<(Outcome, u64)>;

/// A moment of a schedule, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Its name.
    pub id: FiringId,
    /// When it was due.
    pub due: Timestamp,
    /// When it was looked at.
    pub at: Timestamp,
    /// What became of it.
    pub how: How,
    /// How many devices are how far.
    pub counts: Counts,
}

/// A device of a firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredDevice {
    /// Which.
    pub device: DeviceId,
    /// How far it is.
    pub outcome: Outcome,
    /// Its command, if it has got one.
    pub command: Option<CommandId>,
    /// When it is to get it, as long as it waits for it.
    pub due: Option<Timestamp>,
    /// When that ended, if it has.
    pub ended: Option<Timestamp>,
}

/// How far a device is: what has ended, what expired meanwhile, or what its command is doing.
const FAR: &str = "CASE
    WHEN d.outcome IS NOT NULL THEN d.outcome
    WHEN d.due IS NOT NULL THEN 'waiting'
    WHEN d.expires <= ?1 THEN 'expired'
    WHEN (SELECT deliveries FROM commands WHERE id = d.command) > 0 THEN 'delivered'
    ELSE 'queued' END";

impl Schedules {
    /// Lists what became of a schedule's moments, the newest first; the last
    /// [`MAX_FIRINGS`](super::MAX_FIRINGS) at the most.
    ///
    /// # Errors
    /// As [`Schedules::get`]; [`Refusal::Invalid`] when `page` is no good.
    pub async fn firings(
        &self,
        actor: &Actor,
        name: &ScheduleName,
        page: &Page,
    ) -> Result<Listed<Fired>, Refusal> {
        let (actor, name, now) = (actor.clone(), name.clone(), self.clock.now());
        let (page, fetch) = (page.clone(), page.fetch()?);
        let wrong = |_| Refusal::invalid("after", "what `next` was of the part before");
        let before = page.after.as_deref().map(str::parse).transpose();
        let before: Option<i64> = before.map_err(wrong)?;
        self.store
            .read(move |connection| {
                let schedule = table::find(connection, &actor, &name)?.seq;
                let found = before_place(connection, schedule, before, fetch)?;
                let mut listed = Listed::of(found, &page, |(place, _)| place.to_string());
                for (place, fired) in &mut listed.items {
                    fired.counts = counts(connection, *place, now)?;
                }
                let items = listed.items.into_iter().map(|(_, fired)| fired).collect();
                let next = listed.next;
                Ok(Listed { items, next })
            })
            .await
    }

    /// Lists the devices of a firing, by name.
    ///
    /// # Errors
    /// As [`Schedules::firings`]; [`Refusal::NotFound`] also for a firing that is not the
    /// schedule's, or is not kept any more.
    pub async fn fired_devices(
        &self,
        actor: &Actor,
        name: &ScheduleName,
        firing: &FiringId,
        page: &Page,
    ) -> Result<Listed<FiredDevice>, Refusal> {
        let (actor, name, firing) = (actor.clone(), name.clone(), firing.clone());
        let (page, fetch, now) = (page.clone(), page.fetch()?, self.clock.now());
        self.store
            .read(move |connection| {
                let schedule = table::find(connection, &actor, &name)?.seq;
                let place = place_of(connection, schedule, &firing)?;
                let found = devices_after(connection, place, (page.after(), fetch), now)?;
                Ok(Listed::of(found, &page, |one| one.device.to_string()))
            })
            .await
    }
}

fn before_place(
    connection: &Connection,
    schedule: i64,
    before: Option<i64>,
    fetch: u32,
) -> Result<Vec<(i64, Fired)>, Refusal> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, due, at, how FROM firings WHERE schedule = ?1
         AND (?2 IS NULL OR seq < ?2) ORDER BY seq DESC LIMIT ?3",
    )?;
    let found = statement.query_map((schedule, before, fetch), |row| {
        let fired = Fired {
            id: row.get(1)?,
            due: row.get(2)?,
            at: row.get(3)?,
            how: row.get(4)?,
            counts: Vec::new(),
        };
        Ok((row.get(0)?, fired))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn counts(connection: &Connection, firing: i64, now: Timestamp) -> Result<Counts, Refusal> {
    let sql = format!(
        "SELECT {FAR} AS far, count(*) FROM fired_devices AS d WHERE d.firing = ?2 GROUP BY far"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map((now, firing), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut counts = found.collect::<Result<Counts, _>>()?;
    counts.sort();
    Ok(counts)
}

fn place_of(connection: &Connection, schedule: i64, firing: &FiringId) -> Result<i64, Refusal> {
    connection
        .prepare_cached("SELECT seq FROM firings WHERE id = ?1 AND schedule = ?2")?
        .query_row(params![firing, schedule], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Refusal::not_found("firing", firing))
}

fn devices_after(
    connection: &Connection,
    firing: i64,
    (after, fetch): (&str, u32),
    now: Timestamp,
) -> Result<Vec<FiredDevice>, Refusal> {
    let sql = format!(
        "SELECT d.device, {FAR}, d.command, d.due,
         coalesce(d.ended, CASE WHEN d.expires <= ?1 THEN d.expires END)
         FROM fired_devices AS d WHERE d.firing = ?2 AND d.device > ?3
         ORDER BY d.device LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![now, firing, after, fetch], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<FiredDevice> {
    Ok(FiredDevice {
        device: row.get(0)?,
        outcome: row.get(1)?,
        command: row.get(2)?,
        due: row.get(3)?,
        ended: row.get(4)?,
    })
}
