//! How often somebody may do something.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;

/// The most of `K` that are remembered; beyond it those who may do all of their burst again are
/// forgotten, and if too few are, some others too: each of these gets at most one burst more.
pub const MAX_REMEMBERED: usize = 65_536;

/// How long somebody is told to wait who may do something never.
const NEVER: Duration = Duration::from_hours(1);

/// How often and how quickly: a bucket that holds `burst` and gets one back `every` so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How long until there is one more.
    pub every: Duration,
}

/// How often each `K` may do something. Measured by a clock that nobody puts forward or back.
#[derive(Debug)]
pub struct Rates<K> {
    clock: Clock,
    kept: Mutex<Kept<K>>,
}

#[derive(Debug)]
struct Kept<K> {
    rate: Rate,
    /// From when on the bucket of each is full. One that is full already is the same as none.
    full_from: HashMap<K, Duration>,
}

impl Rate {
    /// `burst` at once, and so many a second in the long run; for 0 a second, none ever.
    #[must_use]
    pub fn a_second(number: u32, burst: u32) -> Self {
        match Duration::from_secs(1).checked_div(number) {
            Some(every) => Self { burst, every },
            None => Self {
                burst: 0,
                every: NEVER,
            },
        }
    }
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// Lets each do it at `rate`.
    #[must_use]
    pub fn new(rate: Rate, clock: Clock) -> Self {
        Self {
            clock,
            kept: Mutex::new(Kept {
                rate,
                full_from: HashMap::new(),
            }),
        }
    }

    /// Goes on with another rate. What has been done counts as so much more or less time.
    pub fn set(&self, rate: Rate) {
        self.kept.lock().rate = rate;
    }

    /// Whether `who` may do it now; does not count as doing it.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, who: &K) -> Result<(), Duration> {
        let now = self.clock.uptime();
        self.kept.lock().after_one_more(who, now).map(|_| ())
    }

    /// Lets `who` do it once.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, who: &K) -> Result<(), Duration> {
        let now = self.clock.uptime();
        let mut kept = self.kept.lock();
        let full_from = kept.after_one_more(who, now)?;
        kept.note(who, full_from, now);
        Ok(())
    }

    /// Lets `who` do it once, also when it is too soon: what comes after waits for that much
    /// longer.
    ///
    /// # Errors
    /// How long to wait, when nobody may do it ever.
    pub fn take_ahead(&self, who: &K) -> Result<(), Duration> {
        self.take_many_ahead(who, 1)
    }

    /// As [`Rates::take_ahead`], `number` times at once.
    ///
    /// # Errors
    /// How long to wait, when nobody may do it ever.
    pub fn take_many_ahead(&self, who: &K, number: u32) -> Result<(), Duration> {
        let now = self.clock.uptime();
        let mut kept = self.kept.lock();
        let Rate { burst, every } = kept.rate;
        if burst == 0 {
            return Err(every);
        }
        let full_from = now
            + kept
                .owed(who, now)
                .saturating_add(every.saturating_mul(number));
        kept.note(who, full_from, now);
        Ok(())
    }
}

impl<K: Hash + Eq + Clone> Kept<K> {
    /// Notes from when on the bucket of `who` is full.
    fn note(&mut self, who: &K, full_from: Duration, now: Duration) {
        if let Some(known) = self.full_from.get_mut(who) {
            *known = full_from;
            return;
        }
        if self.full_from.len() >= MAX_REMEMBERED {
            self.make_room(now);
        }
        self.full_from.insert(who.clone(), full_from);
    }
}

impl<K: Hash + Eq> Kept<K> {
    /// How long it takes until the bucket of `who` is full.
    fn owed(&self, who: &K, now: Duration) -> Duration {
        let full_from = self.full_from.get(who);
        full_from.map_or(Duration::ZERO, |full| full.saturating_sub(now))
    }

    /// From when on the bucket of `who` is full if one more is taken from it at `now`.
    fn after_one_more(&self, who: &K, now: Duration) -> Result<Duration, Duration> {
        let Rate { burst, every } = self.rate;
        let then = self.owed(who, now).saturating_add(every);
        match then.checked_sub(every.saturating_mul(burst)) {
            None | Some(Duration::ZERO) => Ok(now + then),
            Some(wait) => Err(wait),
        }
    }

