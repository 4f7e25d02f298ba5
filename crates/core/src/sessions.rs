//! Every live connection, by who holds it, so that any of them can be ended at once.
//!
//! A session is opened when somebody has proved who they are and lasts as long as the connection.
//! Everything acted on in between asks its [`Pass`] first, and again on the writer's thread just
//! before it takes effect. So when [`Sessions::end`] returns, nothing that the ended sessions sent
//! is acted on any more, and their connections are closed.

mod seat;
mod stand_in;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use crate::clock::{Clock, Timestamp};
use crate::id::{CredentialId, DeviceId, OperatorId, ServiceId, SessionId, SiteId};
use crate::identity::{Principal, Scope, Seen};
use crate::refusal::Refusal;
use seat::{Life, Seat};

/// The most calls that wait for one session to take them.
pub const MAX_WAITING_CALLS: usize = 64;

/// The most changes of presence that somebody who looks on may lag behind.
const MAX_CHANGES: usize = 1_024;

/// How long a session that waits for its credential's end sleeps at most, so that it notices when
/// the machine's clock has been put right.
const MAX_NAP: Duration = Duration::from_secs(60);

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
    /// All over a dialect, as [`Presence::via`] names it.
    Via(&'static str),
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

/// A device has come or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceChange {
    /// Which.
    pub device: DeviceId,
    /// Where it stands.
    pub site: SiteId,
    /// Whether it has a session now.
    pub present: bool,
}

/// All live sessions of this hub.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    clock: Clock,
    live: Mutex<Live>,
    seen: Seen,
    changes: broadcast::Sender<PresenceChange>,
}

