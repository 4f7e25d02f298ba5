//! A SQLite file with one writer and a few readers. What is in it is its user's, who gives a
//! [`Schema`] and has work done on connections.
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
//! so that [`Store::write`], for what must not fail for want of room, still has some. When even
//! that is gone both refuse with [`Error::Full`] and nothing is kept. Both work again by themselves once there is room.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

mod backup;
mod committer;
mod error;
mod folder;
mod hook;
mod readers;
mod schema;
mod space;
mod wal;
mod work;
mod writer;

pub use backup::copy_of;
pub use error::{Error, Failure};
pub use folder::OpenError;
pub use hook::{Committed, Hook};
pub use readers::{MAX_DAMAGES, MAX_READERS};
pub use schema::Schema;
pub use space::{LOG, Room, Space, Use, used};
pub use writer::MAX_WAITING;

use work::{Importance, Order, Task, Write};

/// A store whose users fail with `E`.
pub struct Store<E = Error> {
    writer: writer::Writer<E>,
    readers: Arc<readers::Readers>,
}

impl<E: Failure> Store<E> {
    /// Opens the store with the tables of `schema` in `folder`, made for its owner alone if it is
    /// not there, and brings its tables up to date. Uses the disk as `room` says. `hook`
    /// is told of commits.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(schema: &Schema, folder: &Path, room: Room, hook: Hook) -> Result<Self, OpenError> {
        let (file, lock) = folder::take(folder, schema)?;
        let mut connection = Connection::open(&file)?;
        schema::prepare(&mut connection, &file, schema)?;
        folder::sync(folder)?;
        let readers = Arc::new(readers::Readers::new(file.clone()));
        let wal = wal::Wal::watch(&mut connection, Arc::clone(&readers), room.log)?;
        let space = Space::new(file, room.reserve);
        Ok(Self {
            writer: writer::Writer::start(connection, lock, (wal, space), hook)?,
            readers,
        })
    }

    /// Runs `work` on the writer's thread. Returns once what it wrote is on the disk; when it
    /// fails nothing of it is kept. May use the reserve of the disk, so it is for what must be
    /// noted, not for what others may send as they like.
    ///
    /// # Errors
    /// What `work` fails with; [`Error::Full`] when the disk has no room; [`Error::Busy`] when
    /// [`MAX_WAITING`] writes wait already; [`Error::Closing`]; [`Error::Sqlite`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.submit(Importance::Vital, 0, work, |_| ()).await
    }

    /// As [`Store::write`], for what others send: it is refused with [`Error::Full`] while less
    /// than the reserve is free. `bytes` is about how much it holds while it waits.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_bulk<T, F>(&self, bytes: usize, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        self.write_bulk_then(bytes, work, |_| ()).await
    }

    /// As [`Store::write_bulk`], and runs `then` once it is on the disk and before anybody is
    /// answered, whether or not the caller still waits.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_bulk_then<T, F, N>(&self, bytes: usize, work: F, then: N) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        N: FnOnce(&T) + Send + 'static,
    {
        self.submit(Importance::Bulk, bytes, work, then).await
    }

    /// Returns once every write that was handed in before is on the disk or refused: nothing of
    /// them can take effect later.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn barrier(&self) -> Result<(), E> {
        self.write(|_| Ok(())).await
    }

    /// Runs `work` on a connection that sees all that has been acknowledged and cannot write. At
    /// most [`MAX_READERS`] run at once, others wait. `work` must be bounded: one that reads for
    /// so long that the log grows beyond its bound is interrupted.
    ///
    /// # Errors
    /// What `work` fails with; [`Error::Sqlite`], also for one that was interrupted.
    pub async fn read<T, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let turn = self.readers.turn().await?;
        self.read_in(turn, work).await
    }

    /// As [`Store::read`], for what must not wait for others that read a lot, such as making out
    /// who somebody is: in turns of its own.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_first<T, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let turn = self.readers.first_turn().await?;
        self.read_in(turn, work).await
    }

    async fn read_in<T, F>(&self, turn: OwnedSemaphorePermit, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            let done = readers.run(work);
            drop(turn);
            done
        })
        .await
        .map_err(|_| Error::Internal("a reader stopped"))?
    }

    /// As [`Store::read`], on this thread: for what is read once, before anything waits.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_now<T>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        self.readers.run(work)
    }

    /// Copies the store as it is at the end of the copying to `file`, which must not be there
    /// yet, for its owner alone. Goes on in small steps between writes, so that nobody waits long.
    /// The copy is opened like any store once it is named [`Schema::file`] in a folder.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Copying`] while another copy is being made, [`Error::Full`],
    /// [`Error::Copy`] when the file cannot be made, [`Error::Sqlite`].
    pub async fn backup(&self, file: &Path) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.writer.submit(Order::Backup(backup::Backup {
            file: PathBuf::from(file),
            reply,
        }))?;
        answer.await.map_err(|_| Error::Closing)?
    }

    /// Goes through the whole file and gives what is wrong with it, at most
    /// [`MAX_DAMAGES`] findings; nothing when it is sound. Takes as long as reading the
    /// file does, which is why opening does not do it: SQLite itself finds out what a crash left
    /// half-written, by the checksums of its log.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn check(&self) -> Result<Vec<String>, E> {
        self.read(|connection| Ok(readers::check(connection)?))
            .await
    }

    async fn submit<T, F, N>(
        &self,
        importance: Importance,
        bytes: usize,
        work: F,
        then: N,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        N: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task::new(work, then, reply));
        self.writer
            .submit(Order::Write(Write::new(importance, bytes, task)))?;
        answer.await.map_err(|_| Error::Closing)?
    }
}

impl<E> Clone for Store<E> {
    fn clone(&self) -> Self {
        Self {
            writer: self.writer.clone(),
            readers: Arc::clone(&self.readers),
        }
    }
}

impl<E> fmt::Debug for Store<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
