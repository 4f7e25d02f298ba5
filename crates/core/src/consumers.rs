//! Who takes events, each with a place of their own.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::json;

use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::events::row::{newest, oldest, place, received_after, signed};
use crate::events::{EventFilter, Taken, row};
use crate::id::{ConsumerId, ServiceId};
use crate::identity::{Actor, Scope};
use crate::limits::{InUse, Quota, Share};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::Store;
use crate::webhooks::MAX_WEBHOOKS;

/// The tables of this part. `place`: all events up to it have been taken.
pub(crate) const SCHEMA: &str = "
CREATE TABLE consumer (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    moved INTEGER NOT NULL,
    -- Who made it, and of which site they are if they see one only.
    whose TEXT NOT NULL,
    site TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX consumer_by_place ON consumer (place) WHERE site IS NULL;
";

/// The most consumers of a hub, webhooks among them.
pub const MAX_CONSUMERS: u64 = 1_000;

/// How many consumers operators and services make. Webhooks have a bound and a remainder of their
/// own.
pub const QUOTA: Quota = Quota {
    each: 64,
    site: 128,
    sites: 600,
    all: MAX_CONSUMERS - MAX_WEBHOOKS,
};

/// Somebody who takes events, as may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Consumer {
    /// Its name: that of a webhook, a service, or one chosen by a back end.
    pub id: ConsumerId,
    /// All events up to this place have been taken.
    pub place: u64,
    /// How many places the newest event is beyond that.
    pub behind: u64,
    /// Since when it has not moved on, while there is more; now, when there is no more.
    pub moved: Timestamp,
}

/// Places of those who take events. What a consumer that sees all sites has not taken is not
/// cleared away, up to the limit on the disk, at which new events are refused. One of a single
/// site holds nothing back: the events of the others are none of its business, and it must not be
/// able to have them refused. It is told when it has missed some.
#[derive(Clone, Debug)]
pub struct Consumers {
    store: Store,
    clock: Clock,
}

impl Consumers {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Makes a consumer that begins after the place `after`, or after the newest event. Does
    /// nothing when it is there. `by` is the right of who asks; `None` for the hub itself.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when who asks may not act any more; [`Refusal::Expired`] when events after `after` are no longer kept, [`Refusal::Invalid`]
    /// when there is no such place yet, [`Refusal::TooMany`] when those who ask have too many
    /// already ([`QUOTA`]).
    pub async fn register(
        &self,
        by: Option<Pass>,
        id: &ConsumerId,
        after: Option<u64>,
    ) -> Result<Consumer, Refusal> {
        let (id, now) = (id.clone(), self.clock.now());
        self.store
            .write_bulk(0, move |connection| {
                by.iter().try_for_each(Pass::check)?;
                if let Some(found) = find(connection, &id, now)? {
                    return Ok(found);
                }
                let share = by.as_ref().map_or_else(Share::hub, |by| {
                    let who = by.principal();
                    Share::new(who.name(), who.scope())
                });
                let made = register(connection, &id, &share, after, now)?;
                let detail = json!({ "after": made.place });
                let act = "consumer.register";
                audit::append_by(connection, now, by.as_ref(), act, &on(&id), &detail)?;
                Ok(made)
            })
            .await
    }

    /// The next events of a consumer. The place stays until [`Consumers::advance`].
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn take(
        &self,
        id: &ConsumerId,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Taken, Refusal> {
        let (id, filter) = (id.clone(), filter.clone());
        self.store
            .read(move |connection| {
                let after = place_of(connection, &id)?;
                row::after(connection, &filter, after, limit)
            })
            .await
    }

    /// Moves a consumer's place on to `place`, never back. Not written down: it is what consuming
    /// is.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when who asks may not act any more; [`Refusal::NotFound`]; [`Refusal::Invalid`] when there is no such place yet.
    pub async fn advance(
        &self,
        by: Option<Pass>,
        id: &ConsumerId,
        place: u64,
    ) -> Result<(), Refusal> {
        let (id, now) = (id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                by.iter().try_for_each(Pass::check)?;
                advance(connection, &id, place, now)
            })
            .await
    }

    /// Lists consumers, by their names.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for who does not see all sites, as the events of all are counted.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<Consumer>, Refusal> {
        if actor.scope != Scope::All {
            return Err(Refusal::forbidden("seeing consumers"));
        }
        let now = self.clock.now();
        self.store
            .read(move |connection| {
                let mut statement = connection
                    .prepare_cached("SELECT id, place, moved FROM consumer ORDER BY id")?;
                let mut rows = statement.query([])?;
                let mut all = Vec::new();
                while let Some(row) = rows.next()? {
                    all.push(consumer(connection, row, now)?);
                }
                Ok(all)
            })
            .await
    }

    /// Forgets a consumer, so that nothing is kept for it any more.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] when who asks may not act any more; [`Refusal::NotFound`].
    pub async fn remove(&self, by: Option<Pass>, id: &ConsumerId) -> Result<(), Refusal> {
        let (id, now) = (id.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                by.iter().try_for_each(Pass::check)?;
                let detail = json!({ "place": place_of(connection, &id)? });
                remove(connection, &id)?;
                let act = "consumer.remove";
                audit::append_by(connection, now, by.as_ref(), act, &on(&id), &detail)
            })
            .await
    }
}

