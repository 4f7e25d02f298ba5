//! A copy of the store, made while it is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::folder::FILE_MODE;
use crate::schema::Schema;

/// Pages (of 4 KiB) copied in one step, between which writes go on: 1 MiB.
const PAGES_A_STEP: i32 = 256;

/// How long to wait for somebody who is just opening or closing the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// A backup to be made.
pub(super) struct Backup {
    /// Where to.
    pub(super) file: PathBuf,
    /// Who waits for it.
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

/// Copies what `from` shows to `file`, and calls `between` after each step. The file gets its
/// name once it is whole and on the disk.
pub(super) fn copy(from: &Connection, file: &Path, mut between: impl FnMut()) -> Result<(), Error> {
    if file.exists() {
        return Err(exists(file));
    }
    let partial = Partial::create(file)?;
    let mut to = Connection::open(&partial.0)?;
    // It is synced as a whole, and thrown away if it does not come to that.
    to.pragma_update(None, "journal_mode", "OFF")?;
    to.pragma_update(None, "synchronous", "OFF")?;
    let backup = rusqlite::backup::Backup::new(from, &mut to)?;
    loop {
        let step = backup.step(PAGES_A_STEP)?;
        if step == StepResult::Done {
            break;
        }
        if step != StepResult::More {
            return Err(Error::Internal("somebody else uses the file to copy to"));
        }
        between();
    }
    drop(backup);
    to.close().map_err(|(_, error)| error)?;
    partial.name(file)
}

/// Copies the store with the tables of `schema` in `folder`, as it is now, to `file`. It may be in
/// use.
///
/// # Errors
/// [`Error::Exists`], [`Error::Full`], [`Error::Copy`] when the file cannot be made,
/// [`Error::Sqlite`].
pub fn copy_of(schema: &Schema, folder: &Path, file: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(folder.join(schema.file()), flags)?;
    from.busy_timeout(PATIENCE)?;
    // Without this each write of whoever uses the store would have the copying begin anew.
    let moment = from.unchecked_transaction()?;
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    copy(&moment, file, || {})
}

/// A file that is not whole yet. It is removed when this is dropped.
struct Partial(PathBuf);

impl Partial {
    /// Makes an empty file beside `file`, for its owner alone.
    fn create(file: &Path) -> Result<Self, Error> {
        let mut name = file.as_os_str().to_owned();
        name.push(".partial");
        let partial = Self(PathBuf::from(name));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&partial.0)
            .map_err(failed)?;
        Ok(partial)
    }

    /// Gives the file its name, unless there is one of that name.
    fn name(self, file: &Path) -> Result<(), Error> {
        File::open(&self.0)
            .and_then(|partial| partial.sync_all())
            .map_err(failed)?;
        std::fs::hard_link(&self.0, file).map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                exists(file)
            } else {
                failed(error)
            }
        })?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // If it cannot be removed there is nothing better to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn exists(file: &Path) -> Error {
    Error::Exists {
        path: file.to_owned(),
    }
}

fn failed(error: io::Error) -> Error {
    if error.kind() == ErrorKind::StorageFull {
        Error::Full
    } else {
        Error::Copy(Arc::new(error))
    }
}
