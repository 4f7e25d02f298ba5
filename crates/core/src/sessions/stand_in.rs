//! Acting for somebody whose connection is closed.

use std::sync::Arc;

use super::seat::{Life, Seat};
use super::{Pass, Presence, Sessions};
use crate::clock::Timestamp;

impl Sessions {
    /// The right to act for who was `presence`, at most until `end`. Nobody is present by it, but
    /// whatever ends sessions of theirs ends it too. Whoever calls this must ask afterwards, not
    /// before, whether the credential still holds.
    #[must_use]
    pub(crate) fn stand_in(&self, presence: Presence, end: Option<Timestamp>) -> Pass {
        let seat = Arc::new(Seat::new(presence, self.0.clock.clone(), Life::Gone(None)));
        if let Some(end) = end {
            seat.limit(end);
        }
        let pass = Pass(Arc::clone(&seat));
        self.0.live.lock().depart(&seat);
        pass
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::refusal::Refusal;
    use crate::sessions::tests::device_session;
    use crate::sessions::{Ending, Selector, Sessions};

    #[tokio::test]
    async fn who_stands_in_for_a_device_is_not_present_and_ends_with_it() {
        let sessions = Sessions::default();
        let presence = device_session(&sessions).presence().clone();
        let pass = sessions.stand_in(presence, None);
        assert_eq!(sessions.count(), 0);
        pass.check().unwrap();
        let device = Selector::Device("till-1".parse().unwrap());
        let ended = sessions.end(&device, Ending::Revoked, Duration::ZERO).await;
        assert_eq!(ended.ended, 0);
        assert!(matches!(pass.check(), Err(Refusal::Revoked)));
    }
}
