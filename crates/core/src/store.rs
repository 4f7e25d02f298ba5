//! The disk: a SQLite file, one writer, a few readers. The device model lies in one, what devices
//! log in another.
//!
//! Whoever writes waits until what they wrote is on the disk. Writes that come while the disk is
//! busy are committed together, so the rate of acknowledged writes is not the rate of the disk's
//! flushes.
//!
//! **Durability.** The file is in WAL mode with `synchronous=FULL`: SQLite calls `fdatasync` on
//! the log before a commit returns, and only then is a write acknowledged. So an acknowledged
//! write survives the end of the process in any way, and a power cut as far as the disk keeps its
//! word about flushes. The first is tested by killing processes, the second is not tested.
//!
//! **Order.** Writes take effect in the order in which [`Store::write`] was first polled for
//! them. From then on they are done whether or not the caller goes on waiting.
//!
//! **When the disk is full.** [`Store::write_bulk`] refuses while less than the reserve is free,
//! so that [`Store::write`], for what must not fail for want of room (revocations, the audit log,
//! settling), still has some. When even that is gone both refuse with [`Refusal::Full`] and
//! nothing is kept. Both work again by themselves once there is room.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::happening::Hook;
use crate::limits::Limits;
use crate::refusal::Refusal;

mod backup;
mod committer;
mod folder;
mod readers;
mod schema;
mod space;
mod wal;
mod work;
mod writer;

pub(crate) use backup::copy_of;
pub use folder::OpenError;
pub(crate) use folder::{FILE, makes};
pub use readers::{MAX_DAMAGES, MAX_READERS};
pub(crate) use schema::{LOGS, Schema};
pub(crate) use space::used;
pub use writer::MAX_WAITING;

use work::{Importance, Order, Task, Write};

/// The hub's store.
#[derive(Clone, Debug)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<readers::Readers>,
}

impl Store {
    /// Opens the store in `folder`, made for its owner alone if it is not there, and brings its
    /// tables up to date. Leaves the default reserve free.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_with(folder, &Limits::default(), Hook::default())
    }

    /// As [`Store::open`], with the reserve of `limits`. `hook` is told of commits.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(folder: &Path, limits: &Limits, hook: Hook) -> Result<Self, OpenError> {
        Self::open_as(&schema::MODEL, folder, limits.reserve, hook)
    }

    /// As [`Store::open_with`], with the tables of `schema`, leaving `reserve` bytes of the disk
    /// free.
    pub(crate) fn open_as(
        schema: &Schema,
        folder: &Path,
        reserve: u64,
        hook: Hook,
    ) -> Result<Self, OpenError> {
        let (file, lock) = folder::take(folder)?;
        let mut connection = Connection::open(&file)?;
        schema::prepare(&mut connection, &file, schema)?;
        folder::sync(folder)?;
        let readers = Arc::new(readers::Readers::new(file.clone()));
        let wal = wal::Wal::watch(&mut connection, Arc::clone(&readers))?;
        let space = space::Space::new(file, reserve);
        Ok(Self {
            writer: writer::Writer::start(connection, lock, (wal, space), hook)?,
            readers,
        })
    }

    /// Runs `work` on the writer's thread. Returns once what it wrote is on the disk; when it
    /// returns a refusal nothing of it is kept. May use the reserve of the disk, so it is for
    /// what people do and what a hub must note, not for what devices may send as they like.
    ///
    /// # Errors
    /// What `work` refuses with; [`Refusal::Full`] when the disk has no room;
    /// [`Refusal::Limited`] when [`MAX_WAITING`] writes wait already; [`Refusal::Draining`];
    /// [`Refusal::Store`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        self.submit(Importance::Vital, 0, work, |_| ()).await
    }

    /// As [`Store::write`], for what devices send: it is refused with [`Refusal::Full`] while
    /// less than the reserve is free. `bytes` is about how much it holds while it waits.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_bulk<T, F>(&self, bytes: usize, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        self.write_bulk_then(bytes, work, |_| ()).await
    }

    /// As [`Store::write_bulk`], and runs `then` once it is on the disk and before anybody is
    /// answered, whether or not the caller still waits.
    pub(crate) async fn write_bulk_then<T, F, N>(
        &self,
        bytes: usize,
        work: F,
        then: N,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
        N: FnOnce(&T) + Send + 'static,
    {
        self.submit(Importance::Bulk, bytes, work, then).await
    }

    /// Returns once every write that was handed in before is on the disk or refused. A revocation
    /// that has ended sessions calls this before it returns: what those sessions had handed in
    /// before is then settled, and nothing of it can take effect later.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn barrier(&self) -> Result<(), Refusal> {
        self.write(|_| Ok(())).await
    }

    /// Runs `work` on a connection that sees all that has been acknowledged and cannot write. At
    /// most [`MAX_READERS`] run at once, others wait. `work` must be bounded: one that reads for
    /// so long that the log grows beyond its bound is interrupted.
    ///
    /// # Errors
    /// What `work` refuses with; [`Refusal::Store`], also for one that was interrupted.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let turn = self.readers.turn().await?;
        self.read_in(turn, work).await
    }

    /// As [`Store::read`], for making out who somebody is: in turns of its own, so that nobody who
    /// is in already and reads a lot keeps the others out.
    pub(crate) async fn read_for_login<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let turn = self.readers.login_turn().await?;
        self.read_in(turn, work).await
    }

    async fn read_in<T, F>(&self, turn: OwnedSemaphorePermit, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            let done = readers.run(work);
            drop(turn);
            done
        })
        .await
        .map_err(|_| Refusal::Internal("a reader stopped"))?
    }

    /// As [`Store::read`], on this thread: for what is read once, before anything waits.
    pub(crate) fn read_now<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.readers.run(work)
    }

    /// Copies the store as it is at the end of the copying to `file`, which must not be there
    /// yet, for its owner alone. Goes on in small steps between writes, so that nobody waits long.
    /// The copy is opened like any store once it is named `hub.sqlite` in a folder.
    ///
    /// # Errors
    /// [`Refusal::Exists`], [`Refusal::Conflict`] while another backup is being made,
    /// [`Refusal::Full`], [`Refusal::Invalid`] when the file cannot be made, [`Refusal::Store`].
    pub async fn backup(&self, file: &Path) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        self.writer.submit(Order::Backup(backup::Backup {
            file: PathBuf::from(file),
            reply,
        }))?;
        answer.await.map_err(|_| Refusal::Draining)?
    }

    /// Goes through the whole file and gives what is wrong with it, at most
    /// [`MAX_DAMAGES`] findings; nothing when it is sound. Takes as long as reading the
    /// file does, which is why opening does not do it: SQLite itself finds out what a crash left
    /// half-written, by the checksums of its log.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn check(&self) -> Result<Vec<String>, Refusal> {
        self.read(readers::check).await
    }

    async fn submit<T, F, N>(
        &self,
        importance: Importance,
        bytes: usize,
        work: F,
        then: N,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
        N: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task::new(work, then, reply));
        self.writer
            .submit(Order::Write(Write::new(importance, bytes, task)))?;
        answer.await.map_err(|_| Refusal::Draining)?
    }
}

#[cfg(test)]
mod tests;