#[derive(Debug, Default)]
struct Live {
    by_id: HashMap<SessionId, Arc<Seat>>,
    by_device: HashMap<DeviceId, Vec<SessionId>>,
    by_credential: HashMap<CredentialId, Vec<SessionId>>,
    /// Sessions whose connection has closed while something they sent was still under way: a
    /// revocation must reach that too.
    departed: Vec<Weak<Seat>>,
    /// At how many of those it is time to look which are really gone.
    prune_at: usize,
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

impl Default for Sessions {
    fn default() -> Self {
        Self::new(Clock::System)
    }
}

impl Sessions {
    /// No sessions yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Registry {
            clock,
            live: Mutex::default(),
            seen: Seen::default(),
            changes: broadcast::Sender::new(MAX_CHANGES),
        }))
    }

    /// Takes up a session. Whoever calls this must ask afterwards, not before, whether the
    /// credential still holds: then no revocation can fall between.
    #[must_use]
    pub(crate) fn take_up(&self, presence: Presence) -> Session {
        let seat = Arc::new(Seat {
            presence,
            clock: self.0.clock.clone(),
            until: AtomicI64::new(i64::MAX),
            life: watch::Sender::new(Life::Live),
            waiting: Mutex::default(),
            bell: Notify::new(),
        });
        let mut live = self.0.live.lock();
        let presence = &seat.presence;
        if let Principal::Device { device, site, .. } = &presence.principal {
            let of_device = live.by_device.entry(device.clone()).or_default();
            of_device.push(presence.id.clone());
            if of_device.len() == 1 {
                self.0.tell(device, site, true);
            }
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
        self.end_each(&[(selector.clone(), why)], patience).await
    }

    /// As [`Sessions::end`], for several at once.
    pub(crate) async fn end_each(&self, ends: &[(Selector, Ending)], patience: Duration) -> Ended {
        let mut closings = Vec::new();
        for (selector, why) in ends {
            let (seats, departed) = self.seats_and_departed(selector);
            for seat in &departed {
                seat.end(*why);
            }
            for seat in &seats {
                closings.push(seat.life.subscribe());
                seat.end(*why);
            }
        }
        let ended = closings.len();
        let mut closed = 0;
        let all = async {
            for mut closing in closings {
                // An error means that the seat is gone, which is what we wait for.
                let _ = closing.wait_for(|life| matches!(life, Life::Gone(_))).await;
                closed += 1;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
        Ended {
            ended,
            lingering: ended - closed,
        }
    }

    /// The sessions that came in by `credential` end at `end`, if not sooner.
    pub(crate) fn limit(&self, credential: &CredentialId, end: Timestamp) {
        for seat in self.seats(&Selector::Credential(credential.clone())) {
            seat.limit(end);
        }
    }

    /// Devices that come and go, from now on. Who lags more than 1,024 changes behind is told so,
    /// and has to ask [`Sessions::present`] again.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<PresenceChange> {
        self.0.changes.subscribe()
    }

    /// When devices and credentials were last seen.
    pub(crate) fn seen(&self) -> &Seen {
        &self.0.seen
    }

    /// Waits until none of the sessions that `device` has at the time of this call may act any
    /// more.
    pub fn absence(&self, device: &DeviceId) -> impl Future<Output = ()> + Send + use<> {
        let lives: Vec<_> = self
            .seats(&Selector::Device(device.clone()))
            .iter()
            .map(|seat| seat.life.subscribe())
            .collect();
        async move {
            for mut life in lives {
                // An error means that the seat is gone, which is what we wait for.
                let _ = life.wait_for(|life| *life != Life::Live).await;
            }
        }
    }

    /// Whether the session of that name is live and may act.
    #[must_use]
    pub fn is_live(&self, id: &SessionId) -> bool {
        let live = self.0.live.lock();
        live.by_id
            .get(id)
            .is_some_and(|seat| *seat.life.borrow() == Life::Live)
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
        self.0.live.lock().seats(selector)
    }

    /// The seats that are meant, and those of closed connections that something under way still
    /// holds: both as of one moment.
    fn seats_and_departed(&self, selector: &Selector) -> (Vec<Arc<Seat>>, Vec<Arc<Seat>>) {
        let live = self.0.live.lock();
        let departed = live.departed.iter().filter_map(Weak::upgrade);
        (
            live.seats(selector),
            departed
                .filter(|seat| selector.means(&seat.presence))
                .collect(),
        )
    }
}

impl Registry {
    fn tell(&self, device: &DeviceId, site: &SiteId, present: bool) {
        // Nobody may be looking on.
        let _ = self.changes.send(PresenceChange {
            device: device.clone(),
            site: site.clone(),
            present,
        });
    }
}

impl Live {
    /// Notes a seat that nothing but its dropping session or what is under way holds.
    fn depart(&mut self, seat: &Arc<Seat>) {
        if Arc::strong_count(seat) == 1 {
            return;
        }
        if self.departed.len() >= self.prune_at {
            self.departed.retain(|seat| seat.strong_count() > 0);
            self.prune_at = 2 * self.departed.len() + 64;
        }
        self.departed.push(Arc::downgrade(seat));
    }

    fn seats(&self, selector: &Selector) -> Vec<Arc<Seat>> {
        let live = self;
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
            Selector::Site(_) | Selector::Operator(_) | Selector::Service(_) | Selector::Via(_) => {
                live.by_id
                    .values()
                    .filter(|seat| selector.means(&seat.presence))
                    .cloned()
                    .collect()
            }
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
    fn means(&self, presence: &Presence) -> bool {
        match (self, &presence.principal) {
            (Self::All, _) => true,
            (Self::Via(dialect), _) => *dialect == presence.via,
            (Self::Session(id), _) => *id == presence.id,
            (Self::Credential(id), _) => *id == presence.credential,
            (Self::Device(id), Principal::Device { device, .. }) => id == device,
            (Self::Site(id), Principal::Device { site, .. }) => id == site,
            (
                Self::Site(id),
                Principal::Operator { scope, .. } | Principal::Service { scope, .. },
            ) => matches!(scope, Scope::Site(site) if site == id),
            (Self::Operator(id), Principal::Operator { operator, .. }) => id == operator,
            (Self::Service(id), Principal::Service { service, .. }) => id == service,
            (Self::Device(_) | Self::Operator(_) | Self::Service(_), _) => false,
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
        self.seat.device()
    }

    /// The right to act that it gives.
    #[must_use]
    pub fn pass(&self) -> Pass {
        Pass(Arc::clone(&self.seat))
    }

    /// Waits until the session has to end, and says why: also when its credential's time is over.
    /// May be dropped and asked again.
    pub async fn ended(&self) -> Ending {
        let mut life = self.seat.life.subscribe();
        loop {
            match *life.borrow_and_update() {
                Life::Live => {}
                Life::Ending(why) | Life::Gone(Some(why)) => return why,
                Life::Gone(None) => return Ending::Draining,
            }
            match self.seat.left() {
                Some(Duration::ZERO) => self.seat.end(Ending::Expired),
                Some(left) => {
                    tokio::select! {
                        _ = life.changed() => {}
                        () = tokio::time::sleep(left.min(MAX_NAP)) => {}
                    }
                }
                None => {
                    // The seat, which holds the sender, outlives this borrow of the session.
                    let _ = life.changed().await;
                }
            }
        }
    }

    /// Lets the session end at `end`, if not sooner.
    pub(crate) fn limit(&self, end: Timestamp) {
        self.seat.limit(end);
    }

    /// Until when it may act, if there is an end to it.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.seat.until()
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
    /// [`Refusal::Revoked`] or [`Refusal::Draining`] when the session has been ended. What was
    /// sent before the connection closed by itself may still be acted on.
    pub fn check(&self) -> Result<(), Refusal> {
        match *self.0.life.borrow() {
            Life::Live | Life::Gone(None) if self.0.left() == Some(Duration::ZERO) => {
                Err(Refusal::Revoked)
            }
            Life::Live | Life::Gone(None) => Ok(()),
            Life::Ending(why) | Life::Gone(Some(why)) => match why {
                Ending::Revoked | Ending::Expired | Ending::Dismissed => Err(Refusal::Revoked),
                Ending::Replaced | Ending::Draining => Err(Refusal::Draining),
            },
        }
    }

    /// Who holds the session.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.presence.principal
    }

    /// The device that holds the session.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] when it is not a device's.
    pub fn device(&self) -> Result<&DeviceId, Refusal> {
        self.0.device()
    }

    /// Over which dialect it came in.
    pub(crate) fn via(&self) -> &'static str {
        self.0.presence.via
    }

    /// From where it came in.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.0.presence.peer
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let presence = &self.seat.presence;
        let mut live = self.registry.live.lock();
        live.by_id.remove(&presence.id);
        forget(&mut live.by_credential, &presence.credential, &presence.id);
        let mut others = Vec::new();
        if let Principal::Device { device, site, .. } = &presence.principal {
            self.registry.seen.device(device, self.seat.clock.now());
            forget(&mut live.by_device, device, &presence.id);
            if !live.by_device.contains_key(device) {
                self.registry.tell(device, site, false);
            }
            let ids = live.by_device.get(device).into_iter().flatten();
            others.extend(ids.filter_map(|id| live.by_id.get(id).cloned()));
        }
        live.depart(&self.seat);
        drop(live);
        self.seat.life.send_modify(|life| {
            *life = match *life {
                Life::Live => Life::Gone(None),
                Life::Ending(why) => Life::Gone(Some(why)),
                Life::Gone(why) => Life::Gone(why),
            }
        });
        for other in others {
            // The commands that this session had taken are free for the others.
            other.tell(&Signal::Commands);
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[tokio::test]
    async fn absence_comes_when_the_last_session_of_the_device_has_closed() {
        let sessions = Sessions::default();
        let [one, two] = [device_session(&sessions), device_session(&sessions)];
        let device = one.device().unwrap().clone();
        let absence = sessions.absence(&device);
        tokio::pin!(absence);
        drop(one);
        assert!(asked_once(absence.as_mut()).await.is_none());
        drop(two);
        absence.await;
    }

    #[tokio::test]
    async fn an_ended_session_is_not_live_though_its_connection_lingers() {
        let sessions = Sessions::default();
        let session = device_session(&sessions);
        let id = session.presence().id.clone();
        assert!(sessions.is_live(&id));
        let ended = sessions
            .end(&Selector::All, Ending::Revoked, Duration::ZERO)
            .await;
        assert_eq!((ended.ended, ended.lingering), (1, 1));
        assert!(!sessions.is_live(&id));
        sessions.absence(session.device().unwrap()).await;
        assert!(matches!(session.pass().check(), Err(Refusal::Revoked)));
    }

    #[tokio::test]
    async fn ending_waits_for_the_connection_though_somebody_holds_a_pass() {
        let sessions = Sessions::default();
        let session = device_session(&sessions);
        let pass = session.pass();
        let end = sessions.end(&Selector::All, Ending::Revoked, Duration::from_secs(3600));
        tokio::pin!(end);
        assert!(asked_once(end.as_mut()).await.is_none());
        drop(session);
        assert_eq!(end.await.lingering, 0);
        assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    }

    #[tokio::test]
    async fn those_who_stay_are_told_to_look_for_the_commands_of_who_left() {
        let sessions = Sessions::default();
        let [leaving, staying] = [device_session(&sessions), device_session(&sessions)];
        drop(leaving);
        assert!(matches!(staying.signal().await, Signal::Commands));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_itself_when_its_time_is_over() {
        let clock = Clock::held(Timestamp::from_millis(0));
        let session = device_session(&Sessions::new(clock.clone()));
        session.limit(Timestamp::from_millis(1_000));
        let mut ended = std::pin::pin!(session.ended());
        assert!(asked_once(ended.as_mut()).await.is_none());
        session.pass().check().unwrap();
        clock.advance(Duration::from_secs(1));
        assert_eq!(ended.await, Ending::Expired);
        assert!(matches!(session.pass().check(), Err(Refusal::Revoked)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_waits_for_a_far_end_notices_that_the_clock_was_put_forward() {
        let clock = Clock::held(Timestamp::from_millis(0));
        let session = device_session(&Sessions::new(clock.clone()));
        let year = Duration::from_hours(365 * 24);
        session.limit(Timestamp::from_millis(0).after(year));
        let mut ended = std::pin::pin!(session.ended());
        assert!(asked_once(ended.as_mut()).await.is_none());
        clock.advance(year);
        let ended = tokio::time::timeout(2 * MAX_NAP, ended).await;
        assert_eq!(ended.unwrap(), Ending::Expired);
    }

    #[tokio::test]
    async fn an_end_that_is_set_while_somebody_waits_for_it_is_heeded() {
        let clock = Clock::held(Timestamp::from_millis(5_000));
        let session = device_session(&Sessions::new(clock));
        let mut ended = std::pin::pin!(session.ended());
        assert!(asked_once(ended.as_mut()).await.is_none());
        session.limit(Timestamp::from_millis(4_000));
        assert_eq!(ended.await, Ending::Expired);
    }

    #[tokio::test]
    async fn a_device_comes_with_its_first_session_and_goes_with_its_last() {
        let sessions = Sessions::default();
        let mut changes = sessions.changes();
        let [one, two] = [device_session(&sessions), device_session(&sessions)];
        drop(one);
        assert_eq!(changes.recv().await, Ok(change(true)));
        assert!(changes.try_recv().is_err(), "it is there still");
        drop(two);
        assert_eq!(changes.recv().await, Ok(change(false)));
        assert!(changes.try_recv().is_err());
    }

    #[tokio::test]
    async fn who_looks_on_and_lags_behind_is_told_so() {
        let sessions = Sessions::default();
        let mut changes = sessions.changes();
        for _ in 0..=MAX_CHANGES / 2 {
            drop(device_session(&sessions));
        }
        let lagged = changes.recv().await;
        assert_eq!(lagged, Err(broadcast::error::RecvError::Lagged(2)));
        assert_eq!(changes.recv().await, Ok(change(true)));
    }

    fn change(present: bool) -> PresenceChange {
        PresenceChange {
            device: "till-1".parse().unwrap(),
            site: "shop".parse().unwrap(),
            present,
        }
    }

    /// What comes of `future` when it is asked once.
    async fn asked_once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(done) => Some(done),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    pub(crate) fn device_session(sessions: &Sessions) -> Session {
        sessions.take_up(Presence {
            id: SessionId::made_up().unwrap(),
            principal: Principal::Device {
                device: "till-1".parse().unwrap(),
                site: "shop".parse().unwrap(),
                policy: "own-subtree".to_owned(),
            },
            credential: "cr-1".parse().unwrap(),
            via: "test",
            peer: "127.0.0.1:1".parse().unwrap(),
            since: Timestamp::from_millis(0),
        })
    }
}
