//! What devices log: kept for a while, searched, sent on. Acknowledged only once it is on the disk.
//!
//! It lies in a file of its own, so that a device that logs a lot neither slows down nor crowds out
//! what is acted on. The records themselves are bytes here, which whoever hands them in can read.
//!
//! All records of the hub lie in one row, by their places, in **stretches**: each of one day (in
//! UTC, by the hub's clock) and of limited size. A stretch goes as a whole, the oldest first; and
//! it says between which moments its records came, so that a search for a time need not look at
//! all.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::happening::{Happening, Hook};
use crate::id::{DeviceId, SiteId};
use crate::identity::{Principal, Scope};
use crate::limits::{Limits, Rate, Rates};
use crate::refusal::Refusal;
use crate::sessions::Pass;
use crate::store::{self, OpenError, Store};

mod forwarding;
mod search;
mod stretch;

/// The folder of the file, in the data folder.
pub const FOLDER: &str = "logs";

/// The most records that [`Logs::after`] gives at once.
pub const MAX_TAKEN: u32 = 1_000;

/// After so many bytes [`Logs::after`] gives no more at once.
pub const MAX_TAKEN_BYTES: usize = 4 << 20;

/// The most records that one call of [`Logs::after`] looks at, wanted or not.
pub const MAX_LOOKED_AT: u32 = 10_000;

/// After so many bytes of records that [`LogFilter::wants`] has read it looks at no more.
pub const MAX_READ: usize = 32 << 20;

