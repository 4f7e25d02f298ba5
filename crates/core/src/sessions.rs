//! Every live connection, by who holds it, so that any of them can be ended at once.
//!
//! A session is opened when somebody has proved who they are and lasts as long as the connection.
//! Everything acted on in between asks its [`Pass`] first, and again on the writer's thread just
//! before it takes effect. So when [`Sessions::end`] returns, nothing that the ended sessions sent
//! is acted on any more, and their connections are closed.

mod live;
mod seat;
mod selector;
mod session;
mod stand_in;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::clock::{Clock, Timestamp};
use crate::id::{CredentialId, DeviceId, SessionId, SiteId, TwinName};
use crate::identity::{Principal, Seen};
use live::Live;
use seat::{Life, Seat};

pub use selector::Selector;
pub use session::{Pass, Session};

/// The most calls that wait for one session to take them.
pub const MAX_WAITING_CALLS: usize = 64;

/// The most changes of presence that somebody who looks on may lag behind.
const MAX_CHANGES: usize = 1_024;

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
    /// The desired half of the twin of this name has changed.
    DesiredOf(TwinName),
    /// There is a new roster of its site.
    Roster,
    /// The spaces of its site have changed: what it was told of users before may not hold any more.
    Spaces,
    /// Somebody calls and waits.
    Call(crate::calls::Call),
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

/// What came of ending sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How many were live.
    pub ended: usize,
    /// How many of them had not closed in time.
    pub lingering: usize,
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
        let seat = Arc::new(Seat::new(presence, self.0.clock.clone(), Life::Live));
        let mut live = self.0.live.lock();
        if live.enter(&seat)
            && let Principal::Device { device, site, .. } = &seat.presence.principal
        {
            self.0.tell(device, site, true);
        }
        drop(live);
        Session {
            seat,
            registry: Arc::clone(&self.0),
        }
    }

    /// As [`Sessions::take_up`], for somebody who does one thing in a device's name, whoever they are:
    /// the device is not present by it, was not seen, and is told nothing over it.
    #[must_use]
    pub(crate) fn take_up_aside(&self, presence: Presence) -> Session {
        let seat = Arc::new(Seat::aside(presence, self.0.clock.clone()));
        self.0.live.lock().enter(&seat);
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
            // Both as of one moment.
            let (seats, departed) = {
                let live = self.0.live.lock();
                (live.seats(selector), live.departed(selector))
            };
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

    /// Waits until none of the sessions by which `device` is present at the time of this call may act
    /// any more.
    pub fn absence(&self, device: &DeviceId) -> impl Future<Output = ()> + Send + use<> {
        let lives: Vec<_> = self
            .seats(&Selector::Device(device.clone()))
            .iter()
            .filter(|seat| !seat.is_aside)
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
        live.seat(id)
            .is_some_and(|seat| *seat.life.borrow() == Life::Live)
    }

    /// Tells every session by which `device` is present. Returns how many there are.
    pub fn signal(&self, device: &DeviceId, signal: &Signal) -> usize {
        self.signal_all(&Selector::Device(device.clone()), signal)
    }

    /// Tells every session that `selector` means. Returns how many there are.
    pub(crate) fn signal_all(&self, selector: &Selector, signal: &Signal) -> usize {
        let seats = self.seats(selector);
        let told = |seat: &&Arc<Seat>| !seat.is_aside && seat.tell(signal);
        seats.iter().filter(told).count()
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
        self.0.live.lock().count()
    }

    /// Whether `device` is present: has a live session of its own.
    #[must_use]
    pub fn is_present(&self, device: &DeviceId) -> bool {
        self.0.live.lock().has(device)
    }

    fn seats(&self, selector: &Selector) -> Vec<Arc<Seat>> {
        self.0.live.lock().seats(selector)
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::refusal::Refusal;

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

    #[tokio::test]
    async fn a_device_is_not_present_by_what_is_done_in_its_name_which_ends_with_it() {
        let sessions = Sessions::default();
        let mut changes = sessions.changes();
        let aside = sessions.take_up_aside(device_presence("till-1"));
        let device = aside.device().unwrap().clone();
        assert!(!sessions.is_present(&device));
        assert_eq!(sessions.signal(&device, &Signal::Commands), 0);
        assert_eq!(sessions.present(&Selector::Device(device.clone())).len(), 1);
        // Nobody is waited for.
        assert!(
            asked_once(std::pin::pin!(sessions.absence(&device)))
                .await
                .is_some()
        );
        let own = device_session(&sessions);
        assert_eq!(changes.recv().await, Ok(change(true)));
        drop(own);
        assert_eq!(changes.recv().await, Ok(change(false)));
        let all = Selector::Device(device.clone());
        let ended = sessions.end(&all, Ending::Revoked, Duration::ZERO).await;
        assert_eq!((ended.ended, ended.lingering), (1, 1));
        assert!(matches!(aside.pass().check(), Err(Refusal::Revoked)));
        drop(aside);
        assert!(changes.try_recv().is_err());
        assert_eq!(sessions.count(), 0);
    }

    fn change(present: bool) -> PresenceChange {
        PresenceChange {
            device: "till-1".parse().unwrap(),
            site: "shop".parse().unwrap(),
            present,
        }
    }

    /// What comes of `future` when it is asked once.
    pub(super) async fn asked_once<T>(
        mut future: std::pin::Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(done) => Some(done),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    pub(crate) fn device_session(sessions: &Sessions) -> Session {
        sessions.take_up(device_presence("till-1"))
    }

    /// A device of the site `shop` that has come in just now.
    pub(super) fn device_presence(device: &str) -> Presence {
        Presence {
            id: SessionId::made_up().unwrap(),
            principal: Principal::Device {
                device: device.parse().unwrap(),
                site: "shop".parse().unwrap(),
                policy: "own-subtree".to_owned(),
            },
            credential: "cr-1".parse().unwrap(),
            via: "test",
            peer: "127.0.0.1:1".parse().unwrap(),
            since: Timestamp::from_millis(0),
        }
    }
}
