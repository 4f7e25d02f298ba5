//! Events: what devices say. Acknowledged only once it is on the disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::id::{DeviceId, SiteId};
use crate::identity::Scope;
use crate::refusal::Refusal;
use crate::sessions::Session;
use crate::store::Store;

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

/// What a device says.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What it is about: a path of 1 to 256 bytes, as `door/opened`; may be empty.
    pub name: String,
    /// A media type; empty when the device does not say.
    pub content_type: String,
    /// Named texts beside the payload: at most 64, 8 KiB together.
    pub properties: BTreeMap<String, String>,
    /// The payload, at most [`crate::limits::MAX_EVENT`] bytes.
    pub payload: Bytes,
}

/// An event as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its place: goes up with each event of the hub, never twice the same.
    pub seq: u64,
    /// Who said it.
    pub device: DeviceId,
    /// Where that device stood.
    pub site: SiteId,
    /// What it is about.
    pub name: String,
    /// Its media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    pub properties: BTreeMap<String, String>,
    /// When the hub took it.
    pub received: Timestamp,
    /// The payload.
    #[serde(skip)]
    pub payload: Bytes,
}

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// What the asker sees.
    pub scope: Scope,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
}

/// A part of the events, and where to go on.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The events, in the order of their places.
    pub events: Vec<Event>,
    /// The place up to which all has been looked at: ask `after` it next.
    pub next: u64,
}

/// The events of all devices.
#[derive(Clone, Debug)]
pub struct Events {
    store: Store,
    clock: Clock,
    newest: watch::Sender<u64>,
}

impl Events {
    pub(crate) fn new(store: Store, clock: Clock) -> Result<Self, Refusal> {
        Ok(Self {
            store,
            clock,
            newest: watch::Sender::new(0),
        })
    }

    /// Keeps what the device of `session` says. Returns its place once it is on the disk.
    ///
    /// # Errors
    /// [`Refusal::Revoked`], [`Refusal::TooLarge`], [`Refusal::Invalid`], [`Refusal::Limited`],
    /// [`Refusal::Full`].
    pub async fn append(&self, session: &Session, event: NewEvent) -> Result<u64, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }

    /// Up to `limit` events (at most 1,000, and at most 4 MiB of payload) after the place `after`.
    ///
    /// # Errors
    /// [`Refusal::Expired`] when some of those are no longer kept.
    pub async fn after(
        &self,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<Taken, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }

    /// The place of the newest event, and news of newer ones.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}
