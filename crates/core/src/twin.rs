//! The twin: what a device is wanted to be, and what it says it is.

use serde::Serialize;
use serde_json::Value;

use crate::clock::{Clock, Timestamp};
use crate::id::DeviceId;
use crate::sessions::Sessions;
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

/// One half of a twin.
#[derive(Clone, Debug, Serialize)]
pub struct Half {
    /// The document: a JSON object of at most 32 KiB as text, at most 10 deep.
    pub document: Value,
    /// Goes up by one with each change; 0 before the first.
    pub version: u64,
    /// When it last changed.
    pub changed: Option<Timestamp>,
}

/// A device's twin.
#[derive(Clone, Debug, Serialize)]
pub struct Twin {
    /// Whose.
    pub device: DeviceId,
    /// What operators want.
    pub desired: Half,
    /// What the device says.
    pub reported: Half,
}

/// The twins of all devices.
#[derive(Clone, Debug)]
pub struct Twins {
    store: Store,
    clock: Clock,
    sessions: Sessions,
    changed: tokio::sync::broadcast::Sender<DeviceId>,
}

use crate::identity::Actor;
use crate::refusal::Refusal;
use crate::sessions::Session;

impl Twins {
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions) -> Self {
        Self {
            store,
            clock,
            sessions,
            changed: tokio::sync::broadcast::Sender::new(1024),
        }
    }

    /// A device's twin, as an operator sees it.
    pub async fn get(&self, actor: &Actor, device: &DeviceId) -> Result<Twin, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Merges `patch` (RFC 7396) into the desired half, if its version is still `if_version`, and
    /// tells the device's sessions.
    pub async fn desire(
        &self,
        actor: &Actor,
        device: &DeviceId,
        patch: Value,
        if_version: Option<u64>,
    ) -> Result<Half, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// The twin of the device of `session`.
    pub async fn own(&self, session: &Session) -> Result<Twin, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Merges `patch` into the reported half of the device of `session`. Returns the new half.
    pub async fn report(&self, session: &Session, patch: Value) -> Result<Half, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// What has changed in any twin: its device's name, to those who look on.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<DeviceId> {
        self.changed.subscribe()
    }
}
