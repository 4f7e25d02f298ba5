//! When to try again.

use std::time::Duration;

use outgate_core::Timestamp;

/// The wait after the first failure.
pub const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait that is not asked for by the receiver.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The longest wait that a receiver may ask for (RFC 9110, section 10.2.3).
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// After so many rejections a message is set aside: some six hours after the first.
pub const MAX_REJECTIONS: u32 = 15;

/// After so long without a receiver a webhook is stopped, because what it has not taken is kept
/// until then and the disk has an end.
pub const STOP_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);

/// And never after fewer attempts: some fourteen hours of them. The machine's clock may have been
/// wrong by years when the first one failed.
pub const STOP_AFTER_ATTEMPTS: u32 = 24;

/// How long to wait yet, until `next_try`. Nothing is planned further ahead than
/// [`LONGEST_RETRY_AFTER`]: what is, was planned by a clock that has been put right since, and is
/// tried now.
pub(super) fn left(next_try: Timestamp, now: Timestamp) -> Duration {
    let left = next_try.since(now);
    if left > LONGEST_RETRY_AFTER {
        Duration::ZERO
    } else {
        left
    }
}

/// How long to wait after the failure number `failures`, from 1. `chance` from 0 to 255 moves it
/// by a fifth to either side; `asked` is what the receiver asked for.
pub(crate) fn wait(failures: u32, chance: u8, asked: Option<Duration>) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let wait = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    let wait = wait.mul_f64(0.8 + 0.4 * f64::from(chance) / 255.0);
    wait.max(asked.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour() {
        let middle = |failures| wait(failures, 127, None).as_secs_f64().round();
        let waits: Vec<f64> = [1, 2, 3, 10, 11, 12, u32::MAX].map(middle).into();
        assert_eq!(waits, [5.0, 10.0, 20.0, 2558.0, 3597.0, 3597.0, 3597.0]);
    }

    #[test]
    fn what_was_planned_by_a_clock_that_was_years_ahead_is_tried_now() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let minute = Duration::from_secs(60);
        assert_eq!(left(now.after(minute), now), minute);
        assert_eq!(left(now.before(minute), now), Duration::ZERO);
        let longest = now.after(LONGEST_RETRY_AFTER);
        assert_eq!(left(longest, now), LONGEST_RETRY_AFTER);
        let years = now.after(Duration::from_secs(10 * 366 * 86_400));
        assert_eq!(left(years, now), Duration::ZERO);
    }

    #[test]
    fn chance_moves_a_wait_by_a_fifth_at_most() {
        assert_eq!(wait(1, 0, None), Duration::from_secs(4));
        assert_eq!(wait(1, 255, None), Duration::from_secs(6));
    }

    #[test]
    fn what_the_receiver_asks_for_lengthens_a_wait_but_not_for_ever() {
        let asked = |seconds| wait(1, 0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(1), Duration::from_secs(4));
        assert_eq!(asked(120), Duration::from_secs(120));
        assert_eq!(asked(u64::MAX), LONGEST_RETRY_AFTER);
    }
}
