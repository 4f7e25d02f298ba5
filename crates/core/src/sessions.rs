//! Every live connection, by who holds it, so that any of them can be ended at once.
//!
//! A session is opened when somebody has proved who they are and lasts as long as the connection.
//! Everything acted on in between asks its [`Pass`] first, and again on the writer's thread just
//! before it takes effect. So when [`Sessions::end`] returns, nothing that the ended sessions sent
//! is acted on any more, and their connections are closed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::Timestamp;
use crate::id::{CredentialId, DeviceId, OperatorId, ServiceId, SessionId, SiteId};
use crate::identity::{Principal, Scope};
use crate::refusal::Refusal;

/// The most calls that wait for one session to take them.
pub const MAX_WAITING_CALLS: usize = 64;

/// Why a session ended, other than by its own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its credential, device or site was revoked: close at once.
    Revoked,
    /// Its credential's time is over.
    Expired,
    /// The same client connected anew.
    Replaced,
    /// An operator asked for it.
    Dismissed,
    /// The hub is going down: say so, and close.
    Draining,
}

/// What a device's session is told. What there is to do is read from the store.
#[derive(Clone, Debug)]
pub enum Signal {
    /// There are commands in the device's queue.
    Commands,
    /// The desired half of its twin has changed.
    Desired,
    /// Somebody calls and waits.
    Call(crate::calls::Call),
}

/// Which sessions are meant.
#[derive(Clone, Debug)]
pub enum Selector {
    /// All that came in by this credential.
    Credential(CredentialId),
    /// All of a device.
    Device(DeviceId),
    /// All of a site's devices, and of operators and services who see only that site.
    Site(SiteId),
    /// All of an operator.
    Operator(OperatorId),
    /// All of a service.
    Service(ServiceId),
    /// One.
    Session(SessionId),
    /// Every one.
    All,
}

/// What is told of a live session.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Its name.
    pub id: SessionId,
    /// Who holds it.
    pub principal: Principal,
    /// By which credential.
    pub credential: CredentialId,
    /// Over which dialect: `mqtt`, `api`, …
    pub via: &'static str,
    /// From where.
    pub peer: SocketAddr,
    /// Since when.
    pub since: Timestamp,
}

/// All live sessions of this hub.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Registry>);

#[derive(Debug, Default)]
struct Registry {
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    by_id: HashMap<SessionId, Arc<Seat>>,
    by_device: HashMap<DeviceId, Vec<SessionId>>,
    by_credential: HashMap<CredentialId, Vec<SessionId>>,
}

#[derive(Debug)]
struct Seat {
    presence: Presence,
    ending: watch::Sender<Option<Ending>>,
    waiting: Mutex<Waiting>,
    bell: Notify,
    gone: Mutex<Vec<oneshot::Sender<()>>>,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: bool,
    desired: bool,
    calls: std::collections::VecDeque<crate::calls::Call>,
}

/// The right to act that a session gives: may be copied to wherever the act takes place.
#[derive(Clone, Debug)]
pub struct Pass(Arc<Seat>);

/// One live connection. Dropping it says that the connection is closed.
#[derive(Debug)]
pub struct Session {
    seat: Arc<Seat>,
    registry: Arc<Registry>,
}

impl Sessions {
    /// Takes up a session. Whoever calls this must ask afterwards, not before, whether the
    /// credential still holds: then no revocation can fall between.
    #[must_use]
    pub(crate) fn take_up(&self, presence: Presence) -> Session {
        let seat = Arc::new(Seat {
            presence,
            ending: watch::Sender::new(None),
            waiting: Mutex::default(),
            bell: Notify::new(),
            gone: Mutex::default(),
        });
        let mut live = self.0.live.lock();
        let presence = &seat.presence;
        if let Principal::Device { device, .. } = &presence.principal {
            live.by_device
                .entry(device.clone())
                .or_default()
                .push(presence.id.clone());
        }
        live.by_credential
            .entry(presence.credential.clone())
            .or_default()
            .push(presence.id.clone());
        live.by_id.insert(presence.id.clone(), Arc::clone(&seat));
        drop(live);
        Session {
            seat,
            registry: Arc::clone(&self.0),
        }
    }

    /// Ends what `selector` means and waits until those connections are closed, but no longer
    /// than `patience`. Returns how many were ended, and how many of them had not closed by then
    /// (they can do nothing any more all the same).
    pub async fn end(&self, selector: &Selector, why: Ending, patience: Duration) -> Ended {
        let seats = self.seats(selector);
        let mut closings = Vec::with_capacity(seats.len());
        for seat in &seats {
            let (told, closing) = oneshot::channel();
            seat.gone.lock().push(told);
            seat.ending.send_if_modified(|ending| {
                let first = ending.is_none();
                ending.get_or_insert(why);
                first
            });
            closings.push(closing);
        }
        let ended = seats.len();
        drop(seats);
        let mut closed = 0;
        let all = async {
            for closing in closings {
                // An error means that the seat is gone, which is what we wait for.
                let _ = closing.await;
                closed += 1;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
        Ended {
            ended,
            lingering: ended - closed,
        }
    }

    /// Tells every session of `device`. Returns how many there are.
    pub fn signal(&self, device: &DeviceId, signal: &Signal) -> usize {
        let seats = self.seats(&Selector::Device(device.clone()));
        seats.iter().filter(|seat| seat.tell(signal)).count()
    }

    /// What is live of what `selector` means.
    #[must_use]
    pub fn present(&self, selector: &Selector) -> Vec<Presence> {
        let seats = self.seats(selector);
        seats.iter().map(|seat| seat.presence.clone()).collect()
    }

    /// How many sessions are live.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.live.lock().by_id.len()
    }

    /// Whether `device` has a live session.
    #[must_use]
    pub fn is_present(&self, device: &DeviceId) -> bool {
        self.0.live.lock().by_device.contains_key(device)
    }

    fn seats(&self, selector: &Selector) -> Vec<Arc<Seat>> {
        let live = self.0.live.lock();
        let named = |ids: Option<&Vec<SessionId>>| {
            ids.into_iter()
                .flatten()
                .filter_map(|id| live.by_id.get(id).cloned())
                .collect()
        };
        match selector {
            Selector::Credential(id) => named(live.by_credential.get(id)),
            Selector::Device(id) => named(live.by_device.get(id)),
            Selector::Session(id) => live.by_id.get(id).cloned().into_iter().collect(),
            Selector::All => live.by_id.values().cloned().collect(),
            Selector::Site(_) | Selector::Operator(_) | Selector::Service(_) => live
                .by_id
                .values()
                .filter(|seat| selector.means(&seat.presence.principal))
                .cloned()
                .collect(),
        }
    }
}

/// What came of ending sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How many were live.
    pub ended: usize,
    /// How many of them had not closed in time.
    pub lingering: usize,
}

