//! Leaving an API alone that fails, and trying it again with one request at a time.

use std::sync::Arc;
use std::time::Duration;

use outgate_core::Timestamp;
use parking_lot::Mutex;

/// When to come again while one request tries whether the API is back.
const WHILE_TRIED: Duration = Duration::from_secs(1);

/// Whether an API is asked now. It is told what time it is.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    after: u32,
    rest: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It answers; so many requests have failed since it last did.
    Asked { failed: u32 },
    /// It is left alone until then.
    Resting { until: Timestamp },
    /// One request tries whether it is back.
    Tried,
}

/// The permission for one request, whose outcome is told to it. Dropped without one, as when
/// whoever asked has gone, it says nothing about the API.
#[derive(Debug)]
pub(super) struct Permission {
    breaker: Breaker,
    is_trial: bool,
    told: bool,
}

impl Breaker {
    /// One that leaves the API alone for `rest` after so many failures in a row.
    pub(super) fn new(after: u32, rest: Duration) -> Self {
        let state = Arc::new(Mutex::new(State::Asked { failed: 0 }));
        Self { after, rest, state }
    }

    /// Whether the API may be asked at `now`.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn permit(&self, now: Timestamp) -> Result<Permission, Duration> {
        let mut state = self.state.lock();
        let is_trial = match *state {
            State::Asked { .. } => false,
            State::Tried => return Err(WHILE_TRIED),
            State::Resting { until } => {
                let left = until.since(now);
                // It never rests for longer, though the clock was put back.
                if !left.is_zero() && left <= self.rest {
                    return Err(left);
                }
                *state = State::Tried;
                true
            }
        };
        drop(state);
        Ok(Permission {
            breaker: self.clone(),
            is_trial,
            told: false,
        })
    }
}

impl Permission {
    /// The API has answered.
    pub(super) fn answered(mut self) {
        self.told = true;
        let mut state = self.breaker.state.lock();
        match *state {
            State::Asked { .. } => *state = State::Asked { failed: 0 },
            State::Tried if self.is_trial => *state = State::Asked { failed: 0 },
            // One that was asked before says nothing of how it is now.
            State::Tried | State::Resting { .. } => {}
        }
    }

    /// The API has failed. Whether it is left alone from now on.
    pub(super) fn failed(mut self, now: Timestamp) -> bool {
        self.told = true;
        let until = now.after(self.breaker.rest);
        let mut state = self.breaker.state.lock();
        match &mut *state {
            State::Asked { failed } => {
                *failed += 1;
                if *failed < self.breaker.after {
                    return false;
                }
            }
            State::Tried if self.is_trial => {}
            State::Tried | State::Resting { .. } => return false,
        }
        *state = State::Resting { until };
        true
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        if self.is_trial && !self.told {
            // The next one tries.
            let until = Timestamp::from_millis(0);
            *self.breaker.state.lock() = State::Resting { until };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + seconds * 1_000)
    }

    /// One that has failed three times at the start.
    fn resting() -> Breaker {
        let breaker = Breaker::new(3, REST);
        for failure in 1..=3 {
            let broke = breaker.permit(at(0)).unwrap().failed(at(0));
            assert_eq!(broke, failure == 3);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_have_it_rest_and_others_do_not() {
        let breaker = Breaker::new(3, REST);
        for _ in 0..5 {
            assert!(!breaker.permit(at(0)).unwrap().failed(at(0)));
            assert!(!breaker.permit(at(0)).unwrap().failed(at(0)));
            breaker.permit(at(0)).unwrap().answered();
        }
        let resting = resting();
        assert_eq!(
            resting.permit(at(10)).unwrap_err(),
            REST - Duration::from_secs(10)
        );
    }

    #[test]
    fn after_its_rest_one_request_tries_and_decides() {
        let breaker = resting();
        let trial = breaker.permit(at(30)).unwrap();
        assert_eq!(breaker.permit(at(30)).unwrap_err(), WHILE_TRIED);
        assert!(trial.failed(at(31)));
        assert_eq!(breaker.permit(at(31)).unwrap_err(), REST);
        breaker.permit(at(61)).unwrap().answered();
        let [one, two] = [(); 2].map(|()| breaker.permit(at(61)).unwrap());
        one.answered();
        two.answered();
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_room_for_the_next() {
        let breaker = resting();
        drop(breaker.permit(at(30)).unwrap());
        assert!(breaker.permit(at(30)).is_ok());
    }

    #[test]
    fn what_was_asked_before_does_not_decide_about_the_rest() {
        let breaker = Breaker::new(1, REST);
        let [early, late] = [(); 2].map(|()| breaker.permit(at(0)).unwrap());
        let failing = breaker.permit(at(0)).unwrap();
        assert!(failing.failed(at(0)));
        early.answered();
        assert!(breaker.permit(at(1)).is_err());
        let trial = breaker.permit(at(30)).unwrap();
        assert!(!late.failed(at(30)));
        trial.answered();
        assert!(breaker.permit(at(30)).is_ok());
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_make_it_rest_for_longer() {
        let breaker = resting();
        assert!(breaker.permit(at(-3_600)).is_ok());
    }
}