/// Forgets the places that a service has over its dialects, inside a write. What it registered over
/// the API is shared by all who see the same sites.
pub(crate) fn remove_of_service(
    connection: &Connection,
    service: &ServiceId,
) -> Result<(), Refusal> {
    connection
        .prepare_cached("DELETE FROM consumer WHERE whose = ?1 AND id NOT LIKE 'api:%'")?
        .execute([format!("service/{service}")])?;
    Ok(())
}

/// How a consumer is called in the audit log.
fn on(id: &ConsumerId) -> String {
    format!("consumer/{id}")
}

/// As [`Consumers::register`], inside a write.
pub(crate) fn register(
    connection: &Connection,
    id: &ConsumerId,
    share: &Share,
    after: Option<u64>,
    now: Timestamp,
) -> Result<Consumer, Refusal> {
    if let Some(found) = find(connection, id, now)? {
        return Ok(found);
    }
    let newest = newest(connection)?;
    let after = after.unwrap_or(newest);
    check_place(after, newest)?;
    let oldest = oldest(connection)?;
    if after + 1 < oldest {
        return Err(Refusal::Expired { oldest });
    }
    check_share(connection, share)?;
    connection
        .prepare_cached(
            "INSERT INTO consumer (id, place, moved, whose, site) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id, signed(after), now, share.whose, share.site()])?;
    find(connection, id, now)?.ok_or(Refusal::Internal("a consumer is not there"))
}

/// As [`Consumers::advance`], inside a write.
pub(crate) fn advance(
    connection: &Connection,
    id: &ConsumerId,
    place: u64,
    now: Timestamp,
) -> Result<(), Refusal> {
    if place_of(connection, id)? >= place {
        return Ok(());
    }
    check_place(place, newest(connection)?)?;
    connection
        .prepare_cached("UPDATE consumer SET place = ?2, moved = ?3 WHERE id = ?1")?
        .execute(params![id, signed(place), now])?;
    Ok(())
}

/// Forgets a consumer, inside a write. Returns whether there was one.
pub(crate) fn remove(connection: &Connection, id: &ConsumerId) -> Result<bool, Refusal> {
    let removed = connection
        .prepare_cached("DELETE FROM consumer WHERE id = ?1")?
        .execute([id])?;
    Ok(removed > 0)
}

/// The place up to which every consumer that sees all sites has taken all; `None` when there is
/// none.
pub(crate) fn taken_by_all(connection: &Connection) -> Result<Option<u64>, Refusal> {
    let taken: Option<i64> = connection
        .prepare_cached("SELECT min(place) FROM consumer WHERE site IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(taken.map(place))
}

fn find(
    connection: &Connection,
    id: &ConsumerId,
    now: Timestamp,
) -> Result<Option<Consumer>, Refusal> {
    let mut statement =
        connection.prepare_cached("SELECT id, place, moved FROM consumer WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    rows.next()?
        .map(|row| consumer(connection, row, now))
        .transpose()
}

fn consumer(
    connection: &Connection,
    row: &rusqlite::Row<'_>,
    now: Timestamp,
) -> Result<Consumer, Refusal> {
    let taken = place(row.get(1)?);
    let moved: Timestamp = row.get(2)?;
    // It stands still only since there has been something to take.
    let waiting = received_after(connection, taken)?;
    Ok(Consumer {
        id: row.get(0)?,
        place: taken,
        behind: newest(connection)?.saturating_sub(taken),
        moved: waiting.map_or(now, |waiting| waiting.max(moved)),
    })
}

/// The place of a consumer.
pub(crate) fn place_of(connection: &Connection, id: &ConsumerId) -> Result<u64, Refusal> {
    connection
        .prepare_cached("SELECT place FROM consumer WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?
        .map(place)
        .ok_or_else(|| Refusal::not_found("consumer", id))
}

/// Refuses one more of `share` when there are too many. What the hub makes has bounds of its own.
fn check_share(connection: &Connection, share: &Share) -> Result<(), Refusal> {
    let hub = Share::hub();
    let (used, held) = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE whose = ?1), count(*) FILTER (WHERE site = ?2),
             count(site), count(*) FILTER (WHERE whose != ?3), count(*) FROM consumer",
        )?
        .query_row(params![share.whose, share.site(), hub.whose], |row| {
            let used = InUse {
                each: row.get(0)?,
                site: row.get(1)?,
                sites: row.get(2)?,
                all: row.get(3)?,
            };
            Ok((used, row.get::<_, u64>(4)?))
        })?;
    let reached = match *share == hub {
        true => (held >= MAX_CONSUMERS).then_some(MAX_CONSUMERS),
        false => QUOTA.reached(share, &used),
    };
    let what = "consumers";
    reached.map_or(Ok(()), |limit| Err(Refusal::TooMany { what, limit }))
}

fn check_place(place: u64, newest: u64) -> Result<(), Refusal> {
    if place <= newest {
        Ok(())
    } else {
        Err(Refusal::invalid("place", format!("at most {newest}")))
    }
}

#[cfg(test)]
mod tests;
