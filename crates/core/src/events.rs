//! Events: what devices say. Acknowledged only once it is on the disk.
//!
//! All events of the hub lie in one row, by their places. A device's events keep the order in
//! which [`Events::append`] was first polled for them. Events are cleared away from the old end
//! only, so what is kept has no holes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::files;
use crate::happening::{Happening, Hook};
use crate::id::{DeviceId, GrantId, SiteId};
use crate::identity::{Principal, Scope};
use crate::limits::{self, Limits, Rate, Rates};
use crate::messages::{Inbound, WillId};
use crate::refusal::Refusal;
use crate::sessions::{Pass, Session};
use crate::store::Store;

mod clearing;
pub(crate) mod row;
pub mod streams;

/// The tables of this part. The payload comes last, so that filtering by what stands before it
/// does not read it. `AUTOINCREMENT`: a place is never given twice, also when all is cleared.
pub(crate) const SCHEMA: &str = "
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    site TEXT NOT NULL,
    received INTEGER NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
";

/// The most events that [`Events::after`] gives at once.
pub const MAX_TAKEN: u32 = 1_000;

/// After so many bytes of payload [`Events::after`] gives no more at once.
pub const MAX_TAKEN_BYTES: usize = 4 << 20;

/// The most events that one call of [`Events::after`] looks at, wanted or not.
pub const MAX_LOOKED_AT: u32 = 10_000;

/// The most events that are kept together.
pub const MAX_TOGETHER: usize = 500;

/// What a device says.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What it is about: a path of 1 to 256 bytes, as `door/opened`; may be empty.
    pub name: String,
    /// A media type; empty when the device does not say.
    pub content_type: String,
    /// Named texts beside the payload: at most 64, 8 KiB together.
    pub properties: BTreeMap<String, String>,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
}

/// What else is done in the commit that keeps an event.
#[derive(Debug)]
enum Along {
    /// Nothing.
    Nothing,
    /// The packet that brought it is noted.
    Packet(Inbound),
    /// The will that it was is forgotten.
    Will(WillId),
    /// The grant of whose end it tells is ended.
    Grant(GrantId),
}

/// An event as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its place: goes up with each event of the hub, never twice the same.
    pub seq: u64,
    /// Who said it.
    pub device: DeviceId,
    /// Where that device stood.
    pub site: SiteId,
    /// What it is about.
    pub name: String,
    /// Its media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// When the hub took it.
    pub received: Timestamp,
    /// The payload.
    #[serde(skip)]
    pub payload: Bytes,
}

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// What the asker sees.
    pub scope: Scope,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
}

/// A part of the events, and where to go on.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The events, in the order of their places.
    pub events: Vec<Event>,
    /// The place up to which all has been looked at: ask `after` it next. There may be more
    /// although no event is given, while this is below [`Events::newest`].
    pub next: u64,
}

/// The events of all devices.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
    clock: Clock,
    newest: watch::Sender<u64>,
    rates: Arc<Rates<DeviceId>>,
    bound: Arc<clearing::Bound>,
    keep: Arc<AtomicU64>,
    hook: Hook,
}

