//! Events as they come.

use axum::response::sse;
use outgate_core::events::{Event, EventFilter};
use outgate_core::{Core, Refusal};
use serde::Serialize;
use tokio::sync::watch;

use super::message;
use crate::console::preview::preview;

/// The most events that are sent at once: as many as a page shows.
const BATCH: u32 = 50;

/// How many events a page may be behind before it is taken to the newest.
const BEHIND: u64 = 1_000;

/// An event for the script.
#[derive(Serialize)]
struct Shown<'a> {
    received: String,
    device: &'a str,
    site: &'a str,
    name: &'a str,
    content_type: &'a str,
    payload: String,
}

/// Where a page is among the events.
#[derive(Debug)]
pub(super) struct Events {
    filter: EventFilter,
    place: u64,
    newest: watch::Receiver<u64>,
}

impl Events {
    /// The events after `place` that `filter` means.
    pub(super) fn new(core: &Core, filter: EventFilter, place: u64) -> Self {
        Self {
            filter,
            place,
            newest: core.events.newest(),
        }
    }

    /// Waits until there may be more; nothing when there never will be.
    pub(super) async fn changed(&mut self) -> Option<()> {
        let place = self.place;
        let more = self.newest.wait_for(|newest| *newest > place).await;
        more.ok().map(drop)
    }

    /// Adds what there is by now.
    pub(super) async fn take(
        &mut self,
        core: &Core,
        batch: &mut Vec<sse::Event>,
    ) -> Result<(), Refusal> {
        let newest = *self.newest.borrow_and_update();
        if newest <= self.place {
            return Ok(());
        }
        if newest - self.place > BEHIND {
            let skipped = newest - u64::from(BATCH) - self.place;
            self.place += skipped;
            batch.push(message("skipped", skipped.to_string()));
        }
        match core.events.after(&self.filter, self.place, BATCH).await {
            Ok(taken) => {
                self.place = taken.next.max(self.place);
                batch.extend(taken.events.iter().map(shown));
            }
            Err(Refusal::Expired { oldest }) => {
                self.place = oldest.saturating_sub(1).max(self.place);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn shown(event: &Event) -> sse::Event {
    let shown = Shown {
        received: event.received.to_string(),
        device: event.device.as_str(),
        site: event.site.as_str(),
        name: &event.name,
        content_type: &event.content_type,
        payload: preview(&event.payload),
    };
    let data = serde_json::to_string(&shown).unwrap_or_default();
    message("said", data).id(event.seq.to_string())
}
