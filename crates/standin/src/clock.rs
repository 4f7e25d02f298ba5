//! Where the stand-ins get the time from, so that a test can play any moment.

use std::time::SystemTime;

/// A source of wall-clock time.
///
/// Any closure `Fn() -> SystemTime` is one.
pub trait Clock: Send + Sync {
    /// The time it is now, as this clock believes.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

impl<F> Clock for F
where
    F: Fn() -> SystemTime + Send + Sync,
{
    fn now(&self) -> SystemTime {
        self()
    }
}
