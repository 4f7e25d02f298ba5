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

use crate::backup::{Backup, copy};
use crate::error::{Error, Failure};
use crate::hook::{Committed, Hook};
use crate::space::Space;
use crate::wal::Wal;
use crate::work::{Importance, Order, Write};

/// The most writes in one commit: bounds how long the first of them waits.
const MAX_BATCH: usize = 4_096;

/// The most places in one commit, 8 MiB: bounds how much of the reserve a commit may use.
const MAX_BATCH_PLACES: u32 = 4_096;

/// After so long without a write the log is brought into the file.
const IDLE: Duration = Duration::from_secs(1);

/// The thread's belongings.
pub(super) struct Committer<E> {
    orders: Receiver<Order<E>>,
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
struct Batch<E> {
    writes: Vec<Write<E>>,
    places: u32,
    backup: Option<Backup>,
}

impl<E: Failure> Committer<E> {
    pub(super) fn new(
        orders: Receiver<Order<E>>,
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
    fn wait(&mut self, connection: &Connection) -> Option<Order<E>> {
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
    fn serve(&mut self, connection: &Connection, first: Order<E>) -> Option<Backup> {
        let mut batch = Batch::of(first);
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
            self.hook.tell(&Committed {
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
    fn commit(&self, connection: &Connection, batch: &mut Vec<Write<E>>) -> Result<(), E> {
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
        batch: &mut Vec<Write<E>>,
    ) -> Result<(), Error> {
        let is_bulk = |write: &Write<E>| write.importance == Importance::Bulk;
        if batch.iter().any(is_bulk) && !self.space.has_room(connection)? {
            for write in batch.extract_if(.., |write| is_bulk(write)) {
                write.work.answer(Err(Error::Full.into()));
            }
        }
        Ok(())
    }

    fn note(&mut self, commit: &Result<(), E>) {
        match (commit, self.health) {
            (Err(failure), Health::Well) => {
                tracing::error!(error = %failure, cause = ?failure, "the store cannot write");
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
                let _ = another.reply.send(Err(Error::Copying));
            }
        });
        // Whoever waited may have gone; the copy is there all the same.
        let _ = backup.reply.send(done);
    }
}

fn apply<E: Failure>(connection: &Connection, batch: &mut [Write<E>]) -> Result<(), E> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for write in batch {
        execute(connection, "SAVEPOINT one")?;
        if let Err(failure) = write.work.apply(connection) {
            if connection.is_autocommit() {
                // SQLite gave up the whole transaction, as it may when the disk is full.
                return Err(failure);
            }
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    execute(connection, "COMMIT")?;
    Ok(())
}

fn execute(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

impl<E> Batch<E> {
    fn of(first: Order<E>) -> Self {
        let mut batch = Self {
            writes: Vec::new(),
            places: 0,
            backup: None,
        };
        batch.take(first);
        batch
    }

    fn take(&mut self, order: Order<E>) {
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