impl Events {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        limits: &Limits,
        hook: Hook,
    ) -> Result<Self, Refusal> {
        let newest = store.read_now(row::newest)?;
        let rate = Rate::a_second(limits.events_a_second, limits.event_burst);
        Ok(Self {
            rates: Arc::new(Rates::new(rate, clock.clone())),
            store,
            clock,
            newest: watch::Sender::new(newest),
            bound: Arc::new(clearing::Bound::new(limits)),
            keep: Arc::new(AtomicU64::new(limits.keep.as_secs())),
            hook,
        })
    }

    /// Goes on with other limits: how often devices may say something, how long events are kept,
    /// and how large the store may be. How much of the disk is left free stays as it was.
    pub fn limit(&self, limits: &Limits) {
        let rate = Rate::a_second(limits.events_a_second, limits.event_burst);
        self.rates.set(rate);
        self.keep.store(limits.keep.as_secs(), Ordering::Relaxed);
        self.bound.set(limits);
    }

    /// Keeps what the device of `session` says. Returns its place once it is on the disk.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::TooLarge`], [`Refusal::Invalid`], [`Refusal::Limited`],
    /// [`Refusal::Full`].
    pub async fn append(&self, session: &Session, event: NewEvent) -> Result<u64, Refusal> {
        self.append_noting(session.pass(), event, None).await
    }

    /// Keeps several things that the device of `session` says: all of them, in their order, or none.
    /// Returns the place of the last.
    ///
    /// # Errors
    /// As [`Events::append`] for any of them; [`Refusal::TooLarge`] beyond [`MAX_TOGETHER`].
    pub async fn append_all(
        &self,
        session: &Session,
        events: Vec<NewEvent>,
    ) -> Result<Option<u64>, Refusal> {
        if events.len() > MAX_TOGETHER {
            let (what, limit) = ("events at once", MAX_TOGETHER as u64);
            return Err(Refusal::TooLarge { what, limit });
        }
        let (began, pass) = (Instant::now(), session.pass());
        let sizes: Vec<_> = events.iter().map(|event| event.payload.len()).collect();
        let via = pass.via();
        let kept = self.keep_all(pass, events).await;
        match &kept {
            Ok(_) => {
                for bytes in sizes {
                    let took = began.elapsed();
                    self.hook.tell(&Happening::EventKept { via, bytes, took });
                }
            }
            Err(refusal) => {
                let why = refusal.label();
                self.hook.tell(&Happening::EventRefused { why });
            }
        }
        kept
    }

    async fn keep_all(&self, pass: Pass, events: Vec<NewEvent>) -> Result<Option<u64>, Refusal> {
        pass.check()?;
        let device = pass.device()?;
        for event in &events {
            event.check()?;
        }
        let limited = |retry_after| Refusal::Limited {
            what: "events",
            retry_after,
        };
        // They are taken together: what comes after waits for them.
        self.rates.check(device).map_err(limited)?;
        let number = u32::try_from(events.len()).unwrap_or(u32::MAX);
        let ahead = self.rates.take_many_ahead(device, number);
        ahead.map_err(limited)?;
        let bytes = events.iter().map(|event| event.payload.len()).sum();
        let (clock, bound) = (self.clock.clone(), Arc::clone(&self.bound));
        let newest = self.newest.clone();
        let keep = move |connection: &Connection| {
            // Again, on the writer's thread: it may have been revoked while this waited.
            pass.check()?;
            let Principal::Device { device, site, .. } = pass.principal() else {
                return Err(Refusal::forbidden("acting as a device"));
            };
            let (now, mut last) = (clock.now(), None);
            for event in &events {
                bound.make_room(connection, event.payload.len())?;
                last = Some(row::insert(connection, device, site, now, event)?);
            }
            Ok(last)
        };
        let then = move |last: &Option<u64>| {
            if let Some(seq) = last {
                newest.send_replace(*seq);
            }
        };
        self.store.write_bulk_then(bytes, keep, then).await
    }

    /// As [`Events::append`], with the right to act of a session; and notes in the same commit the
    /// packet that brought it.
    ///
    /// # Errors
    /// As [`Events::append`].
    pub async fn append_noting(
        &self,
        pass: Pass,
        event: NewEvent,
        inbound: Option<Inbound>,
    ) -> Result<u64, Refusal> {
        let along = inbound.map_or(Along::Nothing, Along::Packet);
        self.append_along(pass, event, along).await
    }

    /// Keeps what a device that has gone left to be said, and forgets that will in the same
    /// commit. It counts like any other event, but does not wait: there is nobody to say it again.
    ///
    /// # Errors
    /// As [`Events::append`]; [`Refusal::Limited`] only when devices may send no events at all.
    pub async fn append_will(
        &self,
        pass: Pass,
        event: NewEvent,
        will: WillId,
    ) -> Result<u64, Refusal> {
        self.append_along(pass, event, Along::Will(will)).await
    }

    /// As [`Events::append_noting`], and ends in the same commit the grant of whose end the event
    /// tells.
    ///
    /// # Errors
    /// As [`Events::append`]; [`Refusal::Conflict`] when the grant has been ended before.
    pub(crate) async fn append_ending(
        &self,
        pass: Pass,
        event: NewEvent,
        grant: GrantId,
    ) -> Result<u64, Refusal> {
        self.append_along(pass, event, Along::Grant(grant)).await
    }

    async fn append_along(
        &self,
        pass: Pass,
        event: NewEvent,
        along: Along,
    ) -> Result<u64, Refusal> {
        let (began, bytes, via) = (Instant::now(), event.payload.len(), pass.via());
        let kept = self.keep_event(pass, event, along).await;
        self.hook.tell(&match &kept {
            Ok(_) => Happening::EventKept {
                via,
                bytes,
                took: began.elapsed(),
            },
            Err(refusal) => Happening::EventRefused {
                why: refusal.label(),
            },
        });
        kept
    }

    async fn keep_event(&self, pass: Pass, event: NewEvent, along: Along) -> Result<u64, Refusal> {
        pass.check()?;
        let device = pass.device()?;
        event.check()?;
        let bytes = event.payload.len();
        let allowed = match &along {
            Along::Nothing | Along::Packet(_) | Along::Grant(_) => self.rates.take(device),
            Along::Will(_) => self.rates.take_ahead(device),
        };
        allowed.map_err(|retry_after| Refusal::Limited {
            what: "events",
            retry_after,
        })?;
        let (clock, bound) = (self.clock.clone(), Arc::clone(&self.bound));
        let newest = self.newest.clone();
        let keep = move |connection: &Connection| {
            // Again, on the writer's thread: it may have been revoked while this waited.
            pass.check()?;
            let Principal::Device { device, site, .. } = pass.principal() else {
                return Err(Refusal::forbidden("acting as a device"));
            };
            bound.make_room(connection, event.payload.len())?;
            let now = clock.now();
            along.apply(connection, now)?;
            row::insert(connection, device, site, now, &event)
        };
        self.store
            .write_bulk_then(bytes, keep, move |seq| {
                newest.send_replace(*seq);
            })
            .await
    }

    /// Tells whether events can be kept at all: tries to, with nothing.
    ///
    /// # Errors
    /// What an event would be refused with: [`Refusal::Full`], [`Refusal::Limited`]; as the store.
    pub async fn room(&self) -> Result<(), Refusal> {
        let bound = Arc::clone(&self.bound);
        self.store
            .write_bulk(0, move |connection| bound.make_room(connection, 0))
            .await
    }

    /// Clears away events that have been kept long enough and that every consumer has taken, a
    /// few at a time. Gives how many.
    ///
    /// # Errors
    /// As the store.
    pub async fn clear_old(&self) -> Result<usize, Refusal> {
        let keep = Duration::from_secs(self.keep.load(Ordering::Relaxed));
        let limit = self.clock.now().before(keep);
        let mut all = 0;
        loop {
            let cleared = self
                .store
                .write(move |connection| clearing::clear_before(connection, limit))
                .await?;
            if cleared == 0 {
                return Ok(all);
            }
            all += cleared;
        }
    }

    /// Up to `limit` events (at most [`MAX_TAKEN`], and at most [`MAX_TAKEN_BYTES`] of payload)
    /// after the place `after`, out of the next [`MAX_LOOKED_AT`].
    ///
    /// # Errors
    /// [`Refusal::Expired`] when some of those are no longer kept.
    pub async fn after(
        &self,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Taken, Refusal> {
        let filter = filter.clone();
        self.store
            .read(move |connection| row::after(connection, &filter, after, limit))
            .await
    }

    /// The newest events, newest first, at most `limit` ([`MAX_TAKEN`], [`MAX_TAKEN_BYTES`]) out
    /// of the newest [`MAX_LOOKED_AT`].
    ///
    /// # Errors
    /// As the store.
    pub async fn latest(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Event>, Refusal> {
        let filter = filter.clone();
        self.store
            .read(move |connection| row::latest(connection, &filter, limit))
            .await
    }

    /// The place of the newest event, and news of newer ones.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

impl Along {
    fn apply(&self, connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Nothing => Ok(()),
            Self::Packet(inbound) => inbound.note(connection),
            Self::Will(will) => will.forget(connection),
            Self::Grant(grant) => files::end_grant(connection, grant, now),
        }
    }
}

impl NewEvent {
    /// Whether it can be an event at all, whoever says it and whenever.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`], [`Refusal::Invalid`].
    pub fn check(&self) -> Result<(), Refusal> {
        limits::check_path("name", &self.name, limits::MAX_PATH)?;
        limits::check_content_type(&self.content_type)?;
        limits::check_properties(&self.properties)?;
        limits::check_payload(&self.payload)
    }
}

#[cfg(test)]
pub(crate) mod tests;
