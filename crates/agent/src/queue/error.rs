//! Why the queue did not do something.

use std::time::Duration;

/// Why the queue did not do something: nothing has changed when one is returned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// More than the hub would take.
    #[error("{what}: at most {most}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The most, in the unit of what is too large.
        most: usize,
    },
    /// What the hub would never take.
    #[error("{what} must be {right}")]
    Invalid {
        /// What is wrong.
        what: &'static str,
        /// What would be right.
        right: &'static str,
    },
    /// The queue is as large as it may be, and what is in it matters more.
    #[error(
        "the queue has its {limit} bytes and holds only what matters more: raise its limit, or wait for the hub"
    )]
    Crowded {
        /// The most bytes of its file.
        limit: u64,
    },
    /// The disk has no more room, and the queue holds nothing that matters less.
    #[error("the disk that the queue lies on is full: free some of it")]
    DiskFull,
    /// More waits for the disk than may.
    #[error("too much waits for the disk")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The queue is being closed.
    #[error("the queue is being closed")]
    Closing,
    /// The disk, or what is on it, failed.
    #[error("the queue cannot use its file")]
    Store(#[source] outgate_store::Error),
}

impl From<outgate_store::Error> for QueueError {
    fn from(error: outgate_store::Error) -> Self {
        use outgate_store::Error;
        match error {
            Error::Full => Self::DiskFull,
            Error::Busy { retry_after } => Self::Busy { retry_after },
            Error::Closing => Self::Closing,
            Error::Exists { .. }
            | Error::Copying
            | Error::Copy(_)
            | Error::Sqlite(_)
            | Error::Internal(_) => Self::Store(error),
        }
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        outgate_store::Error::from(error).into()
    }
}
