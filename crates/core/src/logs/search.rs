//! Records as they are looked for.

use std::collections::HashMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::{
    EarlierLogs, KeptLogs, Log, LogFilter, MAX_LOOKED_AT, MAX_READ, MAX_TAKEN, MAX_TAKEN_BYTES,
    TakenLogs,
};
use crate::clock::Timestamp;
use crate::events::row::{place, signed};
use crate::id::DeviceId;
use crate::refusal::Refusal;

const COLUMNS: &str = "seq, device, site, received, severity, resource, scope, record";

/// The newest place ever given.
pub(super) fn newest(connection: &Connection) -> Result<u64, Refusal> {
    let seq = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'log'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(place(seq.unwrap_or(0)))
}

/// The oldest place that is kept, or the next one if none is.
pub(super) fn oldest(connection: &Connection) -> Result<u64, Refusal> {
    let seq: Option<i64> = connection
        .prepare_cached("SELECT min(first) FROM stretch")?
        .query_row([], |row| row.get(0))?;
    seq.map_or_else(|| Ok(newest(connection)? + 1), |seq| Ok(place(seq)))
}

/// The next records that `filter` wants.
pub(super) fn after(
    connection: &Connection,
    filter: &LogFilter,
    after: u64,
    limit: u32,
) -> Result<TakenLogs, Refusal> {
    let newest = newest(connection)?;
    let nothing = |next| TakenLogs {
        logs: Vec::new(),
        next,
        newest,
    };
    let Some(from) = first_of_interest(connection, filter, after)? else {
        return Ok(nothing(newest.max(after)));
    };
    let mut wanted = Wanted::new(connection, filter, limit);
    let (by, device) = match &filter.device {
        Some(device) => ("device = ?3 AND", device.as_str()),
        None => ("?3 = '' AND", ""),
    };
    let sql = format!("SELECT {COLUMNS} FROM log WHERE {by} seq >= ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from, MAX_LOOKED_AT, device])?;
    let (last, ended) = walk(&mut rows, &mut wanted)?;
    let next = last.map_or(place(from).saturating_sub(1).max(after), place);
    drop(rows);
    Ok(TakenLogs {
        logs: wanted.logs,
        // What is behind the last is of others.
        next: if ended { newest.max(next) } else { next },
        newest,
    })
}

/// The records before the place `before` that `filter` wants, newest first.
pub(super) fn before(
    connection: &Connection,
    filter: &LogFilter,
    before: Option<u64>,
    limit: u32,
) -> Result<EarlierLogs, Refusal> {
    let Some((from, upto)) = stretches_of_interest(connection, filter)? else {
        return Ok(EarlierLogs::default());
    };
    let upto = before.map_or(upto, |before| upto.min(signed(before)));
    let mut wanted = Wanted::new(connection, filter, limit);
    let (by, device) = match &filter.device {
        Some(device) => ("device = ?4 AND", device.as_str()),
        None => ("?4 = '' AND", ""),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM log WHERE {by} seq >= ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from, upto, MAX_LOOKED_AT, device])?;
    let (last, ended) = walk(&mut rows, &mut wanted)?;
    drop(rows);
    Ok(EarlierLogs {
        logs: wanted.logs,
        next: last.map(place).filter(|_| !ended),
    })
}

/// Looks at rows until enough of them are wanted. Gives the place of the last that was looked at,
/// and whether there is no other.
fn walk(rows: &mut Rows<'_>, wanted: &mut Wanted<'_>) -> Result<(Option<i64>, bool), Refusal> {
    let (mut last, mut looked_at) = (None, 0);
    loop {
        let full = wanted.is_full();
        let Some(row) = rows.next()? else {
            return Ok((last, looked_at < MAX_LOOKED_AT));
        };
        looked_at += 1;
        if full || wanted.look_at(row)?.is_break() {
            return Ok((last, false));
        }
        last = Some(row.get(0)?);
    }
}

/// The first place after `after` in a stretch with records of the time that is asked for; the rest
/// of what lies between is not looked at.
fn first_of_interest(
    connection: &Connection,
    filter: &LogFilter,
    after: u64,
) -> Result<Option<i64>, Refusal> {
    let from = signed(after.saturating_add(1));
    let (since, until) = between(filter);
    // The clock may have been put back, so any later stretch may have such records.
    let first: Option<i64> = connection
        .prepare_cached(
            "SELECT min(first) FROM stretch WHERE latest >= ?2 AND earliest <= ?3
             AND first >= coalesce((SELECT max(first) FROM stretch WHERE first <= ?1), 0)",
        )?
        .query_row(params![from, since, until], |row| row.get(0))?;
    Ok(first.map(|first| first.max(from)))
}

