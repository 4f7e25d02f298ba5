//! Store and forward: what the device has to say waits on disk until the hub has it.
//!
//! **Durability.** [`Queue::push`] returns once an entry is flushed to the disk, with all others
//! that were pushed meanwhile. From then on it goes only when the hub has it ([`Queue::settle`]),
//! when the hub will never take it ([`Queue::give_up`]), or by the policy below; then it is
//! counted, and the hub is told.
//!
//! **Order.** Entries of one kind that matter as much are delivered in the order in which
//! [`Queue::push`] was first polled for them. What matters more overtakes what matters less, and
//! events need not wait for logs that the hub does not take ([`Queue::batch_of`]).
//!
//! **Twice.** What was sent and not settled before a connection broke is sent again, as the same
//! [`EntryId`]. Entries of one queue that matter as much are a stream in which the number of that
//! id only goes up, so the hub needs to remember the last one to know what it has had
//! ([`deliveries`]).
//!
//! **What is dropped.**
//! - When the file is as large as it may be, a new entry takes the place of the oldest of those
//!   that matter least, as long as they do not matter more than it does. Else it is refused.
//! - When less than the reserve of the disk is free, the file does not grow: a new entry takes the
//!   place only of what matters less than it does. Else it is refused, so that what was
//!   acknowledged outlasts what somebody else does to the disk.
//! - What is older than it may be is dropped. What happened while nobody knew the time is dated
//!   once somebody does ([`Said`]); until then only what is certain counts as its age.
//! - What was given out to be sent is not dropped meanwhile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outgate_store::{Room, Space, Store};
use outgate_wire::agent::{self, Settlement};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::config;

mod care;
mod delivery;
mod entry;
mod error;
mod moment;
mod open;
mod report;
mod room;
mod settled;
mod table;
mod tally;
mod times;

pub use care::look_after;
pub use delivery::{SAID, Stretch, deliveries};
pub use entry::{
    Entry, EntryId, Kind, MAX_CONTENT_TYPE, MAX_NAME, MAX_PAYLOAD, MAX_PROPERTIES,
    MAX_PROPERTIES_BYTES, Position, Priority, Said, Waiting,
};
pub use error::QueueError;
pub(crate) use moment::up;
pub use moment::{Boot, Clock, MachineClock, Moment};
pub use open::OpenFailed;
pub use outgate_store::OpenError;
pub use report::REPORT;
pub use settled::MAX_SETTLED;
pub use tally::{Dropped, Level, Tally};

use open::Opened;

/// The most entries that are given out at once: what the hub takes at once.
pub const MAX_BATCH: usize = agent::MAX_ENTRIES;

/// The most bytes of entries that are given out at once, unless one has more.
pub const MAX_BATCH_BYTES: usize = agent::MAX_ENTRIES_BYTES;

/// The most bytes of entries that wait to be written. An entry counts at least [`LEAST`].
const MAX_WAITING: usize = 1 << 20;

/// What an entry that waits to be written counts at least, in bytes.
const LEAST: usize = 1_024;

/// When to come again after that.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The most bytes of the log beside the file after which it is copied into the file: a device's
/// disk is small. The log grows to about twice that.
const LOG: u64 = 4 << 20;

/// The fewest.
const LEAST_LOG: u64 = 256 << 10;

/// So much of the disk is left free: what [`Limits::reserve`] is by default.
pub(crate) const RESERVE: u64 = RESERVE_IN_LOGS * LOG;

/// The reserve is so many times as large as the log, so that who settles has room for it when
/// others have none.
const RESERVE_IN_LOGS: u64 = 4;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of the file. Beside it lies a log, which may take half the reserve, and at
    /// most 8 MiB.
    pub bytes: u64,
    /// How long anything is kept.
    pub keep: Duration,
    /// Bytes of the disk that are left free.
    pub reserve: u64,
}

impl From<config::Queue> for Limits {
    fn from(queue: config::Queue) -> Self {
        Self {
            bytes: queue.bytes,
            keep: queue.keep,
            reserve: RESERVE,
        }
    }
}

/// What waits on disk. Cloned freely; all clones are the same.
#[derive(Clone)]
pub struct Queue {
    store: Store<QueueError>,
    shared: Arc<Shared>,
    waiting: Arc<Semaphore>,
}

/// What the work on the writer's thread uses.
struct Shared {
    id: [u8; 16],
    limits: Limits,
    space: Space,
    clock: Arc<dyn Clock>,
    given: Mutex<Given>,
    tally: watch::Sender<Tally>,
    set_aside: Option<PathBuf>,
}

