//! The one thread that writes, and commits for all who wait together.
//!
//! It takes whatever waits, applies it in one transaction, commits, answers, and takes what has
//! come meanwhile. No timer: a lone write is committed at once, and the slower the disk, the more
//! go together.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::backup::{Backup, copy};
use super::space::Space;
use super::wal::Wal;
use super::work::{Importance, Order, Write};
use crate::happening::{Happening, Hook};
use crate::refusal::Refusal;

/// The most writes in one commit: bounds how long the first of them waits.
const MAX_BATCH: usize = 4_096;

/// The most places in one commit, 8 MiB: bounds how much of the reserve a commit may use.
const MAX_BATCH_PLACES: u32 = 4_096;

/// After so long without a write the log is brought into the file.
const IDLE: Duration = Duration::from_secs(1);

/// The thread's belongings.
pub(super) struct Committer {
    orders: Receiver<Order>,
    places: Arc<Semaphore>,
    wal: Wal,
    space: Space,
    hook: Hook,
    health: Health,
}

/// How the last commit went, so that a full disk is logged once and not for each batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    Failing,
}

/// What came together.
#[derive(Default)]
struct Batch {
    writes: Vec<Write>,
    places: u32,
    backup: Option<Backup>,
}

impl Committer {
    pub(super) fn new(
        orders: Receiver<Order>,
        places: Arc<Semaphore>,
        (wal, space): (Wal, Space),
        hook: Hook,
    ) -> Self {
        Self {
            orders,
            places,
            wal,
            space,
            hook,
            health: Health::Well,
        }
    }

    /// Serves until nobody can hand in anything any more.
    pub(super) fn run(mut self, connection: &Connection) {
        while let Some(first) = self.wait(connection) {
            if let Some(backup) = self.serve(connection, first) {
                self.back_up(connection, backup);
            }
        }
    }

    /// Waits for an order; rests when there is none for a while.
    fn wait(&mut self, connection: &Connection) -> Option<Order> {
        loop {
            if !self.wal.is_dirty() {
                return self.orders.recv().ok();
            }
            match self.orders.recv_timeout(IDLE) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => self.wal.rest(connection),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Does `first` and all writes that wait behind it, up to a backup, which is handed back.
    fn serve(&mut self, connection: &Connection, first: Order) -> Option<Backup> {
        let mut batch = Batch::default();
        batch.take(first);
        while batch.has_room()
            && let Ok(order) = self.orders.try_recv()
        {
            batch.take(order);
        }
        if batch.writes.is_empty() {
            return batch.backup;
        }
        let writes = batch.writes.len();
        let _traced = tracing::debug_span!("commit", db.system.name = "sqlite", writes).entered();
        let began = Instant::now();
        let commit = self.commit(connection, &mut batch.writes);
        self.note(&commit);
        if commit.is_ok() {
            self.hook.tell(&Happening::Committed {
                writes,
                took: began.elapsed(),
            });
        }
        self.places.add_permits(batch.places as usize);
        for write in batch.writes {
            write.work.answer(commit.clone());
        }
        self.wal.after_commit(connection);
        batch.backup
    }

    /// Does all of `batch` and commits it. A write that refuses leaves nothing behind, and when
    /// the commit fails none does.
    fn commit(&self, connection: &Connection, batch: &mut Vec<Write>) -> Result<(), Refusal> {
        if !connection.is_autocommit() {
            // The last roll-back failed.
            execute(connection, "ROLLBACK")?;
        }
        self.refuse_bulk_if_full(connection, batch)?;
        let done = apply(connection, batch);
        if done.is_err() && !connection.is_autocommit() {
            execute(connection, "ROLLBACK")?;
        }
        done
    }

    /// Answers what may not use the reserve when only that is left.
    fn refuse_bulk_if_full(
        &self,
        connection: &Connection,
        batch: &mut Vec<Write>,
    ) -> Result<(), Refusal> {
        let is_bulk = |write: &Write| write.importance == Importance::Bulk;
        if batch.iter().any(is_bulk) && !self.space.has_room(connection)? {
            for write in batch.extract_if(.., |write| is_bulk(write)) {
                write.work.answer(Err(Refusal::Full));
            }
        }
        Ok(())
    }

    fn note(&mut self, commit: &Result<(), Refusal>) {
        match (commit, self.health) {
            (Err(refusal), Health::Well) => {
                tracing::error!(error = %refusal, cause = ?refusal, "the store cannot write");
                self.health = Health::Failing;
            }
            (Ok(()), Health::Failing) => {
                tracing::info!("the store can write again");
                self.health = Health::Well;
            }
            (Err(_), Health::Failing) | (Ok(()), Health::Well) => {}
        }
    }

    /// Copies the file. Writes go on between the steps, through the same connection: SQLite then
    /// carries them over to the copy instead of beginning again.
    fn back_up(&mut self, connection: &Connection, backup: Backup) {
        let done = copy(connection, &backup.file, || {
            let next = self.orders.try_recv().ok();
            if let Some(another) = next.and_then(|order| self.serve(connection, order)) {
                let _ = another
                    .reply
                    .send(Err(Refusal::Conflict { what: "the backup" }));
            }
        });
        // Whoever waited may have gone; the copy is there all the same.
        let _ = backup.reply.send(done);
    }
}

fn apply(connection: &Connection, batch: &mut [Write]) -> Result<(), Refusal> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for write in batch {
        execute(connection, "SAVEPOINT one")?;
        if let Err(refusal) = write.work.apply(connection) {
            if connection.is_autocommit() {
                // SQLite gave up the whole transaction, as it may when the disk is full.
                return Err(refusal);
            }
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, statement: &str) -> Result<(), Refusal> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

impl Batch {
    fn take(&mut self, order: Order) {
        match order {
            Order::Write(write) => {
                self.places += write.places;
                self.writes.push(write);
            }
            Order::Backup(backup) => self.backup = Some(backup),
        }
    }

    fn has_room(&self) -> bool {
        self.writes.len() < MAX_BATCH && self.places < MAX_BATCH_PLACES && self.backup.is_none()
    }
}
