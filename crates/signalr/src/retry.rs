//! When a client comes back after its connection has ended.

use std::time::Duration;

/// Between the tries of Microsoft's clients, which give up after the last one.
pub const MICROSOFT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// The longest that a server's `Retry-After` is obeyed (RFC 9110 §10.2.3): a device that was told a
/// year must not be lost for a year.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// For how long a connection must have stood for what failed before it to be forgotten: twice
/// ASP.NET Core's keep-alive. Otherwise a server that accepts and drops would be asked again and
/// again without a wait.
pub const HELD: Duration = Duration::from_secs(30);

/// How often and after how long it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Never.
    Never,
    /// After each of these in turn, and then no more.
    Delays(Vec<Duration>),
    /// For ever: after any time from none up to a longest one, which is `first` at first, doubles
    /// with each failure, and stays at `most` ("full jitter"). Whoever was cut off together does
    /// not come back together.
    Endless {
        /// The longest wait before the first try.
        first: Duration,
        /// The longest wait of all.
        most: Duration,
    },
    /// For ever, for one of many that may be cut off together: each try falls into a window of
    /// time, at the same share of each window. The first two windows are `first` long, and then each
    /// is twice as long as the one before, up to `most`. Whenever the server comes back, those who
    /// wait come evenly, and in no time more than twice as many as on average.
    Spread {
        /// The first window: as long as the server needs for all of them.
        first: Duration,
        /// The longest window.
        most: Duration,
    },
}

impl Policy {
    /// For devices, which nobody restarts: for ever, up to a second at first and a minute at most.
    pub const DEVICE: Self = Self::Endless {
        first: Duration::from_secs(1),
        most: Duration::from_secs(60),
    };
}

/// What Microsoft's clients do: [`MICROSOFT`].
impl Default for Policy {
    fn default() -> Self {
        Self::Delays(MICROSOFT.to_vec())
    }
}

/// Counts what failed, by a policy.
#[derive(Debug, Clone)]
pub struct Retries {
    policy: Policy,
    failures: u32,
    /// The share of each window at which it is tried ([`Policy::Spread`]).
    share: Option<u64>,
}

impl Retries {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            failures: 0,
            share: None,
        }
    }

    /// Goes by another policy from the next loss on; what is counted stays.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// How many tries have been allowed since a connection last held.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.failures
    }

    /// A connection has ended after it stood for so long.
    pub fn on_lost(&mut self, stood: Duration) {
        if stood >= HELD {
            self.failures = 0;
            self.share = None;
        }
    }

    /// How long to wait before the next try; `None` to give up. `after` is what the server asked
    /// for, `random` any number, evenly distributed.
    pub fn next(&mut self, after: Option<Duration>, random: u64) -> Option<Duration> {
        let after = after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let delay = match &self.policy {
            Policy::Never => return None,
            Policy::Delays(delays) => {
                let index = usize::try_from(self.failures).unwrap_or(usize::MAX);
                (*delays.get(index)?).max(after)
            }
            Policy::Endless { first, most } => {
                // All who were told the same time would come at the same time.
                after + part(doubled(*first, self.failures, *most), random)
            }
            Policy::Spread { first, most } => {
                let share = *self.share.get_or_insert(random);
                let window = |number: u32| doubled(*first, number.saturating_sub(1), *most);
                let position = part(window(self.failures), share);
                // What is left of the last window, and what comes before it in this one.
                let rest = self.failures.checked_sub(1).map(|last| {
                    let last = window(last);
                    last - part(last, share)
                });
                position + rest.unwrap_or_default().max(after)
            }
        };
        self.failures = self.failures.saturating_add(1);
        Some(delay)
    }
}

/// A time that was doubled so many times, or `most` where that is less.
fn doubled(time: Duration, times: u32, most: Duration) -> Duration {
    let factor = 2_u32.checked_pow(times);
    let doubled = factor.and_then(|factor| time.checked_mul(factor));
    doubled.unwrap_or(most).min(most)
}

