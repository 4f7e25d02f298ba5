//! Files: a drop folder a device on the hub, and keys for single files of it.
//!
//! A *grant* is the right to read, to write or to remove one file until a moment at most [`MAX_LASTS`] away.
//! Whoever shows that they know its key acts as the file's device ([`Files::admit`]): revoking the
//! grant, the device or its site ends it at once. The key is derived from the grant's name by the
//! hub's vault, so nothing secret is kept. How it is shown (a signed address) is for a dialect.
//!
//! A file appears, and changes, as a whole or not at all.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::clock::{Clock, Timestamp};
use crate::contents::{Contents, Shares};
use crate::id::{DeviceId, GrantId};
use crate::identity::{Actor, Identity, words};
use crate::limits::{Limits, Rates};
use crate::refusal::Refusal;
use crate::sessions::{Pass, Sessions};
use crate::store::Store;

mod block;
mod content;
mod grants;
mod kept;
mod name;
mod own;
mod removing;
mod table;
mod tidying;

pub use block::{BLOCK, Block, BlockId, MAX_BLOCK_ID, Which};
pub use content::{Condition, Described, File, MAX_BLOCKS, Sending};
pub use grants::{Admitted, Issued, MAX_GRANTS, MAX_LASTS, MIN_LASTS, NewGrant, Shown};
pub use name::FileName;
pub use own::{KEEP_OWN_GRANTS, MAX_OWN_GRANTS, MAX_OWN_LASTS};
pub use tidying::{KEEP_BLOCKS, KEEP_GRANTS};

pub(crate) use kept::{RUNS_SCHEMA, SCHEMA as CONTENT_SCHEMA, forget_all};
pub(crate) use own::end as end_grant;
pub(crate) use table::{SCHEMA, revoke_all as revoke_grants};

/// What a grant lets do to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Read it, whole or in parts.
    Read,
    /// Make it, or put something else in its place; not read it.
    Write,
    /// Remove it; neither read it nor make it.
    Delete,
}

words!(Verb { Read => "read", Write => "write", Delete => "delete" });

/// The right to do one thing to one file for a while, as may be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// In whose drop folder the file is.
    pub device: DeviceId,
    /// Which file, whether or not there is one yet.
    pub name: FileName,
    /// What it lets do.
    pub verb: Verb,
    /// Who gave it, as the audit log names them.
    pub by: String,
    /// Since when; a whole second.
    pub created: Timestamp,
    /// Until when; a whole second.
    pub ends: Timestamp,
    /// When it was first used.
    pub used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// One file of a device's drop folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Whose.
    pub device: DeviceId,
    /// Which.
    pub name: FileName,
}

/// The right to do one thing to one file now. Looked at on the writer's thread before it takes
/// effect, and before each piece that is read.
#[derive(Clone, Debug)]
pub struct Access {
    place: Place,
    verb: Verb,
    by: By,
}

/// By what somebody has access.
#[derive(Clone, Debug)]
enum By {
    /// An operator, or the hub itself.
    Actor(Actor),
    /// Whoever holds a grant, for as long as their session may act.
    Grant(Pass),
}

/// The files of all devices, and who may handle which.
#[derive(Clone, Debug)]
pub struct Files {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    identity: Identity,
    contents: Contents,
    limits: Arc<RwLock<FileLimits>>,
    /// How often devices ask for grants themselves.
    asked: Arc<Rates<DeviceId>>,
    /// What is coming for each device.
    coming: Shares,
    /// Whether it is noted what the keys of what comes begin with.
    noted: Arc<OnceCell<()>>,
    /// Whether what the hub's end left behind has been removed.
    swept: Arc<AtomicBool>,
}

/// How much is kept of the files of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// The most bytes of a file.
    pub file_bytes: u64,
    /// The most bytes of all files of a device, of what is staged for them, and of what is coming.
    pub device_bytes: u64,
    /// The most files of a device.
    pub device_files: u64,
    /// How long a file is kept that has not changed, and longer while a grant for it holds.
    pub keep: Duration,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            device_bytes: 4 << 30,
            device_files: 1_000,
            keep: Duration::from_hours(30 * 24),
        }
    }
}

impl Files {
    pub(crate) fn new(
        (store, contents): (&Store, Contents),
        clock: &Clock,
        sessions: &Sessions,
        identity: &Identity,
        limits: &Limits,
    ) -> Self {
        Self {
            contents,
            limits: Arc::new(RwLock::new(limits.files)),
            asked: Arc::new(Rates::new(own::ASKED, clock.clone())),
            coming: Shares::default(),
            noted: Arc::default(),
            swept: Arc::default(),
            store: store.clone(),
            clock: clock.clone(),
            sessions: sessions.clone(),
            identity: identity.clone(),
        }
    }

    /// Goes on with other limits. What is beyond them stays.
    pub(crate) fn limit(&self, limits: &Limits) {
        *self.limits.write() = limits.files;
    }

    fn limits(&self) -> FileLimits {
        *self.limits.read()
    }

    /// The right of `actor` to do something to a file of a device that they see. That they use it
    /// is in the audit log already.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for viewers, [`Refusal::NotFound`] for a device that they do not see;
    /// as the store.
    pub async fn reach(&self, actor: &Actor, place: Place, verb: Verb) -> Result<Access, Refusal> {
        let (who, at, now) = (actor.clone(), place.clone(), self.clock.now());
        self.store
            .write(move |connection| {
                let act = match verb {
                    Verb::Read => "file.read",
                    Verb::Write => "file.write",
                    Verb::Delete => "file.remove",
                };
                let detail = json!({"name": at.name});
                grants::act_on(connection, &who, &at.device, (now, act), &detail)
            })
            .await?;
        let by = By::Actor(actor.clone());
        Ok(Access { place, verb, by })
    }
}

impl Access {
    /// Whether it is to do that, and may still be used.
    fn may(&self, verb: Verb) -> Result<(), Refusal> {
        self.check()?;
        if self.verb == verb {
            return Ok(());
        }
        let may = self.verb.as_str();
        Err(Refusal::forbidden(format!("anything but to {may}")))
    }

    /// Whether it may still be used.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::Draining`] when what gave it has ended.
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.by {
            By::Actor(actor) => actor.check(),
            By::Grant(pass) => pass.check(),
        }
    }

    /// Which file.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What may be done to it.
    #[must_use]
    pub fn verb(&self) -> Verb {
        self.verb
    }
}

#[cfg(test)]
mod tests;
