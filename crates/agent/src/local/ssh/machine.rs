//! When it is on. Nothing here does anything; times are those of a clock that nobody puts forward or
//! back.

use std::time::{Duration, Instant};

/// The shortest that it is switched on.
const LEAST: Duration = Duration::from_secs(60);

/// Whether it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody can come in, and nobody is in.
    Off,
    /// Whoever may can come in.
    On {
        /// Until then.
        until: Instant,
    },
    /// Nobody can come in, and whoever is in is being thrown out.
    Ending,
}

/// The switch.
#[derive(Debug)]
pub(super) struct Machine {
    most: Duration,
    state: State,
}

/// It can be switched on for less time only, or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfBounds;

impl Machine {
    /// A switch that is off, and can be on for `most` at a time.
    pub(super) fn new(most: Duration) -> Self {
        Self {
            most,
            state: State::Off,
        }
    }

    /// Switches it on for `time` from now. While it is on it is so anew, for more time or less;
    /// while it is ending it goes on ending.
    pub(super) fn on(&mut self, time: Duration, now: Instant) -> Result<State, OutOfBounds> {
        if !(LEAST..=self.most).contains(&time) {
            return Err(OutOfBounds);
        }
        match (self.state, now.checked_add(time)) {
            (State::Off | State::On { .. }, Some(until)) => self.state = State::On { until },
            (State::Ending, _) | (_, None) => {}
        }
        Ok(self.state)
    }

    /// Switches it off: who is in is to be thrown out.
    pub(super) fn off(&mut self) {
        if let State::On { .. } = self.state {
            self.state = State::Ending;
        }
    }

    /// Nobody is in any more.
    pub(super) fn ended(&mut self) {
        self.state = State::Off;
    }

    /// When to call [`Machine::handle_timeout`], if nothing else happens.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::On { until } => Some(until),
            State::Off | State::Ending => None,
        }
    }

    /// It is `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            self.off();
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn most(&self) -> Duration {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn machine() -> (Machine, Instant) {
        (Machine::new(30 * MINUTE), Instant::now())
    }

    #[test]
    fn it_is_off_at_first_and_on_for_as_long_as_was_said() {
        let (mut machine, now) = machine();
        assert_eq!(machine.state(), State::Off);
        assert_eq!(machine.poll_timeout(), None);
        machine.on(10 * MINUTE, now).unwrap();
        let until = now + 10 * MINUTE;
        assert_eq!(machine.poll_timeout(), Some(until));
        machine.handle_timeout(until - Duration::from_nanos(1));
        assert_eq!(machine.state(), State::On { until });
        machine.handle_timeout(until);
        assert_eq!(machine.state(), State::Ending);
        machine.ended();
        assert_eq!(machine.state(), State::Off);
    }

    #[test]
    fn it_cannot_be_on_for_longer_than_is_configured_however_often_it_is_asked() {
        let (mut machine, now) = machine();
        for wrong in [Duration::ZERO, MINUTE / 2, 31 * MINUTE] {
            assert_eq!(machine.on(wrong, now), Err(OutOfBounds));
            assert_eq!(machine.state(), State::Off);
        }
        machine.on(30 * MINUTE, now).unwrap();
        let later = now + 20 * MINUTE;
        machine.on(30 * MINUTE, later).unwrap();
        assert_eq!(machine.poll_timeout(), Some(later + 30 * MINUTE));
    }

    #[test]
    fn it_can_be_made_shorter() {
        let (mut machine, now) = machine();
        machine.on(30 * MINUTE, now).unwrap();
        machine.on(MINUTE, now).unwrap();
        assert_eq!(machine.poll_timeout(), Some(now + MINUTE));
    }

    #[test]
    fn whoever_is_in_is_thrown_out_before_it_can_be_on_again() {
        let (mut machine, now) = machine();
        machine.off();
        assert_eq!(machine.state(), State::Off);
        machine.on(MINUTE, now).unwrap();
        machine.off();
        assert_eq!(machine.on(MINUTE, now), Ok(State::Ending));
        assert_eq!(machine.poll_timeout(), None);
        machine.ended();
        machine.on(MINUTE, now).unwrap();
        assert!(matches!(machine.state(), State::On { .. }));
    }
}
