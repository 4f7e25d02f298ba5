//! The disk: one SQLite file, one writer, a few readers.
//!
//! Whoever writes waits until what they wrote is on the disk. Writes that come while the disk is
//! busy are committed together, so the rate of acknowledged writes is not the rate of the disk's
//! flushes.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::refusal::Refusal;

mod readers;
mod schema;
mod writer;

/// The hub's store.
#[derive(Clone, Debug)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<readers::Readers>,
}

impl Store {
    /// Opens the store in `folder`, which exists, and brings its tables up to date.
    ///
    /// # Errors
    /// [`Refusal::Store`] when the file is not a store of this version or an older one, or the
    /// disk refuses it.
    pub fn open(folder: &Path) -> Result<Self, Refusal> {
        let file = folder.join("hub.sqlite");
        let mut connection = Connection::open(&file)?;
        schema::prepare(&mut connection)?;
        Ok(Self {
            writer: writer::Writer::start(connection)?,
            readers: Arc::new(readers::Readers::new(file)),
        })
    }

    /// Runs `work` on the writer's thread. Returns once what it wrote is on the disk; when it
    /// returns a refusal nothing of it is kept.
    ///
    /// # Errors
    /// What `work` refuses with; [`Refusal::Full`] when the disk has no room; [`Refusal::Store`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.writer
            .submit(Box::new(writer::Task::new(work, reply)))?;
        answer.await.map_err(|_| Refusal::Draining)?
    }

    /// Runs `work` on a connection that sees all that has been acknowledged and cannot write.
    ///
    /// # Errors
    /// What `work` refuses with; [`Refusal::Store`].
    pub async fn read<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Refusal> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || readers.run(work))
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
}
