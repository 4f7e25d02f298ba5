//! What devices say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use crate::error::Error;
use crate::tail::Tail;
use crate::transport::{Ask, Client};

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its place: goes up with each event of the hub, never twice the same.
    pub place: u64,
    /// Who said it.
    pub device: String,
    /// Where that device stood.
    pub site: String,
    /// What it is about.
    pub name: String,
    /// Its media type, or empty.
    pub content_type: String,
    /// Named texts beside the payload.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// When the hub took it.
    pub received: String,
    /// The payload.
    #[serde(flatten)]
    pub payload: Payload,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this device.
    pub device: Option<String>,
    /// Only whose name begins so.
    pub prefix: Option<String>,
}

/// A part of the events, and where to go on.
#[derive(Clone, Debug, Deserialize)]
pub struct EventPart {
    /// The events, in the order of their places.
    pub items: Vec<Event>,
    /// The place up to which all has been looked at.
    pub next: u64,
}

impl Client {
    /// Events after a place that are there already, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 410 when some of those are no longer kept; as any request.
    pub async fn events(
        &self,
        filter: &EventFilter,
        after: u64,
        limit: u32,
    ) -> Result<EventPart, Error> {
        let ask = events(filter)
            .query("after", Some(after))
            .query("limit", Some(limit));
        self.send(&ask).await?.json()
    }

    /// Events after a place, and all that come, for as long as it is asked. Without a place, only
    /// those that come.
    #[must_use]
    pub fn follow_events(&self, filter: &EventFilter, after: Option<u64>) -> Tail<Event> {
        let place = after.map(|after| after.to_string());
        Tail::new(self.clone(), events(filter), place)
    }
}

fn events(filter: &EventFilter) -> Ask {
    filtered(Ask::get(["api", "events"]), filter)
}

/// Asks for nothing but what `filter` means.
pub(super) fn filtered(ask: Ask, filter: &EventFilter) -> Ask {
    ask.query("device", filter.device.as_ref())
        .query("prefix", filter.prefix.as_ref())
}
