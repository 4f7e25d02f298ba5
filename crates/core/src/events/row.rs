//! Events as rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Event, EventFilter, MAX_LOOKED_AT, MAX_TAKEN, MAX_TAKEN_BYTES, NewEvent, Taken};
use crate::clock::Timestamp;
use crate::id::{DeviceId, SiteId};
use crate::identity::Scope;
use crate::refusal::Refusal;

/// Keeps an event; gives its place.
pub(super) fn insert(
    connection: &Connection,
    device: &DeviceId,
    site: &SiteId,
    received: Timestamp,
    event: &NewEvent,
) -> Result<u64, Refusal> {
    let properties = if event.properties.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&event.properties)
            .map_err(|_| Refusal::Internal("properties cannot be written"))?
    };
    let seq = connection
        .prepare_cached(
            "INSERT INTO event (device, site, received, name, content_type, properties, payload) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(params![
            device,
            site,
            received,
            event.name,
            event.content_type,
            properties,
            event.payload.as_ref(),
        ])?;
    Ok(place(seq))
}

/// The newest place ever given.
pub(crate) fn newest(connection: &Connection) -> Result<u64, Refusal> {
    let seq = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'event'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(place(seq.unwrap_or(0)))
}

/// The oldest place that is kept, or the next one if none is.
pub(crate) fn oldest(connection: &Connection) -> Result<u64, Refusal> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT min(seq) FROM event")?
        .query_row([], |row| row.get(0))?;
    seq.map_or_else(|| Ok(newest(connection)? + 1), |seq| Ok(place(seq)))
}

/// When the first event after `after` came.
pub(crate) fn received_after(
    connection: &Connection,
    after: u64,
) -> Result<Option<Timestamp>, Refusal> {
    Ok(connection
        .prepare_cached("SELECT received FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1")?
        .query_row([signed(after)], |row| row.get(0))
        .optional()?)
}

/// The next events that `filter` wants.
pub(crate) fn after(
    connection: &Connection,
    filter: &EventFilter,
    after: u64,
    limit: u32,
) -> Result<Taken, Refusal> {
    let oldest = oldest(connection)?;
    if after.saturating_add(1) < oldest {
        return Err(Refusal::Expired { oldest });
    }
    let mut wanted = Wanted::new(filter, limit);
    let mut next = after;
    let mut statement = connection.prepare_cached(
        "SELECT seq, device, site, received, name, content_type, properties, payload \
         FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![signed(after), MAX_LOOKED_AT])?;
    while !wanted.is_full()
        && let Some(row) = rows.next()?
    {
        match wanted.look_at(row)? {
            ControlFlow::Continue(()) => next = place(row.get(0)?),
            ControlFlow::Break(()) => break,
        }
    }
    Ok(Taken {
        events: wanted.events,
        next,
    })
}

/// The newest events that `filter` wants, newest first.
pub(super) fn latest(
    connection: &Connection,
    filter: &EventFilter,
    limit: u32,
) -> Result<Vec<Event>, Refusal> {
    let mut wanted = Wanted::new(filter, limit);
    let mut statement = connection.prepare_cached(
        "SELECT seq, device, site, received, name, content_type, properties, payload \
         FROM event ORDER BY seq DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([MAX_LOOKED_AT])?;
    while !wanted.is_full()
        && let Some(row) = rows.next()?
        && wanted.look_at(row)?.is_continue()
    {}
    Ok(wanted.events)
}

/// The events found so far, up to as many as were asked for.
struct Wanted<'a> {
    filter: &'a EventFilter,
    limit: usize,
    bytes: usize,
    events: Vec<Event>,
}

impl<'a> Wanted<'a> {
    fn new(filter: &'a EventFilter, limit: u32) -> Self {
        Self {
            filter,
            limit: usize::try_from(limit.clamp(1, MAX_TAKEN)).unwrap_or(1),
            bytes: 0,
            events: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.limit
    }

    /// Takes the event of `row` if it is wanted. Breaks when it is and has no room any more.
    fn look_at(&mut self, row: &Row<'_>) -> Result<ControlFlow<()>, Refusal> {
        if !self.wants(row)? {
            return Ok(ControlFlow::Continue(()));
        }
        let payload = row.get_ref(7)?.as_blob().map_err(rusqlite::Error::from)?;
        if !self.events.is_empty() && self.bytes + payload.len() > MAX_TAKEN_BYTES {
            return Ok(ControlFlow::Break(()));
        }
        self.bytes += payload.len();
        let payload = Bytes::copy_from_slice(payload);
        self.events.push(event(row, payload)?);
        Ok(ControlFlow::Continue(()))
    }

    fn wants(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let text = |column| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
        if let Some(device) = &self.filter.device
            && text(1)? != device.as_str()
        {
            return Ok(false);
        }
        if let Scope::Site(site) = &self.filter.scope
            && text(2)? != site.as_str()
        {
            return Ok(false);
        }
        if let Some(prefix) = &self.filter.prefix
            && !text(4)?.starts_with(prefix.as_str())
        {
            return Ok(false);
        }
        Ok(true)
    }
}

fn event(row: &Row<'_>, payload: Bytes) -> Result<Event, Refusal> {
    let properties = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
    let properties = if properties.is_empty() {
        BTreeMap::new()
    } else {
        serde_json::from_str(properties)
            .map_err(|_| Refusal::Internal("the properties of an event cannot be read"))?
    };
    Ok(Event {
        seq: place(row.get(0)?),
        device: row.get(1)?,
        site: row.get(2)?,
        received: row.get(3)?,
        name: row.get(4)?,
        content_type: row.get(5)?,
        properties,
        payload,
    })
}

/// SQLite's numbers are signed; places begin at 1.
pub(crate) fn place(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

/// A place as SQLite knows it.
pub(crate) fn signed(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}
