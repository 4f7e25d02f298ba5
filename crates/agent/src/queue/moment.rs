//! What time it is, for a machine whose clock may be wrong: it may start in 1970, or be put right
//! while it runs.

use std::io::Read as _;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use time::OffsetDateTime;

/// Where Linux tells what this run of the machine is called (`random(4)`).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The most bytes of that: a UUID and a line's end.
const MAX_BOOT_ID: u64 = 64;

/// A run of the machine, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boot(pub u128);

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In which run of the machine.
    pub boot: Boot,
    /// How long after its start, by a clock that nobody puts forward or back and that goes on
    /// while the machine sleeps.
    pub up: Duration,
    /// What time it was, if somebody who can be trusted has said so in this run.
    pub wall: Option<OffsetDateTime>,
}

/// Tells what time it is.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> Moment;
}

/// The machine's clock, with the time that somebody who can be trusted has told.
#[derive(Debug)]
pub struct MachineClock {
    boot: Boot,
    /// What time it was when the machine started.
    began: Mutex<Option<OffsetDateTime>>,
}

impl MachineClock {
    /// A clock that does not know what time it is yet.
    ///
    /// # Errors
    /// The system does not tell which run of the machine this is, and gives no random number to
    /// take instead.
    pub fn new() -> Result<Self, getrandom::Error> {
        let boot = match told() {
            Some(boot) => boot,
            // Then a run of the agent counts as one of the machine.
            None => {
                let mut made_up = [0; 16];
                getrandom::fill(&mut made_up)?;
                u128::from_be_bytes(made_up)
            }
        };
        Ok(Self {
            boot: Boot(boot),
            began: Mutex::new(None),
        })
    }

    /// Notes what time it is now, as somebody who can be trusted says.
    pub fn set(&self, now: OffsetDateTime) {
        *self.began.lock() = now.checked_sub(up().try_into().unwrap_or(time::Duration::MAX));
    }

    /// The same, as the time at which the machine started.
    pub fn set_began(&self, began: OffsetDateTime) {
        *self.began.lock() = Some(began);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Moment {
        let up = up();
        let since = time::Duration::try_from(up).unwrap_or(time::Duration::MAX);
        Moment {
            boot: self.boot,
            up,
            wall: self.began.lock().and_then(|began| began.checked_add(since)),
        }
    }
}

/// How long the machine has been running, with the time that it slept.
pub(crate) fn up() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn told() -> Option<u128> {
    let mut text = String::new();
    let file = std::fs::File::open(BOOT_ID).ok()?;
    file.take(MAX_BOOT_ID).read_to_string(&mut text).ok()?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_nobody_has_told_the_time_does_not_know_it() {
        let clock = MachineClock::new().unwrap();
        assert_eq!(clock.now().wall, None);
    }

    #[test]
    fn a_time_that_was_told_goes_on_with_the_machine() {
        let clock = MachineClock::new().unwrap();
        let told = OffsetDateTime::from_unix_timestamp(2_000_000_000).unwrap();
        clock.set(told);
        let (one, two) = (clock.now(), clock.now());
        assert!(one.wall.unwrap() >= told);
        let passed = two.wall.unwrap() - one.wall.unwrap();
        assert_eq!(passed, two.up - one.up);
    }

    #[test]
    fn two_clocks_of_one_run_of_the_machine_know_that_they_are() {
        let one = MachineClock::new().unwrap().now().boot;
        assert_eq!(one, MachineClock::new().unwrap().now().boot);
    }
}
