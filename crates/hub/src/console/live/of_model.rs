//! What a device is wanted to be, what it says it is, and what it is to do, whenever that changes.

use axum::response::sse;
use outgate_core::commands::{Command, CommandState};
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_core::sessions::PresenceChange;
use outgate_core::{Core, Refusal, Timestamp};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use super::message;
use crate::console::device;
use crate::console::rows::{CommandRow, HalfShown};

/// What a page has been told of a device's twin and commands.
#[derive(Debug)]
pub(super) struct Model {
    device: DeviceId,
    twins: Receiver<DeviceId>,
    commands: Receiver<DeviceId>,
    /// What a session had goes back into the queue when it ends.
    presence: Receiver<PresenceChange>,
    twin: Part,
    last_commands: Part,
    /// When the first of the commands that were told expires, which nobody tells.
    expires: Option<Instant>,
}

/// Something that is told as a whole.
#[derive(Debug)]
struct Part {
    name: &'static str,
    told: String,
    stale: bool,
}

impl Model {
    pub(super) fn new(core: &Core, device: DeviceId) -> Self {
        Self {
            device,
            twins: core.twins.changes(),
            commands: core.commands.changes(),
            presence: core.sessions.changes(),
            twin: Part::new("twin"),
            last_commands: Part::new("commands"),
            expires: None,
        }
    }

    /// Waits until something may have changed; nothing when nothing ever will.
    pub(super) async fn changed(&mut self) -> Option<()> {
        let expires = self.expires;
        let expired = async {
            match expires {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            it = of(&mut self.twins, &self.device, |device| device) => {
                it?;
                self.twin.stale = true;
            }
            it = of(&mut self.commands, &self.device, |device| device) => {
                it?;
                self.last_commands.stale = true;
            }
            it = of(&mut self.presence, &self.device, |change| &change.device) => {
                it?;
                self.last_commands.stale = true;
            }
            () = expired => self.last_commands.stale = true,
        }
        Some(())
    }

    /// Adds what has changed.
    pub(super) async fn take(
        &mut self,
        core: &Core,
        actor: &Actor,
        batch: &mut Vec<sse::Event>,
    ) -> Result<(), Refusal> {
        if self.twin.begin() {
            let twin = core.twins.get(actor, &self.device).await?;
            self.twin.tell(&HalfShown::of(&twin), batch)?;
        }
        if self.last_commands.begin() {
            let commands = device::commands(core, actor, &self.device).await?;
            self.expires = first_end(&commands, core.clock.now());
            let rows: Vec<_> = commands.iter().map(CommandRow::new).collect();
            self.last_commands.tell(&rows, batch)?;
        }
        Ok(())
    }
}

/// Waits for a change of `device`; or for so many of others that one of it may have been missed.
async fn of<T: Clone>(
    changes: &mut Receiver<T>,
    device: &DeviceId,
    whose: impl Fn(&T) -> &DeviceId,
) -> Option<()> {
    loop {
        match changes.recv().await {
            Ok(change) if whose(&change) == device => return Some(()),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Some(()),
            Err(RecvError::Closed) => return None,
        }
    }
}

/// When the first of those that are open expires.
fn first_end(commands: &[Command], now: Timestamp) -> Option<Instant> {
    let is_open = |one: &&Command| match one.state {
        CommandState::Queued | CommandState::Delivered => true,
        CommandState::Completed
        | CommandState::Rejected
        | CommandState::Expired
        | CommandState::Cancelled => false,
    };
    let ends = commands.iter().filter(is_open).map(|one| one.expires);
    ends.min().map(|end| Instant::now() + end.since(now))
}

impl Part {
    /// Something that nothing has been told of.
    fn new(name: &'static str) -> Self {
        Self {
            name,
            told: String::new(),
            stale: true,
        }
    }

    /// Whether it is to be read. What changes from here on is news again.
    fn begin(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// Adds how it is, if that is not what was told last.
    fn tell(&mut self, now: &impl Serialize, batch: &mut Vec<sse::Event>) -> Result<(), Refusal> {
        let now = serde_json::to_string(now).map_err(|_| Refusal::Internal("a row is no JSON"))?;
        if now != self.told {
            batch.push(message(self.name, now.clone()));
            self.told = now;
        }
        Ok(())
    }
}