/// What this run of the agent remembers. Only the writer's thread changes it.
#[derive(Default)]
struct Given {
    /// Up to which number entries of each priority were given out to be sent.
    upto: [Upto; Priority::ALL.len()],
    /// When the hub was last told what was dropped, after the machine's start.
    reported: Option<Duration>,
}

/// The same, of each kind: they are given out apart.
#[derive(Clone, Copy, Debug, Default)]
struct Upto {
    events: u64,
    logs: u64,
}

impl Upto {
    fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Event => &mut self.events,
            Kind::Log => &mut self.logs,
        }
    }
}

impl Given {
    fn upto(&self, priority: Priority) -> Upto {
        let [background, ordinary, important] = self.upto;
        match priority {
            Priority::Background => background,
            Priority::Ordinary => ordinary,
            Priority::Important => important,
        }
    }
}

impl Queue {
    /// Opens the queue in `folder`, made for its owner alone if it is not there. A file that nobody
    /// can read is set aside ([`Queue::set_aside`]) and another begun.
    ///
    /// # Errors
    /// [`OpenFailed`].
    pub fn open(folder: &Path, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, OpenFailed> {
        let room = Room {
            // The queue looks after it itself: what is dropped for a new entry makes room for it.
            reserve: 0,
            log: (limits.reserve / RESERVE_IN_LOGS).clamp(LEAST_LOG, LOG),
        };
        let Opened {
            store,
            id,
            tally,
            set_aside,
        } = open::open(folder, room, limits.bytes)?;
        let space = Space::new(folder.join(table::SCHEMA.file()), limits.reserve);
        Ok(Self {
            store,
            shared: Arc::new(Shared {
                id,
                limits,
                space,
                clock,
                given: Mutex::default(),
                tally: watch::Sender::new(tally),
                set_aside,
            }),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
        })
    }

    /// Keeps an entry. Returns where it stands once it is on the disk; it is kept whether or not
    /// the caller goes on waiting.
    ///
    /// # Errors
    /// [`QueueError::TooLarge`] and [`QueueError::Invalid`] when the hub would never take it;
    /// [`QueueError::Crowded`] and [`QueueError::DiskFull`] when there is no room for it;
    /// [`QueueError::Busy`]; as the store.
    pub async fn push(&self, entry: Entry) -> Result<Position, QueueError> {
        entry.check()?;
        let bytes = entry.bytes();
        let turn = self.turn(bytes)?;
        let now = self.shared.clock.now();
        self.work(bytes, move |connection, shared| {
            let _turn = turn;
            keep(connection, shared, &entry, &now)
        })
        .await
    }

    /// The entries that are to be sent next, at most `most` and [`MAX_BATCH`], what matters most
    /// first; at least one if there is any. They are given again until they are settled.
    ///
    /// # Errors
    /// As the store.
    pub async fn batch(&self, most: usize) -> Result<Vec<Waiting>, QueueError> {
        self.give_out(&Kind::ALL, most).await
    }

    /// As [`Queue::batch`], of one kind. What the hub does not take of one need not keep it from the
    /// other.
    ///
    /// # Errors
    /// As [`Queue::batch`].
    pub async fn batch_of(&self, kind: Kind, most: usize) -> Result<Vec<Waiting>, QueueError> {
        let kinds = match kind {
            Kind::Event => &[Kind::Event],
            Kind::Log => &[Kind::Log],
        };
        self.give_out(kinds, most).await
    }

    async fn give_out(
        &self,
        kinds: &'static [Kind],
        most: usize,
    ) -> Result<Vec<Waiting>, QueueError> {
        // On the writer's thread, so that nothing of it is dropped before it is known to be
        // under way. It writes nothing unless there is something to report.
        self.work(0, move |connection, shared| {
            let now = shared.clock.now();
            times::note(connection, &now)?;
            report::write_if_due(connection, shared, &now)?;
            let batch = table::batch(connection, shared.id, kinds, most.min(MAX_BATCH))?;
            let mut given = shared.given.lock();
            for (priority, upto) in Priority::ALL.into_iter().zip(&mut given.upto) {
                for kind in kinds {
                    let of_it = batch.iter().filter(|waiting| {
                        (waiting.entry.priority, waiting.entry.kind) == (priority, *kind)
                    });
                    let numbers = of_it.map(|waiting| waiting.position().number);
                    *upto.of(*kind) = numbers.max().unwrap_or(0);
                }
            }
            Ok(batch)
        })
        .await
    }

    /// Forgets entries that the hub has; those that are gone already do not matter.
    ///
    /// # Errors
    /// As the store.
    pub async fn settle(&self, positions: Vec<Position>) -> Result<(), QueueError> {
        self.remove(positions, table::Fate::Settled).await
    }

    /// Forgets entries that the hub will never take, and counts them as dropped.
    ///
    /// # Errors
    /// As the store.
    pub async fn give_up(&self, positions: Vec<Position>) -> Result<(), QueueError> {
        self.remove(positions, table::Fate::Refused).await
    }

    /// Forgets what the hub says that it has of a stretch, and what it will never take.
    ///
    /// # Errors
    /// As the store.
    pub async fn reached(
        &self,
        stretch: &Stretch,
        reached: &agent::Reached,
    ) -> Result<(), QueueError> {
        let refused: HashSet<u64> = reached.refused.iter().map(|one| one.number).collect();
        let numbers = stretch.delivery.entries.iter().map(|entry| entry.number);
        let over = numbers.filter(|number| *number <= reached.place);
        let over = over.map(|number| Position {
            priority: stretch.priority,
            number,
        });
        let (refused, settled) = over.partition(|position| refused.contains(&position.number));
        self.settle(settled).await?;
        self.give_up(refused).await
    }

    /// Keeps on the disk what has become of a command: of [`MAX_SETTLED`] at most, and the oldest are
    /// forgotten.
    ///
    /// # Errors
    /// As the store.
    pub async fn keep_settled(&self, command: &str, how: Settlement) -> Result<(), QueueError> {
        let command = command.to_owned();
        self.work(command.len(), move |connection, _| {
            settled::keep(connection, &command, how)
        })
        .await
    }

    /// What has become of commands, as far as it is kept, the oldest first.
    ///
    /// # Errors
    /// As the store.
    pub async fn settled(&self) -> Result<Vec<(String, Settlement)>, QueueError> {
        self.work(0, |connection, _| settled::all(connection)).await
    }

    async fn remove(&self, positions: Vec<Position>, fate: table::Fate) -> Result<(), QueueError> {
        if positions.is_empty() {
            return Ok(());
        }
        self.work(0, move |connection, _| {
            for position in positions {
                table::remove(connection, position, fate)?;
            }
            Ok(())
        })
        .await
    }

    /// Drops what is older than it may be. To be called at the start and every hour or so.
    ///
    /// # Errors
    /// As the store.
    pub async fn tidy(&self) -> Result<(), QueueError> {
        let step = |connection: &Connection, shared: &Shared| {
            let now = shared.clock.now();
            times::note(connection, &now)?;
            room::drop_old(connection, shared, &now)
        };
        while self.work(0, step).await? {}
        Ok(())
    }

    /// How much waits, and what became of what does not; and news of that.
    #[must_use]
    pub fn tally(&self) -> watch::Receiver<Tally> {
        self.shared.tally.subscribe()
    }

    /// Where the file lies that this one took the place of when it was opened, because nobody
    /// could read it.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.shared.set_aside.as_deref()
    }