impl Selector {
    fn means(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Site(site), Principal::Device { site: its, .. }) => site == its,
            (
                Self::Site(site),
                Principal::Operator { scope, .. } | Principal::Service { scope, .. },
            ) => matches!(scope, Scope::Site(its) if its == site),
            (Self::Operator(operator), Principal::Operator { operator: its, .. }) => {
                operator == its
            }
            (Self::Service(service), Principal::Service { service: its, .. }) => service == its,
            (
                Self::Operator(_)
                | Self::Service(_)
                | Self::Credential(_)
                | Self::Device(_)
                | Self::Session(_)
                | Self::All,
                _,
            ) => false,
        }
    }
}

impl Session {
    /// What is told of it.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.seat.presence
    }

    /// Who holds it.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.seat.presence.principal
    }

    /// The device that holds it.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when it is not a device's.
    pub fn device(&self) -> Result<&DeviceId, Refusal> {
        match self.principal() {
            Principal::Device { device, .. } => Ok(device),
            Principal::Operator { .. } | Principal::Service { .. } => {
                Err(Refusal::forbidden("acting as a device"))
            }
        }
    }

    /// The right to act that it gives.
    #[must_use]
    pub fn pass(&self) -> Pass {
        Pass(Arc::clone(&self.seat))
    }

    /// Waits until the session has to end, and says why. May be dropped and asked again.
    pub async fn ended(&self) -> Ending {
        let mut ending = self.seat.ending.subscribe();
        loop {
            if let Some(why) = *ending.borrow_and_update() {
                return why;
            }
            if ending.changed().await.is_err() {
                return Ending::Draining;
            }
        }
    }

    /// Waits for the next thing that the device is told. May be dropped and asked again: nothing
    /// is lost.
    pub async fn signal(&self) -> Signal {
        loop {
            if let Some(signal) = self.seat.waiting.lock().next() {
                return signal;
            }
            self.seat.bell.notified().await;
        }
    }

    /// Tells this session again of something, as after a failed delivery.
    pub fn remind(&self, signal: &Signal) {
        self.seat.tell(signal);
    }
}

impl Pass {
    /// Whether its session may still act.
    ///
    /// # Errors
    /// [`Refusal::Revoked`] or [`Refusal::Draining`] when the session has been ended.
    pub fn check(&self) -> Result<(), Refusal> {
        match *self.0.ending.borrow() {
            None => Ok(()),
            Some(Ending::Revoked | Ending::Expired | Ending::Dismissed) => Err(Refusal::Revoked),
            Some(Ending::Replaced | Ending::Draining) => Err(Refusal::Draining),
        }
    }

    /// Who holds the session.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.presence.principal
    }
}

impl Seat {
    /// Puts `signal` where the session finds it. False when it has no room for another call.
    fn tell(&self, signal: &Signal) -> bool {
        let mut waiting = self.waiting.lock();
        match signal {
            Signal::Commands => waiting.commands = true,
            Signal::Desired => waiting.desired = true,
            Signal::Call(_) if waiting.calls.len() >= MAX_WAITING_CALLS => return false,
            Signal::Call(call) => waiting.calls.push_back(call.clone()),
        }
        drop(waiting);
        self.bell.notify_one();
        true
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Signal> {
        if let Some(call) = self.calls.pop_front() {
            return Some(Signal::Call(call));
        }
        if std::mem::take(&mut self.desired) {
            return Some(Signal::Desired);
        }
        std::mem::take(&mut self.commands).then_some(Signal::Commands)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let presence = &self.seat.presence;
        let mut live = self.registry.live.lock();
        live.by_id.remove(&presence.id);
        forget(&mut live.by_credential, &presence.credential, &presence.id);
        if let Principal::Device { device, .. } = &presence.principal {
            forget(&mut live.by_device, device, &presence.id);
        }
        drop(live);
        for told in self.seat.gone.lock().drain(..) {
            // Whoever waited may have lost patience.
            let _ = told.send(());
        }
    }
}

/// Takes `session` out of the list that `map` has for `key`, and the list with its last one.
fn forget<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, Vec<SessionId>>,
    key: &K,
    session: &SessionId,
) {
    if let Some(ids) = map.get_mut(key) {
        ids.retain(|id| id != session);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}
