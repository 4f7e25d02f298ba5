//! Which session has which commands: in memory, because it ends with the session.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::id::{DeviceId, SessionId};
use crate::sessions::{Sessions, Signal};

/// Beyond this many devices with leases, those of closed sessions are looked for and forgotten
/// whenever there are twice as many as live sessions.
const SWEEP_ABOVE: usize = 64;

/// Who has taken which commands.
///
/// At most one session of a device holds any, so that the device gets them in order whichever of
/// its connections it reads from.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    held: Arc<Mutex<HashMap<DeviceId, Lease>>>,
    sessions: Sessions,
}

#[derive(Debug)]
struct Lease {
    holder: SessionId,
    commands: BTreeSet<u64>,
}

/// How commands stand to a session that asks for them.
pub(super) enum Standing {
    /// Nobody else has any; these the session has already.
    Own(BTreeSet<u64>),
    /// Another live session has these.
    Foreign(BTreeSet<u64>),
}

/// Commands on their way to whoever takes them. Dropped before it is kept they go back.
pub(super) struct Claim {
    leases: Leases,
    device: DeviceId,
    session: SessionId,
    commands: Vec<u64>,
    /// Whoever waits for them; hears of a failed commit, but not of commands that come back after
    /// they have given up waiting.
    caller: Weak<()>,
}

impl Leases {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self {
            held: Arc::default(),
            sessions,
        }
    }

    /// How the commands of `device` stand to `session`.
    pub(super) fn standing(&self, device: &DeviceId, session: &SessionId) -> Standing {
        match self.held.lock().get(device) {
            Some(lease) if lease.holder == *session => Standing::Own(lease.commands.clone()),
            Some(lease) if self.sessions.is_live(&lease.holder) => {
                Standing::Foreign(lease.commands.clone())
            }
            Some(_) | None => Standing::Own(BTreeSet::new()),
        }
    }

    /// The commands of `device` that a live session has.
    pub(super) fn delivered(&self, device: &DeviceId) -> BTreeSet<u64> {
        match self.held.lock().get(device) {
            Some(lease) if self.sessions.is_live(&lease.holder) => lease.commands.clone(),
            Some(_) | None => BTreeSet::new(),
        }
    }

    /// Gives `commands` to `session`, which no other live session of `device` stands against.
    pub(super) fn claim(
        &self,
        device: &DeviceId,
        session: &SessionId,
        commands: Vec<u64>,
        caller: Weak<()>,
    ) -> Claim {
        let mut held = self.held.lock();
        if held.len() > SWEEP_ABOVE.max(2 * self.sessions.count()) {
            held.retain(|_, lease| self.sessions.is_live(&lease.holder));
        }
        if !commands.is_empty() {
            let lease = held.entry(device.clone()).or_insert_with(|| Lease {
                holder: session.clone(),
                commands: BTreeSet::new(),
            });
            if lease.holder != *session {
                lease.holder = session.clone();
                lease.commands.clear();
            }
            lease.commands.extend(&commands);
        }
        Claim {
            leases: self.clone(),
            device: device.clone(),
            session: session.clone(),
            commands,
            caller,
        }
    }

    /// Takes a command out of whatever lease it is in.
    pub(super) fn release(&self, device: &DeviceId, command: u64) {
        let mut held = self.held.lock();
        if let Some(lease) = held.get_mut(device) {
            lease.commands.remove(&command);
            if lease.commands.is_empty() {
                held.remove(device);
            }
        }
    }
}

impl Claim {
    /// Leaves the commands with the session.
    pub(super) fn keep(mut self) {
        self.commands.clear();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.commands.is_empty() {
            return;
        }
        let mut held = self.leases.held.lock();
        if let Some(lease) = held.get_mut(&self.device)
            && lease.holder == self.session
        {
            lease
                .commands
                .retain(|command| !self.commands.contains(command));
            if lease.commands.is_empty() {
                held.remove(&self.device);
            }
        }
        drop(held);
        if self.caller.strong_count() == 0 {
            self.leases.sessions.signal(&self.device, &Signal::Commands);
        }
    }
}
