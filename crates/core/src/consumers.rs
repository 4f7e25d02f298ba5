//! Who takes events, each with a place of their own.

/// The tables of this part.
pub(crate) const SCHEMA: &str = "";

use serde::Serialize;

use crate::clock::{Clock, Timestamp};
use crate::events::{EventFilter, Taken};
use crate::id::ConsumerId;
use crate::identity::Actor;
use crate::refusal::Refusal;
use crate::store::Store;

/// Somebody who takes events, as may be told.
#[derive(Clone, Debug, Serialize)]
pub struct Consumer {
    /// Its name: that of a webhook, a service, or one chosen by a back end.
    pub id: ConsumerId,
    /// All events up to this place have been taken.
    pub place: u64,
    /// Since when it has not moved on, while there is more.
    pub moved: Timestamp,
}

/// Places of those who take events. What a consumer has not taken is not cleared away, up to the
/// limit on the disk, at which new events are refused.
#[derive(Clone, Debug)]
pub struct Consumers {
    store: Store,
    clock: Clock,
}

impl Consumers {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Makes a consumer that begins after the place `after`, or after the newest event. Does
    /// nothing when it is there.
    pub async fn register(&self, id: &ConsumerId, after: Option<u64>) -> Result<Consumer, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// The next events of a consumer. The place stays until [`Consumers::advance`].
    pub async fn take(
        &self,
        id: &ConsumerId,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Taken, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Moves a consumer's place on to `place`, never back.
    pub async fn advance(&self, id: &ConsumerId, place: u64) -> Result<(), Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Lists consumers.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<Consumer>, Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
    /// Forgets a consumer.
    pub async fn remove(&self, id: &ConsumerId) -> Result<(), Refusal> {
        Err(Refusal::Internal("not built yet"))
    }
}
