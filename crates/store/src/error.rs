//! Why something was not done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why something was not done: nothing has changed when one is returned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The disk has no more room.
    #[error("the disk is full")]
    Full,
    /// More writes wait than may.
    #[error("too many writes at once")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The store is being closed.
    #[error("the store is being closed")]
    Closing,
    /// There is a file already where a copy was to be.
    #[error("{path} exists already")]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A copy is being made already.
    #[error("a copy is being made already")]
    Copying,
    /// The file for a copy cannot be made.
    #[error("failed to make the file of a copy")]
    Copy(#[source] Arc<std::io::Error>),
    /// SQLite cannot do it.
    #[error("SQLite failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// Something of ours is wrong.
    #[error("internal trouble: {0}")]
    Internal(&'static str),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

/// What the work of a store's user fails with. It can be made of what the store fails with, since
/// whoever waits for their work learns of both in one way.
pub trait Failure: From<Error> + Clone + std::error::Error + Send + Sync + 'static {}

impl<E: From<Error> + Clone + std::error::Error + Send + Sync + 'static> Failure for E {}
