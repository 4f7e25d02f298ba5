//! How devices are, whenever that changes.

use axum::response::sse;
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_core::sessions::PresenceChange;
use outgate_core::{Core, Refusal};
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::message;
use crate::console::device;
use crate::console::devices::Search;
use crate::console::rows::{DeviceRow, SessionRow};

/// What is watched.
#[derive(Debug)]
pub(super) enum Watched {
    /// What a search finds.
    List(Search),
    /// One device and its sessions.
    One(DeviceId),
}

/// One device for the script.
#[derive(Serialize)]
struct One {
    row: DeviceRow,
    sessions: Vec<SessionRow>,
}

/// What a page has been told of devices. What there is to tell is read anew whenever something has
/// changed, so that nothing is missed, however much changes at once.
#[derive(Debug)]
pub(super) struct Devices {
    watched: Watched,
    presence: broadcast::Receiver<PresenceChange>,
    identity: watch::Receiver<u64>,
    told: String,
}

impl Devices {
    pub(super) fn new(core: &Core, watched: Watched) -> Self {
        Self {
            watched,
            presence: core.sessions.changes(),
            identity: core.identity.changes(),
            told: String::new(),
        }
    }

    /// Waits until something may have changed; nothing when nothing ever will.
    pub(super) async fn changed(&mut self) -> Option<()> {
        tokio::select! {
            came = self.presence.recv() => match came {
                // Which one does not matter, and so it does not how many were missed.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Some(()),
                Err(broadcast::error::RecvError::Closed) => None,
            },
            changed = self.identity.changed() => changed.ok(),
        }
    }

    /// Adds how the devices are, if that is not what was told last.
    pub(super) async fn take(
        &mut self,
        core: &Core,
        actor: &Actor,
        batch: &mut Vec<sse::Event>,
    ) -> Result<(), Refusal> {
        // What changes from here on is news again.
        self.presence = core.sessions.changes();
        self.identity.mark_unchanged();
        let (name, now) = match &self.watched {
            Watched::List(search) => {
                let found = search.find(core, actor).await?;
                ("devices", serde_json::to_string(&found))
            }
            Watched::One(id) => {
                let one = One {
                    row: DeviceRow::new(&core.identity.device(actor, id).await?, &core.sessions),
                    sessions: device::sessions(core, id),
                };
                ("device", serde_json::to_string(&one))
            }
        };
        let now = now.map_err(|_| Refusal::Internal("a row is no JSON"))?;
        if now != self.told {
            batch.push(message(name, now.clone()));
            self.told = now;
        }
        Ok(())
    }
}
