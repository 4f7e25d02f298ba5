//! Commands: a durable queue a device, in order, at least once until settled or expired.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Timestamp};
use crate::id::{CommandId, DeviceId};
use crate::sessions::Sessions;
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

/// What a device is to do.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// What to do: a path of 1 to 128 bytes.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload: at most 64, 8 KiB together.
    pub properties: BTreeMap<String, String>,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
    /// For how long it is worth doing; 1 second to 30 days.
    pub lasts: Duration,
}

/// Where a command is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommandState {
    /// In the queue.
    Queued,
    /// Given to a live session, not settled yet.
    Delivered,
    /// The device has taken it.
    Completed,
    /// The device has refused it.
    Rejected,
    /// Nobody took it in time.
    Expired,
    /// An operator took it back.
    Cancelled,
}

/// How a device settles a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Taken.
    Completed,
    /// Refused, never to be offered again.
    Rejected,
    /// Not now: back to the front of the queue.
    Abandoned,
}

/// A command as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Command {
    /// Its name.
    pub id: CommandId,
    /// Its place among the device's commands: goes up.
    pub seq: u64,
    /// For whom.
    pub device: DeviceId,
    /// What to do.
    pub name: String,
    /// A media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// The payload.
    #[serde(skip)]
    pub payload: Bytes,
    /// Where it is in its life.
    pub state: CommandState,
    /// How often it was given to a session.
    pub deliveries: u32,
    /// Since when.
    pub created: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// When it was settled, expired or cancelled.
    pub ended: Option<Timestamp>,
}

/// The commands of all devices.
#[derive(Clone, Debug)]
pub struct Commands {
    store: Store,
    clock: Clock,
    sessions: Sessions,
}

use crate::identity::{Actor, Listed, Page};
use crate::refusal::Refusal;
use crate::sessions::Session;

impl Commands {
    pub(crate) fn new(store: Store, clock: Clock, sessions: Sessions) -> Self {
        Self {
            store,
            clock,
            sessions,
        }
    }

    /// Puts a command in a device's queue and tells its sessions.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::TooLarge`],
    /// [`Refusal::Limited`] when its queue is full.
    pub async fn send(
        &self,
        actor: &Actor,
        device: &DeviceId,
        command: NewCommand,
    ) -> Result<Command, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// The next commands for the device of `session`, in order, at most `limit`; they are this
    /// session's until settled or it ends.
    pub async fn take(&self, session: &Session, limit: u32) -> Result<Vec<Command>, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Settles a command that this session has taken.
    pub async fn settle(
        &self,
        session: &Session,
        id: &CommandId,
        how: Settlement,
    ) -> Result<(), Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Lists a device's commands, newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        device: &DeviceId,
        page: &Page,
    ) -> Result<Listed<Command>, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Gives one command.
    pub async fn get(
        &self,
        actor: &Actor,
        device: &DeviceId,
        id: &CommandId,
    ) -> Result<Command, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Takes back a command that is not settled.
    pub async fn cancel(
        &self,
        actor: &Actor,
        device: &DeviceId,
        id: &CommandId,
    ) -> Result<Command, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
}
