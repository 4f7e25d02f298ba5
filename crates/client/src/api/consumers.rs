//! Back ends that fetch events, each with a place of its own that the hub keeps.

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::events::{EventFilter, EventPart, filtered};
use crate::error::Error;
use crate::pages;
use crate::transport::{Ask, Client};

/// How far a back end is with the events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name.
    pub id: String,
    /// All events up to this place have been taken.
    pub place: u64,
    /// How many places the newest event is beyond that.
    pub behind: u64,
    /// Since when it has not moved on, while there is more; now, when there is no more.
    pub moved: String,
}

impl Client {
    /// The asker's consumers, and for who sees all sites those of others too.
    pub fn consumers(&self) -> impl Stream<Item = Result<Consumer, Error>> + use<> {
        pages::whole(self, Ask::get(["api", "consumers"]))
    }

    /// Has the hub keep a place under this name, after `after`, or after the newest event. Does
    /// nothing when it is there.
    ///
    /// # Errors
    /// As any request.
    pub async fn register_consumer(&self, id: &str, after: Option<u64>) -> Result<Consumer, Error> {
        let ask = Ask::put(["api", "consumers", id]).json(&json!({ "after": after }));
        self.send(&ask).await?.json()
    }

    /// A consumer's next events, at most `limit` (1 to 1,000). They are given again until
    /// [`Client::advance_consumer`] has moved its place.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such consumer; as any request.
    pub async fn take_events(
        &self,
        id: &str,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<EventPart, Error> {
        let ask = Ask::get(["api", "consumers", id, "events"]);
        let ask = filtered(ask, filter).query("limit", Some(limit));
        self.send(&ask).await?.json()
    }

    /// Moves a consumer on to `place`, never back.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such consumer; as any request.
    pub async fn advance_consumer(&self, id: &str, place: u64) -> Result<(), Error> {
        let ask = Ask::post(["api", "consumers", id, "advance"]).json(&json!({ "place": place }));
        self.send(&ask).await.map(drop)
    }

    /// Forgets a consumer and its place.
    ///
    /// # Errors
    /// As any request.
    pub async fn remove_consumer(&self, id: &str) -> Result<(), Error> {
        let ask = Ask::delete(["api", "consumers", id]);
        self.send(&ask).await.map(drop)
    }
}