/// The tables of this part. What records share (what they are about, and what wrote them) is kept
/// once a stretch. `AUTOINCREMENT`: a place is never given twice, also when all is cleared.
pub(crate) const SCHEMA: &str = "
CREATE TABLE stretch (
    first INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE context (
    id INTEGER PRIMARY KEY,
    stretch INTEGER NOT NULL,
    digest BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX context_once ON context (stretch, digest);
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    site TEXT NOT NULL,
    received INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    resource INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX log_by_device ON log (device, seq);
CREATE TABLE tally (
    stretch INTEGER NOT NULL,
    device TEXT NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    PRIMARY KEY (stretch, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_by_device ON tally (device);
CREATE TABLE forwarding (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    place INTEGER NOT NULL
) STRICT;
";

/// What a device logs, all of which is kept or nothing.
#[derive(Clone, Debug, Default)]
pub struct NewLogs {
    /// What records are about, and what wrote them.
    pub contexts: Vec<Bytes>,
    /// The records, in order.
    pub records: Vec<NewLog>,
}

/// A record.
#[derive(Clone, Debug)]
pub struct NewLog {
    /// What it is about, by its place among [`NewLogs::contexts`].
    pub resource: usize,
    /// What wrote it, by its place among [`NewLogs::contexts`].
    pub scope: usize,
    /// How bad it is, 0 to 24.
    pub severity: u8,
    /// What it says.
    pub record: Bytes,
}

/// A record as it is kept.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its place: goes up with each record of the hub, never twice the same.
    pub seq: u64,
    /// Who logged it.
    pub device: DeviceId,
    /// Where that device stood.
    pub site: SiteId,
    /// When the hub took it.
    pub received: Timestamp,
    /// How bad it is, 0 to 24.
    pub severity: u8,
    /// What it is about.
    pub resource: Bytes,
    /// What wrote it.
    pub scope: Bytes,
    /// What it says.
    pub record: Bytes,
}

/// Whether a record, as its bytes, is wanted.
pub type Wants = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Which records are wanted.
#[derive(Clone, Default)]
pub struct LogFilter {
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only from this site.
    pub site: Option<SiteId>,
    /// Only those that the hub took at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those that the hub took before this moment.
    pub until: Option<Timestamp>,
    /// Only those at least so bad.
    pub severity: u8,
    /// Only those of which this is true.
    pub wants: Option<Wants>,
}

/// A part of the records, and where to go on.
#[derive(Clone, Debug)]
pub struct TakenLogs {
    /// The records, in the order of their places.
    pub logs: Vec<Log>,
    /// The place up to which all has been looked at: ask `after` it next. There may be more
    /// although no record is given, while this is below `newest`.
    pub next: u64,
    /// The newest place there was.
    pub newest: u64,
}

/// Records that were looked for from the newest on.
#[derive(Clone, Debug, Default)]
pub struct EarlierLogs {
    /// The records, newest first.
    pub logs: Vec<Log>,
    /// The place down to which all has been looked at: ask `before` it next. There may be more
    /// although no record is given; none when there is nothing before.
    pub next: Option<u64>,
}

/// How much is kept of what a device logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptLogs {
    /// How many records.
    pub records: u64,
    /// How many bytes, about, that they take of what may be kept of all devices.
    pub bytes: u64,
    /// When the hub took the last of them; none when none is kept.
    pub latest: Option<Timestamp>,
}

/// What devices log.
#[derive(Clone, Debug)]
pub struct Logs {
    store: Store,
    clock: Clock,
    newest: watch::Sender<u64>,
    rates: Arc<Rates<DeviceId>>,
    most: Arc<AtomicU64>,
    keep: Arc<AtomicU64>,
    hook: Hook,
}

impl Logs {
    /// Opens the file in the data folder, or makes it.
    pub(crate) fn open(
        data: &Path,
        clock: Clock,
        limits: &Limits,
        hook: Hook,
    ) -> Result<Self, OpenError> {
        let reserve = limits.reserve.saturating_mul(2);
        let folder = data.join(FOLDER);
        let store = store::open_logs(&folder, reserve)?;
        let newest = store.read_now(search::newest)?;
        let rate = Rate::a_second(limits.logs_a_second, limits.log_burst);
        Ok(Self {
            rates: Arc::new(Rates::new(rate, clock.clone())),
            store,
            clock,
            newest: watch::Sender::new(newest),
            most: Arc::new(AtomicU64::new(limits.log_bytes)),
            keep: Arc::new(AtomicU64::new(limits.keep_logs.as_secs())),
            hook,
        })
    }

    /// The disk that they lie on.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Goes on with other limits. How much of the disk is left free stays as it was.
    pub(crate) fn limit(&self, limits: &Limits) {
        let rate = Rate::a_second(limits.logs_a_second, limits.log_burst);
        self.rates.set(rate);
        self.most.store(limits.log_bytes, Ordering::Relaxed);
        let keep = limits.keep_logs.as_secs();
        self.keep.store(keep, Ordering::Relaxed);
    }

    /// Whether the device of `pass` may log now: to be asked before anything else is done for it.
    ///
    /// # Errors
    /// [`Refusal::Limited`]; [`Refusal::Forbidden`] when it is no device's.
    pub fn allow(&self, pass: &Pass) -> Result<(), Refusal> {
        let allowed = self.rates.check(pass.device()?);
        let allowed = allowed.map_err(limited);
        self.tell_refused(&allowed);
        allowed
    }

    /// Keeps what the device of `pass` logs. Returns the place of the last record once all are on
    /// the disk; the newest place when there are none.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Limited`], [`Refusal::Full`]; as the store.
    pub async fn append(&self, pass: Pass, logs: NewLogs) -> Result<u64, Refusal> {
        let records = logs.records.len();
        let bytes = logs.bytes();
        let kept = self.keep(pass, logs, bytes).await;
        match &kept {
            Ok(_) => self.hook.tell(&Happening::LogsKept { records, bytes }),
            Err(_) => self.tell_refused(&kept),
        }
        kept
    }

    async fn keep(&self, pass: Pass, logs: NewLogs, bytes: usize) -> Result<u64, Refusal> {
        pass.check()?;
        let device = pass.device()?;
        // All of a request or nothing: one that is larger than the burst would never be taken.
        self.rates.check(device).map_err(limited)?;
        let count = u32::try_from(logs.records.len()).unwrap_or(u32::MAX);
        let taken = self.rates.take_many_ahead(device, count.max(1));
        taken.map_err(limited)?;
        let (clock, most) = (self.clock.clone(), self.most.load(Ordering::Relaxed));
        let newest = self.newest.clone();
        let keep = move |connection: &Connection| {
            // Again, on the writer's thread: it may have been revoked while this waited.
            pass.check()?;
            let Principal::Device { device, site, .. } = pass.principal() else {
                return Err(Refusal::forbidden("acting as a device"));
            };
            stretch::make_room(connection, most)?;
            stretch::append(connection, (device, site), clock.now(), &logs)
        };
        self.store
            .write_bulk_then(bytes, keep, move |seq| {
                newest.send_replace(*seq);
            })
            .await
    }

    fn tell_refused<T>(&self, done: &Result<T, Refusal>) {
        if let Err(refusal) = done {
            let why = refusal.label();
            self.hook.tell(&Happening::LogsRefused { why });
        }
    }

    /// Clears away what has been kept long enough, a stretch at a time. Gives how many records.
    ///
    /// # Errors
    /// As the store.
    pub async fn clear_old(&self) -> Result<u64, Refusal> {
        let keep = Duration::from_secs(self.keep.load(Ordering::Relaxed));
        let limit = self.clock.now().before(keep);
        let mut all = 0;
        loop {
            let clear = move |connection: &Connection| stretch::clear_before(connection, limit);
            match self.store.write(clear).await? {
                0 => return Ok(all),
                cleared => all += cleared,
            }
        }
    }

    /// Up to `limit` records (at most [`MAX_TAKEN`], and at most [`MAX_TAKEN_BYTES`]) after the
    /// place `after`, out of the next [`MAX_LOOKED_AT`] and
    /// [`MAX_READ`]; from the oldest that are kept when those
    /// after it are not.
    ///
    /// # Errors
    /// As the store.
    pub async fn after(
        &self,
        filter: &LogFilter,
        after: u64,
        limit: u32,
    ) -> Result<TakenLogs, Refusal> {
        let filter = filter.clone();
        self.store
            .read(move |connection| search::after(connection, &filter, after, limit))
            .await
    }

    /// Up to `limit` records (bounded as [`Logs::after`] is) before the place `before`, or from the
    /// newest on, newest first.
    ///
    /// # Errors
    /// As the store.
    pub async fn before(
        &self,
        filter: &LogFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<EarlierLogs, Refusal> {
        let filter = filter.clone();
        self.store
            .read(move |connection| search::before(connection, &filter, before, limit))
            .await
    }

    /// How much is kept of what a device logs.
    ///
    /// # Errors
    /// As the store.
    pub async fn kept(&self, device: &DeviceId) -> Result<KeptLogs, Refusal> {
        let device = device.clone();
        self.store
            .read(move |connection| search::kept(connection, &device))
            .await
    }

    /// The place of the newest record, and news of newer ones.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The oldest place that is kept, or the next one if none is.
    ///
    /// # Errors
    /// As the store.
    pub async fn oldest(&self) -> Result<u64, Refusal> {
        self.store.read(search::oldest).await
    }
}

impl LogFilter {
    /// Of what somebody sees.
    #[must_use]
    pub fn seen_by(scope: Scope) -> Self {
        let site = match scope {
            Scope::All => None,
            Scope::Site(site) => Some(site),
        };
        Self {
            site,
            ..Self::default()
        }
    }
}

impl std::fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogFilter")
            .field("device", &self.device)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl NewLogs {
    fn bytes(&self) -> usize {
        let contexts: usize = self.contexts.iter().map(Bytes::len).sum();
        let records: usize = self.records.iter().map(|log| log.record.len()).sum();
        contexts + records
    }
}

fn limited(retry_after: Duration) -> Refusal {
    Refusal::Limited {
        what: "log records",
        retry_after,
    }
}

#[cfg(test)]
mod tests;