/// The first place of the stretches with records of the time that is asked for, and the first
/// behind them; none when there are none.
fn stretches_of_interest(
    connection: &Connection,
    filter: &LogFilter,
) -> Result<Option<(i64, i64)>, Refusal> {
    let (since, until) = between(filter);
    let found: (Option<i64>, Option<i64>) = connection
        .prepare_cached(
            "SELECT min(first), max(first) FROM stretch WHERE latest >= ?1 AND earliest <= ?2",
        )?
        .query_row(params![since, until], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = found else {
        return Ok(None);
    };
    let behind: Option<i64> = connection
        .prepare_cached("SELECT min(first) FROM stretch WHERE first > ?1")?
        .query_row([last], |row| row.get(0))?;
    Ok(Some((first, behind.unwrap_or(i64::MAX))))
}

/// The time that is asked for; all that there is where nothing is said.
fn between(filter: &LogFilter) -> (Timestamp, Timestamp) {
    (
        filter.since.unwrap_or(Timestamp::from_millis(i64::MIN)),
        filter.until.unwrap_or(Timestamp::from_millis(i64::MAX)),
    )
}

/// How much of a device is kept.
pub(super) fn kept(connection: &Connection, device: &DeviceId) -> Result<KeptLogs, Refusal> {
    let kept = connection
        .prepare_cached(
            "SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0), max(latest)
             FROM tally WHERE device = ?1",
        )?
        .query_row([device], |row| {
            Ok(KeptLogs {
                records: place(row.get(0)?),
                bytes: place(row.get(1)?),
                latest: row.get(2)?,
            })
        })?;
    Ok(kept)
}

/// The records found so far, up to as many as were asked for.
struct Wanted<'a> {
    connection: &'a Connection,
    filter: &'a LogFilter,
    limit: usize,
    bytes: usize,
    /// Bytes of records that have been read.
    read: usize,
    contexts: HashMap<i64, Bytes>,
    logs: Vec<Log>,
}

impl<'a> Wanted<'a> {
    fn new(connection: &'a Connection, filter: &'a LogFilter, limit: u32) -> Self {
        Self {
            connection,
            filter,
            limit: usize::try_from(limit.clamp(1, MAX_TAKEN)).unwrap_or(1),
            bytes: 0,
            read: 0,
            contexts: HashMap::new(),
            logs: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.logs.len() >= self.limit || self.read > MAX_READ
    }

    /// Takes the record of `row` if it is wanted. Breaks when it is and has no room any more.
    fn look_at(&mut self, row: &Row<'_>) -> Result<ControlFlow<()>, Refusal> {
        if !self.wants(row)? {
            return Ok(ControlFlow::Continue(()));
        }
        let resource = self.context(row.get(5)?)?;
        let scope = self.context(row.get(6)?)?;
        let record = blob(row, 7)?;
        // What is shared counts each time, for so it is told.
        let bytes = record.len() + resource.len() + scope.len();
        if !self.logs.is_empty() && self.bytes + bytes > MAX_TAKEN_BYTES {
            return Ok(ControlFlow::Break(()));
        }
        self.bytes += bytes;
        self.logs.push(Log {
            seq: place(row.get(0)?),
            device: row.get(1)?,
            site: row.get(2)?,
            received: row.get(3)?,
            severity: row.get(4)?,
            resource,
            scope,
            record: Bytes::copy_from_slice(record),
        });
        Ok(ControlFlow::Continue(()))
    }

    fn wants(&mut self, row: &Row<'_>) -> Result<bool, Refusal> {
        let filter = self.filter;
        if let Some(site) = &filter.site
            && row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)? != site.as_str()
        {
            return Ok(false);
        }
        let received: Timestamp = row.get(3)?;
        let severity: u8 = row.get(4)?;
        Ok(filter.since.is_none_or(|since| received >= since)
            && filter.until.is_none_or(|until| received < until)
            && severity >= filter.severity
            && match &filter.wants {
                Some(wants) => {
                    let record = blob(row, 7)?;
                    self.read += record.len();
                    wants(record)
                }
                None => true,
            })
    }

    fn context(&mut self, id: i64) -> Result<Bytes, Refusal> {
        if let Some(known) = self.contexts.get(&id) {
            return Ok(known.clone());
        }
        let bytes: Vec<u8> = self
            .connection
            .prepare_cached("SELECT bytes FROM context WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        let bytes = Bytes::from(bytes);
        self.contexts.insert(id, bytes.clone());
        Ok(bytes)
    }
}

fn blob<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r [u8], Refusal> {
    Ok(row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from)?)
}
