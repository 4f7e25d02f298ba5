//! Connections that only read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// The most reads at a time but for those that must not wait for them.
pub const MAX_READERS: usize = 8;

/// The most reads beside those, of what must not wait for them.
const MAX_FIRST_READERS: usize = 4;

/// The most findings of a check.
pub const MAX_DAMAGES: u32 = 10;

/// Connections that only read, made when needed and used again.
pub(super) struct Readers {
    file: PathBuf,
    turns: Arc<Semaphore>,
    first_turns: Arc<Semaphore>,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Connection>,
    busy: HashMap<u64, InterruptHandle>,
    /// How many reads there have been.
    reads: u64,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            turns: Arc::new(Semaphore::new(MAX_READERS)),
            first_turns: Arc::new(Semaphore::new(MAX_FIRST_READERS)),
            connections: Mutex::default(),
        }
    }

    /// Waits until fewer than [`MAX_READERS`] read.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turns = Arc::clone(&self.turns);
        turns.acquire_owned().await.map_err(|_| Error::Closing)
    }

    /// Waits until fewer than [`MAX_FIRST_READERS`] read in turns of their own. How many
    /// others read does not matter.
    pub(super) async fn first_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turns = Arc::clone(&self.first_turns);
        turns.acquire_owned().await.map_err(|_| Error::Closing)
    }

    /// Runs `work` on this thread. All that it reads is of one moment.
    pub(super) fn run<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.connections.lock().idle.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .map_err(Error::from)?,
        };
        let read = {
            let mut connections = self.connections.lock();
            connections.reads += 1;
            let read = connections.reads;
            let handle = connection.get_interrupt_handle();
            connections.busy.insert(read, handle);
            read
        };
        let done = connection
            .unchecked_transaction()
            .map_err(|error| E::from(Error::from(error)))
            .and_then(|moment| work(&moment));
        let mut connections = self.connections.lock();
        connections.busy.remove(&read);
        if connections.idle.len() < MAX_READERS + MAX_FIRST_READERS {
            connections.idle.push(connection);
        }
        done
    }

    /// Breaks off every read that is going on.
    pub(super) fn interrupt(&self) {
        for handle in self.connections.lock().busy.values() {
            handle.interrupt();
        }
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("file", &self.file).finish()
    }
}

/// Goes through the whole file and gives what is wrong with it.
pub(super) fn check(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({MAX_DAMAGES})"))?;
    let found = statement.query_map([], |row| row.get(0))?;
    let mut found: Vec<String> = found.collect::<Result<_, _>>()?;
    found.retain(|text| text != "ok");
    Ok(found)
}
