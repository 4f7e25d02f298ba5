//! What comes out of devices' own queues: kept once, however often it is sent.
//!
//! A queue numbers what it holds and sends it in that order until it hears how far the hub has come.
//! How far that is stands beside the events, in the same commit.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::clearing::Bound;
use super::row::{self, place, signed};
use super::{Events, NewEvent};
use crate::clock::Timestamp;
use crate::happening::Happening;
use crate::id::{DeviceId, SiteId};
use crate::identity::Principal;
use crate::limits::MAX_EVENT;
use crate::refusal::Refusal;
use crate::sessions::Pass;

/// The table of this part.
pub(crate) const SCHEMA: &str = "
CREATE TABLE event_stream (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The number of the last entry that was taken.
    place INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;
";

/// The most streams of a device of which the place is known. A new one takes the place of the one
/// that was silent longest.
pub const MAX_STREAMS: u32 = 16;

/// The most characters of a stream's name.
pub const MAX_STREAM_NAME: usize = 64;

/// The most entries that are sent at once.
pub const MAX_ENTRIES: usize = 256;

/// The most bytes of payload that are sent at once.
pub const MAX_ENTRIES_BYTES: usize = 2 * MAX_EVENT;

/// A part of a stream.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The stream's name: 1 to [`MAX_STREAM_NAME`] letters, digits, `-` and `_`. A queue that is made
    /// anew, and numbers from the start again, has another one.
    pub stream: String,
    /// At most [`MAX_ENTRIES`] of at most [`MAX_ENTRIES_BYTES`], by their numbers, which go up.
    pub entries: Vec<(u64, NewEvent)>,
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The number of the last entry that was taken, now or before; 0 when none was.
    pub place: u64,
    /// Entries that can never be kept, and why: they were passed over.
    pub refused: Vec<(u64, String)>,
}

/// An event that was kept.
struct Kept {
    /// Its place among all.
    seq: u64,
    /// The bytes of its payload.
    bytes: usize,
}

impl Events {
    /// Keeps those entries of a device's stream that were not kept before, all in one commit.
    ///
    /// # Errors
    /// As [`Events::append`]; then nothing was kept. [`Refusal::Invalid`] when it is no part of a
    /// stream.
    pub async fn append_stretch(&self, pass: Pass, stretch: Stretch) -> Result<Reached, Refusal> {
        let (began, via) = (Instant::now(), pass.via());
        let kept = self.keep_stretch(pass, stretch).await;
        let refused = |why| self.hook.tell(&Happening::EventRefused { why });
        match kept {
            Ok((reached, kept)) => {
                for _ in &reached.refused {
                    refused("invalid");
                }
                for Kept { bytes, .. } in kept {
                    let took = began.elapsed();
                    self.hook.tell(&Happening::EventKept { via, bytes, took });
                }
                Ok(reached)
            }
            Err(refusal) => {
                refused(refusal.label());
                Err(refusal)
            }
        }
    }

    /// As above; and what was kept.
    async fn keep_stretch(
        &self,
        pass: Pass,
        stretch: Stretch,
    ) -> Result<(Reached, Vec<Kept>), Refusal> {
        pass.check()?;
        let device = pass.device()?;
        stretch.check()?;
        let limited = |retry_after| Refusal::Limited {
            what: "events",
            retry_after,
        };
        // All of it or nothing: one that is larger than the burst would never be taken.
        self.rates.check(device).map_err(limited)?;
        let count = u32::try_from(stretch.entries.len()).unwrap_or(u32::MAX);
        let taken = self.rates.take_many_ahead(device, count.max(1));
        taken.map_err(limited)?;
        let (clock, bound) = (self.clock.clone(), Arc::clone(&self.bound));
        let (newest, bytes) = (self.newest.clone(), stretch.bytes());
        let keep = move |connection: &Connection| {
            // Again, on the writer's thread: it may have been revoked while this waited.
            pass.check()?;
            let Principal::Device { device, site, .. } = pass.principal() else {
                return Err(Refusal::forbidden("acting as a device"));
            };
            take(connection, (device, site), clock.now(), &bound, &stretch)
        };
        let (reached, kept) = self
            .store
            .write_bulk_then(bytes, keep, move |(_, kept): &(Reached, Vec<Kept>)| {
                if let Some(last) = kept.last() {
                    newest.send_replace(last.seq);
                }
            })
            .await?;
        Ok((reached, kept))
    }
}

