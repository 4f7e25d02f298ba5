//! The folder: made, locked, and for its owner alone.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::schema::Schema;

/// The rights of the folder, if it is made here. One that is there keeps its own.
const FOLDER_MODE: u32 = 0o700;

/// The rights of the files, also of those that SQLite makes beside ours.
pub(super) const FILE_MODE: u32 = 0o600;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder, or a file in it, cannot be made or used.
    #[error("failed to use {path} to keep data in")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("another {holder} uses {path}: stop that one, or give this one a folder of its own")]
    InUse {
        /// What keeps its data there.
        holder: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a store of Outgate")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error(
        "{path} was written by a newer version of Outgate (format {found}, this one knows \
         {known}): upgrade this one, or restore a backup that it has made"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// The system gives no thread.
    #[error("failed to start a thread for the store")]
    Thread(#[source] io::Error),
    /// SQLite cannot open it.
    #[error("failed to open the store")]
    Sqlite(#[from] rusqlite::Error),
}

/// Makes the folder and the empty file if they are not there, and locks the folder until the
/// second of what it gives is dropped. Gives the path of the file.
pub(super) fn take(folder: &Path, schema: &Schema) -> Result<(PathBuf, File), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Folder { path, source }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(failed(folder))?;
    let lock = open(&folder.join(schema.lock())).map_err(failed(folder))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse {
            holder: schema.holder,
            path: folder.to_owned(),
        },
        TryLockError::Error(source) => failed(folder)(source),
    })?;
    let file = folder.join(schema.file());
    // SQLite gives the files beside it the rights that this one has.
    open(&file).map_err(failed(&file))?;
    Ok((file, lock))
}

/// Waits until what was made in `folder` is on the disk under its name.
pub(super) fn sync(folder: &Path) -> Result<(), OpenError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        })
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != FILE_MODE {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}