    /// Leaves a quarter of the room at least, so that looking through them is not needed again
    /// soon.
    fn make_room(&mut self, now: Duration) {
        self.full_from.retain(|_, full| *full > now);
        let mut left = MAX_REMEMBERED / 4 * 3;
        self.full_from.retain(|_, _| {
            let stays = left > 0;
            left = left.saturating_sub(1);
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const SOME: Rate = Rate {
        burst: 5,
        every: Duration::from_millis(100),
    };

    fn held(rate: Rate) -> (Rates<u32>, Clock) {
        let clock = Clock::held(Timestamp::from_millis(1_700_000_000_000));
        (Rates::new(rate, clock.clone()), clock)
    }

    fn allowed(rates: &Rates<u32>, who: u32, tries: usize) -> usize {
        (0..tries).filter(|_| rates.take(&who).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let (rates, clock) = held(SOME);
        assert_eq!(allowed(&rates, 1, 20), 5);
        clock.advance(Duration::from_millis(200));
        assert_eq!(allowed(&rates, 1, 20), 2);
        assert_eq!(allowed(&rates, 2, 20), 5, "another has its own");
        clock.advance(Duration::from_hours(1));
        assert_eq!(allowed(&rates, 1, 20), 5, "never more than a burst");
    }

    #[test]
    fn a_refusal_says_when_to_come_again_and_that_is_right() {
        let (rates, clock) = held(Rate::a_second(3, 1));
        rates.take(&1).unwrap();
        let wait = rates.take(&1).unwrap_err();
        assert_eq!(rates.check(&1), Err(wait));
        clock.advance(wait + Duration::from_millis(1));
        rates.take(&1).unwrap();
    }

    #[test]
    fn what_cannot_wait_passes_and_what_follows_waits_for_it() {
        let (rates, clock) = held(SOME);
        assert_eq!(allowed(&rates, 1, 20), 5);
        rates.take_ahead(&1).unwrap();
        rates.take_ahead(&1).unwrap();
        clock.advance(Duration::from_millis(200));
        assert_eq!(allowed(&rates, 1, 20), 0, "these two were taken before");
        clock.advance(Duration::from_millis(100));
        assert_eq!(allowed(&rates, 1, 20), 1);
        assert_eq!(held(Rate::a_second(0, 7)).0.take_ahead(&1), Err(NEVER));
    }

    #[test]
    fn looking_takes_none() {
        let (rates, _) = held(Rate::a_second(1, 1));
        for _ in 0..3 {
            rates.check(&1).unwrap();
        }
        assert_eq!(allowed(&rates, 1, 3), 1);
    }

    #[test]
    fn who_has_all_their_burst_again_is_forgotten_first() {
        let (rates, clock) = held(Rate::a_second(1, 1));
        let quiet = u32::try_from(MAX_REMEMBERED).unwrap() / 2;
        for who in 0..quiet {
            rates.take(&who).unwrap();
        }
        clock.advance(Duration::from_secs(1));
        for who in quiet..3 * quiet {
            rates.take(&who).unwrap();
            assert!(rates.kept.lock().full_from.len() <= MAX_REMEMBERED);
        }
        assert_eq!(allowed(&rates, quiet, 1), 0, "it is remembered");
    }

    #[test]
    fn the_memory_has_an_end_though_all_are_busy() {
        let (rates, _) = held(Rate::a_second(1, 5));
        for who in 0..200_000 {
            rates.take(&who).unwrap();
        }
        assert!(rates.kept.lock().full_from.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn a_rate_of_nothing_refuses_everything() {
        let (rates, _) = held(Rate::a_second(0, 7));
        assert_eq!(allowed(&rates, 1, 3), 0);
        assert_eq!(rates.check(&1), Err(NEVER));
    }

    #[test]
    fn a_lower_rate_holds_from_the_next_time_on() {
        let (rates, clock) = held(SOME);
        rates.set(Rate::a_second(1, 1));
        assert_eq!(allowed(&rates, 1, 3), 1);
        clock.advance(Duration::from_millis(100));
        assert_eq!(allowed(&rates, 1, 3), 0);
    }
}