    /// Does `work` on the writer's thread, and tells of what it changed once that is on the disk.
    async fn work<T, F>(&self, bytes: usize, work: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Shared) -> Result<T, QueueError> + Send + 'static,
    {
        let (shared, teller) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let work = move |connection: &Connection| {
            let done = work(connection, &shared)?;
            Ok((done, table::tally(connection, shared.limits.bytes)?))
        };
        let tell = move |(_, tally): &(T, Tally)| {
            teller.tally.send_if_modified(|told| {
                let news = *told != *tally;
                tally.clone_into(told);
                news
            });
        };
        let done = self.store.write_bulk_then(bytes, work, tell).await;
        done.map(|(done, _)| done)
    }

    /// A part of what may wait to be written.
    fn turn(&self, bytes: usize) -> Result<OwnedSemaphorePermit, QueueError> {
        let bytes = u32::try_from(bytes.max(LEAST)).unwrap_or(u32::MAX);
        let turn = Arc::clone(&self.waiting).try_acquire_many_owned(bytes);
        turn.map_err(|_| QueueError::Busy {
            retry_after: RETRY_AFTER,
        })
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("store", &self.store)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}

/// Makes room for an entry and writes it, on the writer's thread.
fn keep(
    connection: &Connection,
    shared: &Shared,
    entry: &Entry,
    now: &Moment,
) -> Result<Position, QueueError> {
    room::make(connection, shared, entry)?;
    let boot = times::boot(connection, now)?;
    table::insert(connection, entry, boot, now)
}

#[cfg(test)]
mod tests;
