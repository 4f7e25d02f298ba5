//! What is kept of one live connection, where those who end it, signal it and act by it meet.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{Ending, MAX_WAITING_CALLS, Presence, Signal};
use crate::calls::Call;
use crate::clock::{Clock, Timestamp};
use crate::id::{DeviceId, TwinName};
use crate::identity::Principal;
use crate::refusal::Refusal;
use crate::twin::MAX_NAMED;

/// One live connection.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) presence: Presence,
    /// Whether nobody is present by it.
    pub(super) is_aside: bool,
    pub(super) clock: Clock,
    /// Until when it may act, in milliseconds; `i64::MAX` for ever.
    until: AtomicI64,
    pub(super) life: watch::Sender<Life>,
    pub(super) waiting: Mutex<Waiting>,
    pub(super) bell: Notify,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It may act.
    Live,
    /// It may not, and its connection is to close.
    Ending(Ending),
    /// Its connection is closed; why it was to close, if anybody said so.
    Gone(Option<Ending>),
}

/// What the connection has not been told yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    commands: bool,
    desired: bool,
    /// At most twice as many as there are at a time: some may have gone meanwhile.
    desired_of: BTreeSet<TwinName>,
    roster: bool,
    spaces: bool,
    calls: VecDeque<Call>,
}

impl Seat {
    /// A seat that has no end and has been told nothing.
    pub(super) fn new(presence: Presence, clock: Clock, life: Life) -> Self {
        Self {
            presence,
            is_aside: false,
            clock,
            until: AtomicI64::new(i64::MAX),
            life: watch::Sender::new(life),
            waiting: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// A seat of a live connection by which nobody is present.
    pub(super) fn aside(presence: Presence, clock: Clock) -> Self {
        Self {
            is_aside: true,
            ..Self::new(presence, clock, Life::Live)
        }
    }

    /// Takes the right to act away. What said so first is the reason. Whoever comes in anew after
    /// the connection has closed replaces nobody: what was said before still counts.
    pub(super) fn end(&self, why: Ending) {
        self.life.send_if_modified(|life| {
            let ended = match *life {
                Life::Live => Life::Ending(why),
                Life::Gone(None) if why == Ending::Replaced => return false,
                Life::Gone(None) => Life::Gone(Some(why)),
                Life::Ending(_) | Life::Gone(Some(_)) => return false,
            };
            *life = ended;
            true
        });
    }

    /// Notes that the connection is closed.
    pub(super) fn close(&self) {
        self.life.send_modify(|life| {
            *life = match *life {
                Life::Live => Life::Gone(None),
                Life::Ending(why) => Life::Gone(Some(why)),
                Life::Gone(why) => Life::Gone(why),
            }
        });
    }

    pub(super) fn limit(&self, end: Timestamp) {
        let before = self.until.fetch_min(end.as_millis(), Ordering::SeqCst);
        if end.as_millis() < before {
            // Who waits for the end has to look at it again.
            self.life.send_modify(|_| {});
        }
    }

    pub(super) fn device(&self) -> Result<&DeviceId, Refusal> {
        match &self.presence.principal {
            Principal::Device { device, .. } => Ok(device),
            Principal::Operator { .. } | Principal::Service { .. } => {
                Err(Refusal::forbidden("acting as a device"))
            }
        }
    }

    pub(super) fn until(&self) -> Option<Timestamp> {
        match self.until.load(Ordering::SeqCst) {
            i64::MAX => None,
            millis => Some(Timestamp::from_millis(millis)),
        }
    }

    /// How long it may act yet, if there is an end to it.
    pub(super) fn left(&self) -> Option<Duration> {
        self.until().map(|end| end.since(self.clock.now()))
    }

    /// Puts `signal` where the session finds it. False when it has no room for another call.
    pub(super) fn tell(&self, signal: &Signal) -> bool {
        let mut waiting = self.waiting.lock();
        match signal {
            Signal::Commands => waiting.commands = true,
            Signal::Desired => waiting.desired = true,
            Signal::DesiredOf(_) if waiting.desired_of.len() >= 2 * MAX_NAMED => return false,
            Signal::DesiredOf(name) => {
                waiting.desired_of.insert(name.clone());
            }
            Signal::Roster => waiting.roster = true,
            Signal::Spaces => waiting.spaces = true,
            Signal::Call(_) if waiting.calls.len() >= MAX_WAITING_CALLS => return false,
            Signal::Call(call) => waiting.calls.push_back(call.clone()),
        }
        drop(waiting);
        self.bell.notify_one();
        true
    }
}

impl Waiting {
    pub(super) fn next(&mut self) -> Option<Signal> {
        if let Some(call) = self.calls.pop_front() {
            return Some(Signal::Call(call));
        }
        if std::mem::take(&mut self.desired) {
            return Some(Signal::Desired);
        }
        if let Some(name) = self.desired_of.pop_first() {
            return Some(Signal::DesiredOf(name));
        }
        if std::mem::take(&mut self.roster) {
            return Some(Signal::Roster);
        }
        if std::mem::take(&mut self.spaces) {
            return Some(Signal::Spaces);
        }
        std::mem::take(&mut self.commands).then_some(Signal::Commands)
    }
}