/// As much of a time as a number is of all numbers.
#[must_use]
pub fn part(whole: Duration, random: u64) -> Duration {
    let nanos = (whole.as_nanos() * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn microsofts_delays_follow_one_another_and_end() {
        let mut retries = Retries::new(Policy::default());
        for delay in [0, 2, 10, 30].map(seconds) {
            assert_eq!(retries.next(None, 7), Some(delay));
        }
        assert_eq!((retries.next(None, 7), retries.count()), (None, 4));
    }

    #[test]
    fn a_connection_that_held_makes_the_count_begin_anew_and_one_that_did_not_does_not() {
        let mut retries = Retries::new(Policy::default());
        retries.next(None, 0);
        retries.on_lost(HELD / 2);
        assert_eq!(retries.next(None, 0), Some(seconds(2)));
        retries.on_lost(HELD);
        assert_eq!(retries.next(None, 0), Some(Duration::ZERO));
    }

    #[test]
    fn whoever_never_comes_back_does_not_even_when_asked_to() {
        assert_eq!(Retries::new(Policy::Never).next(Some(seconds(1)), 0), None);
    }

    #[test]
    fn what_the_server_asks_for_is_the_least_that_is_waited_up_to_an_hour() {
        let mut retries = Retries::new(Policy::default());
        assert_eq!(retries.next(Some(seconds(5)), 0), Some(seconds(5)));
        let year = Some(seconds(365 * 86_400));
        assert_eq!(retries.next(year, 0), Some(RETRY_AFTER_MAX));
        let mut retries = Retries::new(Policy::DEVICE);
        let later = retries.next(Some(seconds(5)), u64::MAX).unwrap();
        assert!(later > seconds(5) && later < seconds(6), "{later:?}");
    }

    #[test]
    fn many_who_were_told_the_same_time_come_one_after_the_other_after_it() {
        let policy = Policy::Spread {
            first: seconds(10),
            most: seconds(60),
        };
        let mut early = Retries::new(policy.clone());
        let mut late = Retries::new(policy);
        assert_eq!(early.next(Some(seconds(5)), 0), Some(seconds(5)));
        let half = u64::MAX / 2 + 1;
        assert_eq!(late.next(Some(seconds(5)), half), Some(seconds(10)));
        // The rest of one window and the beginning of the next are longer than that.
        assert_eq!(late.next(Some(seconds(5)), half), Some(seconds(10)));
        late.on_lost(HELD);
        assert_eq!((late.count(), late.next(None, 0)), (0, Some(seconds(0))));
    }

    proptest! {
        #[test]
        fn a_device_waits_at_most_twice_as_long_each_time_and_never_gives_up(
            randoms in prop::collection::vec(any::<u64>(), 1..50),
        ) {
            let mut retries = Retries::new(Policy::DEVICE);
            let mut longest = seconds(1);
            for random in randoms {
                let delay = retries.next(None, random).unwrap();
                prop_assert!(delay <= longest);
                longest = (longest * 2).min(seconds(60));
            }
        }

        #[test]
        fn of_many_each_tries_once_in_every_window_at_its_own_share_of_it(
            share: u64,
            other: u64,
        ) {
            let (first, most) = (seconds(10), seconds(60));
            let mut retries = Retries::new(Policy::Spread { first, most });
            let (mut start, mut at) = (Duration::ZERO, Duration::ZERO);
            for window in [10, 10, 20, 40, 60, 60, 60].map(seconds) {
                // Only the first number counts.
                let random = if retries.count() == 0 { share } else { other };
                at += retries.next(None, random).unwrap();
                let due = start + part(window, share);
                prop_assert!(at.abs_diff(due) < Duration::from_micros(1), "{at:?} {due:?}");
                start += window;
            }
        }

        #[test]
        fn any_number_is_a_part_of_the_whole(random: u64) {
            prop_assert!(part(seconds(60), random) < seconds(60));
        }
    }
}
