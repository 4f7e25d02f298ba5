//! What systemd wants to know of an agent (sd_notify(3)). Without systemd all of it does nothing.

use std::future::pending;
use std::time::Duration;

use outgate_agent::device::Device;
use outgate_agent::status::{LinkState, Status};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Interval, interval};

/// The agent as a service.
pub(super) struct Service {
    status: watch::Receiver<Status>,
    /// The line that `systemctl status` shows.
    shown: String,
    /// When the watchdog is told that we are alive: twice as often as it wants to hear it.
    alive: Option<Interval>,
}

impl Service {
    /// Tells that the agent has started. That the hub is away is no reason to wait with that.
    pub(super) fn ready(device: &Device) -> Self {
        tell(&[NotifyState::Ready]);
        let within = sd_notify::watchdog_enabled();
        let mut service = Self {
            status: device.watch(),
            shown: String::new(),
            alive: within.map(|within| interval((within / 2).max(Duration::from_millis(1)))),
        };
        service.show();
        service
    }

    /// Tells how the link is and that the agent is alive, for as long as it is polled.
    pub(super) async fn keep(&mut self) {
        loop {
            tokio::select! {
                () = tick(self.alive.as_mut()) => tell(&[NotifyState::Watchdog]),
                changed = self.status.changed() => match changed {
                    Ok(()) => self.show(),
                    // The agent is gone, and with it all that could be told.
                    Err(_) => pending().await,
                },
            }
        }
    }

    /// Tells that the end has begun.
    pub(super) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    fn show(&mut self) {
        let line = line(&self.status.borrow_and_update());
        if line != self.shown {
            tell(&[NotifyState::Status(&line)]);
            self.shown = line;
        }
    }
}

async fn tick(alive: Option<&mut Interval>) {
    match alive {
        Some(alive) => drop(alive.tick().await),
        None => pending().await,
    }
}

/// How the link is. What waits for the hub changes too often to be told here.
fn line(status: &Status) -> String {
    let link = &status.link;
    let state = match link.state {
        LinkState::Idle => "starting",
        LinkState::Connecting => "connecting",
        LinkState::Connected => "connected",
        LinkState::Waiting => "not connected, tries again",
        LinkState::Refused => "refused by the hub",
    };
    format!("{state}: {}", link.hub)
}

/// That systemd cannot be told is logged: nothing here depends on it.
fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::warn!(%error, ?what, "systemd cannot be told");
    }
}