impl Stretch {
    fn check(&self) -> Result<(), Refusal> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let name = &self.stream;
        if name.is_empty() || name.len() > MAX_STREAM_NAME || !name.bytes().all(is_name) {
            return Err(Refusal::invalid(
                "stream",
                "1 to 64 letters, digits, - and _",
            ));
        }
        if self.entries.len() > MAX_ENTRIES || self.bytes() > MAX_ENTRIES_BYTES {
            return Err(Refusal::invalid(
                "entries",
                "at most 256, of 512 KiB together",
            ));
        }
        let numbers = self.entries.iter().map(|(number, _)| *number);
        if !numbers.clone().is_sorted_by(|one, next| one < next)
            || numbers
                .clone()
                .any(|number| number == 0 || i64::try_from(number).is_err())
        {
            return Err(Refusal::invalid(
                "entries",
                "numbered from 1, each higher than the last",
            ));
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let sizes = self.entries.iter().map(|(_, event)| event.payload.len());
        sizes.fold(0, usize::saturating_add)
    }
}

/// Keeps what is new of a stretch, and notes how far the stream has come then.
fn take(
    connection: &Connection,
    (device, site): (&DeviceId, &SiteId),
    now: Timestamp,
    bound: &Bound,
    stretch: &Stretch,
) -> Result<(Reached, Vec<Kept>), Refusal> {
    let before = reached(connection, device, &stretch.stream)?;
    let mut reached = Reached {
        place: before,
        refused: Vec::new(),
    };
    let mut kept = Vec::new();
    for (number, event) in stretch
        .entries
        .iter()
        .filter(|(number, _)| *number > before)
    {
        reached.place = *number;
        if let Err(refusal) = event.check() {
            reached.refused.push((*number, refusal.to_string()));
            continue;
        }
        let bytes = event.payload.len();
        bound.make_room(connection, bytes)?;
        let seq = row::insert(connection, device, site, now, event)?;
        kept.push(Kept { seq, bytes });
    }
    note(connection, device, &stretch.stream, reached.place, now)?;
    Ok((reached, kept))
}

/// How far a stream has come; 0 when nothing is known of it.
fn reached(connection: &Connection, device: &DeviceId, name: &str) -> Result<u64, Refusal> {
    let found = connection
        .prepare_cached("SELECT place FROM event_stream WHERE device = ?1 AND name = ?2")?
        .query_row(params![device, name], |row| row.get(0))
        .optional()?;
    Ok(found.map_or(0, place))
}

/// Notes how far a stream has come, and forgets the one that was silent longest if there are too
/// many.
fn note(
    connection: &Connection,
    device: &DeviceId,
    name: &str,
    place: u64,
    now: Timestamp,
) -> Result<(), Refusal> {
    connection
        .prepare_cached(
            "INSERT INTO event_stream (device, name, place, seen) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET place = excluded.place, seen = excluded.seen",
        )?
        .execute(params![device, name, signed(place), now])?;
    connection
        .prepare_cached(
            "DELETE FROM event_stream WHERE device = ?1 AND name <> ?2 AND name NOT IN \
             (SELECT name FROM event_stream WHERE device = ?1 AND name <> ?2 \
              ORDER BY seen DESC, name LIMIT ?3)",
        )?
        .execute(params![device, name, MAX_STREAMS - 1])?;
    Ok(())
}
