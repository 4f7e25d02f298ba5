//! Connections that only read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// The most reads at a time for whoever is in already.
pub const MAX_READERS: usize = 8;

/// The most reads beside those, to make out who somebody is.
const MAX_LOGIN_READERS: usize = 4;

/// The most findings of a check.
pub const MAX_DAMAGES: u32 = 10;

/// Connections that only read, made when needed and used again.
pub(super) struct Readers {
    file: PathBuf,
    turns: Arc<Semaphore>,
    login_turns: Arc<Semaphore>,
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
            login_turns: Arc::new(Semaphore::new(MAX_LOGIN_READERS)),
            connections: Mutex::default(),
        }
    }

    /// Waits until fewer than [`MAX_READERS`] read.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turns = Arc::clone(&self.turns);
        turns.acquire_owned().await.map_err(|_| Refusal::Draining)
    }

    /// Waits until fewer than [`MAX_LOGIN_READERS`] read to make out who somebody is. What those
    /// who are in already read does not matter.
    pub(super) async fn login_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turns = Arc::clone(&self.login_turns);
        turns.acquire_owned().await.map_err(|_| Refusal::Draining)
    }

    /// Runs `work` on this thread.
    pub(super) fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let idle = self.connections.lock().idle.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open_with_flags(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let read = {
            let mut connections = self.connections.lock();
            connections.reads += 1;
            let read = connections.reads;
            let handle = connection.get_interrupt_handle();
            connections.busy.insert(read, handle);
            read
        };
        let done = work(&connection);
        let mut connections = self.connections.lock();
        connections.busy.remove(&read);
        if connections.idle.len() < MAX_READERS + MAX_LOGIN_READERS {
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
pub(super) fn check(connection: &Connection) -> Result<Vec<String>, Refusal> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({MAX_DAMAGES})"))?;
    let found = statement.query_map([], |row| row.get(0))?;
    let mut found: Vec<String> = found.collect::<Result<_, _>>()?;
    found.retain(|text| text != "ok");
    Ok(found)
}
