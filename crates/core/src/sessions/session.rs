//! One live connection, and the right to act that it gives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::seat::{Life, Seat};
use super::{Ending, Presence, Registry, Signal};
use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::identity::Principal;
use crate::refusal::Refusal;

/// How long a session that waits for its credential's end sleeps at most, so that it notices when
/// the machine's clock has been put right.
const MAX_NAP: Duration = Duration::from_secs(60);

/// One live connection. Dropping it says that the connection is closed.
#[derive(Debug)]
pub struct Session {
    pub(super) seat: Arc<Seat>,
    pub(super) registry: Arc<Registry>,
}

/// The right to act that a session gives: may be copied to wherever the act takes place.
#[derive(Clone, Debug)]
pub struct Pass(pub(super) Arc<Seat>);

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

    /// Waits until it gives no right to act any more, whether or not its connection is closed.
    pub(crate) async fn withdrawn(&self) {
        let mut life = self.0.life.subscribe();
        loop {
            life.mark_unchanged();
            if self.check().is_err() {
                return;
            }
            let nap = self.0.left().map_or(MAX_NAP, |left| left.min(MAX_NAP));
            tokio::select! {
                // The seat, which holds the sender, is in this.
                _ = life.changed() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Waits until its connection is closed, or is to close.
    pub(crate) async fn gone(&self) {
        let mut life = self.0.life.subscribe();
        let closed = life.wait_for(|life| *life != Life::Live);
        tokio::select! {
            _ = closed => {}
            () = self.withdrawn() => {}
        }
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
        let mut live = self.registry.live.lock();
        let others = live.leave(&self.seat);
        if self.seat.is_aside {
            // Nobody came by it, so nobody goes.
        } else if let Principal::Device { device, site, .. } = self.principal() {
            self.registry.seen.device(device, self.seat.clock.now());
            if others.is_empty() {
                self.registry.tell(device, site, false);
            }
        }
        drop(live);
        self.seat.close();
        if self.seat.is_aside {
            return;
        }
        for other in others {
            // The commands that this session had taken are free for the others.
            other.tell(&Signal::Commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::sessions::tests::{asked_once, device_session};
    use crate::sessions::{Selector, Sessions};

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
    async fn what_was_said_before_a_connection_closed_counts_although_its_client_has_come_again() {
        let sessions = Sessions::default();
        let session = device_session(&sessions);
        let (pass, who) = (session.pass(), session.presence().id.clone());
        let who = Selector::Session(who);
        drop(session);
        sessions.end(&who, Ending::Replaced, Duration::ZERO).await;
        pass.check().unwrap();
        sessions.end(&who, Ending::Revoked, Duration::ZERO).await;
        assert!(matches!(pass.check(), Err(Refusal::Revoked)));
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
}
