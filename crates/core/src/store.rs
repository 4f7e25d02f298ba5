//! What lies on the disk: the device model in one store, what devices log in another.
//!
//! [`Store::write_bulk`](outgate_store::Store::write_bulk) is for what devices send,
//! [`Store::write`](outgate_store::Store::write) for what people do and what a hub must note:
//! revocations, the audit log, settling.

use std::io;
use std::path::{Path, PathBuf};

use outgate_store::{Committed, Room, Schema};

use crate::happening::{Happening, Hook};
use crate::limits::Limits;
use crate::refusal::Refusal;

pub(crate) use outgate_store::{copy_of, used};

/// The hub's store, whose users refuse.
pub type Store = outgate_store::Store<Refusal>;

/// The device model: "OutG".
pub(crate) const MODEL: Schema = Schema {
    holder: "hub",
    application: 0x4f75_7447,
    versions: &[
        &[
            crate::identity::SCHEMA,
            crate::identity::NEIGHBOURS_SCHEMA,
            crate::audit::SCHEMA,
            crate::events::SCHEMA,
            crate::events::streams::SCHEMA,
            crate::consumers::SCHEMA,
            crate::commands::SCHEMA,
            crate::twin::SCHEMA,
            crate::messages::SCHEMA,
            crate::idempotency::SCHEMA,
            crate::webhooks::SCHEMA,
            crate::assets::SCHEMA,
            crate::trees::SCHEMA,
            crate::registrations::SCHEMA,
            crate::reminders::SCHEMA,
            crate::templates::SCHEMA,
        ],
        &[
            crate::files::SCHEMA,
            crate::files::CONTENT_SCHEMA,
            crate::tables::SCHEMA,
            crate::commands::SEALED_SCHEMA,
        ],
        &[crate::files::RUNS_SCHEMA],
        &[crate::support::SCHEMA],
        &[crate::releases::SCHEMA, crate::deployments::SCHEMA],
        &[crate::spaces::SCHEMA],
        &[crate::deployments::PLAN_SCHEMA, crate::twin::TAGS_SCHEMA],
        &[crate::schedules::SCHEMA],
        &[crate::commands::COURSE_SCHEMA],
    ],
};

/// What devices log: "OutL".
pub(crate) const LOGS: Schema = Schema {
    holder: "hub",
    application: 0x4f75_744c,
    versions: &[&[crate::logs::SCHEMA]],
};

/// Why what lies on the disk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A store could not be.
    #[error(transparent)]
    Store(#[from] outgate_store::OpenError),
    /// The folder, or a file in it, cannot be made or used.
    #[error("failed to use {path} for the hub's data")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in a store cannot be read.
    #[error("failed to read the hub's store")]
    Refused(#[from] Refusal),
}

/// Opens the device model in `folder`, with the reserve of `limits`. `hook` is told of commits.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open(folder: &Path, limits: &Limits, hook: Hook) -> Result<Store, OpenError> {
    let hook = outgate_store::Hook::new(move |&Committed { writes, took }| {
        hook.tell(&Happening::Committed { writes, took });
    });
    Ok(Store::open(
        &MODEL,
        folder,
        Room::leaving(limits.reserve),
        hook,
    )?)
}

/// Opens what devices log, in `folder`, leaving `reserve` bytes of the disk free.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn open_logs(folder: &Path, reserve: u64) -> Result<Store, OpenError> {
    let hook = outgate_store::Hook::default();
    Ok(Store::open(&LOGS, folder, Room::leaving(reserve), hook)?)
}

/// The device model in `folder`, for tests of a part that uses it.
#[cfg(test)]
pub(crate) fn of_tests(folder: &Path) -> Store {
    open(folder, &Limits::default(), Hook::default()).unwrap()
}
