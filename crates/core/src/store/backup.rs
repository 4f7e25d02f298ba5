//! A copy of the store, made while it is written to.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::folder::{FILE, FILE_MODE};
use crate::refusal::Refusal;

/// Pages (of 4 KiB) copied in one step, between which writes go on: 1 MiB.
const PAGES_A_STEP: i32 = 256;

/// How long to wait for somebody who is just opening or closing the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// A backup to be made.
pub(super) struct Backup {
    /// Where to.
    pub(super) file: PathBuf,
    /// Who waits for it.
    pub(super) reply: oneshot::Sender<Result<(), Refusal>>,
}

/// Copies what `from` shows to `file`, and calls `between` after each step. The file gets its
/// name once it is whole and on the disk.
pub(super) fn copy(
    from: &Connection,
    file: &Path,
    mut between: impl FnMut(),
) -> Result<(), Refusal> {
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
            return Err(Refusal::Internal("somebody else uses the file to copy to"));
        }
        between();
    }
    drop(backup);
    to.close().map_err(|(_, error)| error)?;
    partial.name(file)
}

/// Copies the store in `folder`, as it is now, to `file`. It may be in use.
///
/// # Errors
/// [`Refusal::Exists`], [`Refusal::Full`], [`Refusal::Invalid`] when the file cannot be made,
/// [`Refusal::Store`].
pub(crate) fn copy_of(folder: &Path, file: &Path) -> Result<(), Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(folder.join(FILE), flags)?;
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
    fn create(file: &Path) -> Result<Self, Refusal> {
        let mut name = file.as_os_str().to_owned();
        name.push(".partial");
        let partial = Self(PathBuf::from(name));
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&partial.0)
            .map_err(refusal)?;
        Ok(partial)
    }

    /// Gives the file its name, unless there is one of that name.
    fn name(self, file: &Path) -> Result<(), Refusal> {
        File::open(&self.0)
            .and_then(|partial| partial.sync_all())
            .map_err(refusal)?;
        std::fs::hard_link(&self.0, file).map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                exists(file)
            } else {
                refusal(error)
            }
        })?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(refusal)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // If it cannot be removed there is nothing better to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn exists(file: &Path) -> Refusal {
    Refusal::Exists {
        what: "file",
        id: file.display().to_string(),
    }
}

fn refusal(error: io::Error) -> Refusal {
    if error.kind() == ErrorKind::StorageFull {
        Refusal::Full
    } else {
        Refusal::invalid("backup file", error.to_string())
    }
}
