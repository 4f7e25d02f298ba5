//! How the queue's file is opened, whatever a power cut has made of it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use outgate_store::{Error, Hook, OpenError, Room, Store};
use rusqlite::ErrorCode;

use super::error::QueueError;
use super::table::{self, SCHEMA};
use super::tally::Tally;

/// What a file that nobody can read is named after it was set aside. The next takes its place.
const DAMAGED: &str = "damaged";

/// What SQLite puts beside a file, by the ends of the names.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// Why a queue could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailed {
    /// Its file could not be.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What is in it cannot be read.
    #[error("failed to read the queue")]
    Queue(#[from] QueueError),
    /// It is damaged, and cannot be set aside.
    #[error("failed to set the damaged file {path} aside")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A queue's file.
pub(super) struct Opened {
    pub(super) store: Store<QueueError>,
    pub(super) id: [u8; 16],
    pub(super) tally: Tally,
    /// Where a file lies now that nobody can read.
    pub(super) set_aside: Option<PathBuf>,
}

/// Opens the file in `folder`. One that is damaged is set aside and another begun: a device goes
/// on without what it had to say rather than not at all.
pub(super) fn open(folder: &Path, room: Room, limit: u64) -> Result<Opened, OpenFailed> {
    match sound(folder, room, limit) {
        Err(failed) if is_damage(&failed) => {
            let path = folder.join(SCHEMA.file());
            tracing::error!(error = ?failed, ?path, "the queue is damaged and begins anew");
            let source = |source| OpenFailed::SetAside {
                path: path.clone(),
                source,
            };
            let set_aside = Some(set_aside(&path).map_err(source)?);
            let opened = sound(folder, room, limit)?;
            Ok(Opened {
                set_aside,
                ..opened
            })
        }
        opened => opened,
    }
}

fn sound(folder: &Path, room: Room, limit: u64) -> Result<Opened, OpenFailed> {
    let store = Store::<QueueError>::open(&SCHEMA, folder, room, Hook::default())?;
    let (id, tally) = store
        .read_now(|connection| Ok((table::id(connection)?, table::tally(connection, limit)?)))?;
    Ok(Opened {
        store,
        id,
        tally,
        set_aside: None,
    })
}

fn is_damage(failed: &OpenFailed) -> bool {
    let error = match failed {
        OpenFailed::Store(OpenError::Foreign { .. }) => return true,
        OpenFailed::Store(OpenError::Sqlite(error)) => error,
        OpenFailed::Queue(QueueError::Store(Error::Sqlite(error))) => error,
        OpenFailed::Store(_) | OpenFailed::Queue(_) | OpenFailed::SetAside { .. } => return false,
    };
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Gives a file, and what lies beside it, the name of one that is damaged.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let damaged = path.with_added_extension(DAMAGED);
    for end in BESIDE {
        let named = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let moved = std::fs::rename(named(path), named(&damaged));
        match moved {
            Err(error) if error.kind() == ErrorKind::NotFound && !end.is_empty() => {
                // Nothing may stay there of the one before either.
                remove(&named(&damaged))?;
            }
            moved => moved?,
        }
    }
    Ok(damaged)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}
