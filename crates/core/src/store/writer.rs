//! The one thread that writes, and commits for all who wait together.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::refusal::Refusal;

/// The most writes that wait for the writer.
const MAX_WAITING: usize = 16_384;

/// The most writes in one commit: bounds how long the first of them waits.
const MAX_BATCH: usize = 2_048;

/// When to try again if too many writes wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where writes are handed in.
#[derive(Clone, Debug)]
pub(super) struct Writer(SyncSender<Box<dyn Work>>);

/// A write and whoever waits for it.
pub(super) trait Work: Send {
    /// Does it, and says whether it is to be kept.
    fn apply(&mut self, connection: &Connection) -> bool;
    /// Answers, once the commit has gone through or not.
    fn answer(self: Box<Self>, commit: Result<(), Refusal>);
}

/// A write whose result somebody waits for.
pub(super) struct Task<T, F> {
    work: Option<F>,
    done: Option<Result<T, Refusal>>,
    reply: oneshot::Sender<Result<T, Refusal>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, Refusal>>) -> Self {
        Self {
            work: Some(work),
            done: None,
            reply,
        }
    }
}

impl<T, F> Work for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Refusal> + Send,
{
    fn apply(&mut self, connection: &Connection) -> bool {
        self.done = self.work.take().map(|work| work(connection));
        matches!(self.done, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, commit: Result<(), Refusal>) {
        let answer = match (self.done, commit) {
            (Some(Ok(_)) | None, Err(refusal)) => Err(refusal),
            (Some(done), _) => done,
            (None, Ok(())) => Err(Refusal::Internal("a write was not done")),
        };
        // Whoever waited may have gone.
        let _ = self.reply.send(answer);
    }
}

impl Writer {
    /// Starts the thread. It ends when the last handle is dropped and all has been written.
    pub(super) fn start(connection: Connection) -> Result<Self, Refusal> {
        let (inbox, work) = sync_channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&connection, &work))
            .map_err(|_| Refusal::Internal("no thread for the store"))?;
        Ok(Self(inbox))
    }

    /// Hands in a write.
    pub(super) fn submit(&self, work: Box<dyn Work>) -> Result<(), Refusal> {
        self.0.try_send(work).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Limited {
                what: "writes at once",
                retry_after: RETRY_AFTER,
            },
            TrySendError::Disconnected(_) => Refusal::Draining,
        })
    }
}

fn run(connection: &Connection, inbox: &Receiver<Box<dyn Work>>) {
    while let Ok(first) = inbox.recv() {
        let mut batch = vec![first];
        batch.extend(inbox.try_iter().take(MAX_BATCH - 1));
        let commit = commit(connection, &mut batch);
        if let Err(refusal) = &commit {
            tracing::error!(error = %refusal, writes = batch.len(), "a commit failed");
        }
        for work in batch {
            work.answer(commit.clone());
        }
    }
}

/// Does all of `batch` and commits it. A write that refuses leaves nothing behind.
fn commit(connection: &Connection, batch: &mut [Box<dyn Work>]) -> Result<(), Refusal> {
    let done = apply(connection, batch);
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

fn apply(connection: &Connection, batch: &mut [Box<dyn Work>]) -> Result<(), Refusal> {
    let run = |statement: &str| -> Result<(), Refusal> {
        connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    };
    run("BEGIN IMMEDIATE")?;
    for work in batch {
        run("SAVEPOINT one")?;
        if !work.apply(connection) {
            if connection.is_autocommit() {
                // SQLite gave up the whole transaction, as it does when the disk is full.
                return Err(Refusal::Full);
            }
            run("ROLLBACK TO one")?;
        }
        run("RELEASE one")?;
    }
    run("COMMIT")
}
