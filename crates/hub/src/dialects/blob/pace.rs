//! How fast a file must come.
//!
//! Each upload holds one of few places, so whoever sends next to nothing must not hold it for ever.

use std::time::Duration;

use tokio::time::{Instant, timeout};

/// For so long it is waited for bytes...
const WINDOW: Duration = Duration::from_secs(60);

/// ...until so many have come: 1 KiB a second, a quarter of what the agent gives up at.
const LEAST: usize = 60 << 10;

/// How a body comes.
#[derive(Debug)]
pub(super) struct Pace {
    /// How much longer may be waited until [`LEAST`] have come.
    left: Duration,
    came: usize,
}

/// It comes too slowly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            left: WINDOW,
            came: 0,
        }
    }

    /// What `next` gives, if it comes in time. Only this counts as waiting: what is done with bytes
    /// that have come is nobody's slowness.
    pub(super) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, TooSlow> {
        let began = Instant::now();
        let come = timeout(self.left, next).await;
        self.left = self.left.saturating_sub(began.elapsed());
        come.map_err(|_| TooSlow)
    }

    /// Notes that so many bytes have come.
    pub(super) fn came(&mut self, bytes: usize) {
        self.came = self.came.saturating_add(bytes);
        if self.came >= LEAST {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// For how many of `times` so many bytes come, each after `every`.
    async fn comes(bytes: usize, every: Duration, times: usize) -> usize {
        let mut pace = Pace::new();
        for time in 0..times {
            if pace.wait(sleep(every)).await == Err(TooSlow) {
                return time;
            }
            pace.came(bytes);
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_byte_now_and_then_is_given_up_after_a_minute() {
        assert_eq!(comes(1, Duration::from_secs(25), 1_000).await, 2);
        assert_eq!(comes(LEAST - 1, Duration::from_secs(31), 1_000).await, 1);
        assert_eq!(comes(0, Duration::from_secs(61), 1).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_a_kibibyte_a_second_may_go_on_for_ever() {
        let second = Duration::from_millis(999);
        assert_eq!(comes(1 << 10, second, 10_000).await, 10_000);
        assert_eq!(comes(LEAST, Duration::from_secs(59), 100).await, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_between_is_not_waited_for() {
        let mut pace = Pace::new();
        for _ in 0..100 {
            pace.wait(async {}).await.unwrap();
            sleep(WINDOW).await;
        }
    }
}
