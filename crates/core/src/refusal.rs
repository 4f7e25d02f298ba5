//! Why something was not done. Each dialect has its own words for these.

use std::time::Duration;

/// Why something was not done, in the caller's terms: nothing has changed when one is returned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// Nobody could be made out, or what they showed does not hold. Says no more on purpose.
    #[error("the credential is not accepted")]
    Unauthenticated,
    /// The caller is known and may not do this.
    #[error("{what} is not allowed")]
    Forbidden {
        /// What was asked for.
        what: String,
    },
    /// The credential, device or site was revoked.
    #[error("access has been revoked")]
    Revoked,
    /// The device waits for an operator's approval.
    #[error("enrolment waits for approval")]
    AwaitsApproval,
    /// There is no such thing, or none that the caller may see.
    #[error("no {what} {id}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// There is one of that name already.
    #[error("{what} {id} exists already")]
    Exists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// A value is not what it must be.
    #[error("{field}: {why}")]
    Invalid {
        /// Which value.
        field: String,
        /// What would be right.
        why: String,
    },
    /// Somebody else changed it meanwhile; read it again.
    #[error("{what} has changed meanwhile")]
    Conflict {
        /// What has changed.
        what: &'static str,
    },
    /// More than the stated limit.
    #[error("{what}: at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in the unit of what is limited.
        limit: u64,
    },
    /// As many of them are kept as may be; one must go before another comes.
    #[error("{what}: at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// Too often or too many at once.
    #[error("too many {what}")]
    Limited {
        /// Of what.
        what: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// The device is not connected, so it cannot be called.
    #[error("{device} is not connected")]
    Offline {
        /// The device.
        device: String,
    },
    /// The device is connected and takes no calls.
    #[error("{device} is connected and takes no calls")]
    TakesNoCalls {
        /// The device.
        device: String,
    },
    /// No answer within the deadline.
    #[error("no answer in time")]
    DeadlineExceeded,
    /// The events after this place have been cleared away.
    #[error("events before {oldest} are no longer kept")]
    Expired {
        /// The oldest place that is still kept.
        oldest: u64,
    },
    /// The disk has no more room. What was refused can be sent again once there is.
    #[error("the hub's disk is full")]
    Full,
    /// The hub is going down or starting.
    #[error("the hub is shutting down")]
    Draining,
    /// The system gave no random bytes.
    #[error("the system has no randomness")]
    Randomness,
    /// The store failed; its message is for the log, not for the caller.
    #[error("the hub's store failed")]
    Store(#[source] std::sync::Arc<rusqlite::Error>),
    /// Something of ours is wrong; its message is for the log, not for the caller.
    #[error("internal trouble: {0}")]
    Internal(&'static str),
}

impl Refusal {
    /// A short word for it, for the label of a counter.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden { .. } => "forbidden",
            Self::Revoked => "revoked",
            Self::AwaitsApproval => "awaits-approval",
            Self::NotFound { .. } => "not-found",
            Self::Exists { .. } => "exists",
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::TooLarge { .. } => "too-large",
            Self::TooMany { .. } => "too-many",
            Self::Limited { .. } => "limited",
            Self::Offline { .. } => "offline",
            Self::TakesNoCalls { .. } => "takes-no-calls",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Expired { .. } => "expired",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Randomness | Self::Store(_) | Self::Internal(_) => "internal",
        }
    }

    /// A value that is not what it must be.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            why: why.into(),
        }
    }

    /// A thing that is not there.
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    /// A thing that the caller may not do.
    pub fn forbidden(what: impl Into<String>) -> Self {
        Self::Forbidden { what: what.into() }
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        outgate_store::Error::from(error).into()
    }
}

impl From<outgate_store::Error> for Refusal {
    fn from(error: outgate_store::Error) -> Self {
        use outgate_store::Error;
        match error {
            Error::Full => Self::Full,
            Error::Busy { retry_after } => Self::Limited {
                what: "writes at once",
                retry_after,
            },
            Error::Closing => Self::Draining,
            Error::Exists { path } => Self::Exists {
                what: "file",
                id: path.display().to_string(),
            },
            Error::Copying => Self::Conflict { what: "the backup" },
            Error::Copy(error) => Self::invalid("backup file", error.to_string()),
            Error::Sqlite(error) => Self::Store(error),
            Error::Internal(what) => Self::Internal(what),
        }
    }
}
