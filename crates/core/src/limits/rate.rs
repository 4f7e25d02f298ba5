//! How often somebody may do something: a bucket of tokens each.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::refusal::Refusal;

/// From so many buckets on, those that have filled up again are forgotten now and then.
const MANY: usize = 4_096;

/// A thousandth of a token: what a rate of one a second adds in a millisecond.
const TOKEN: u64 = 1_000;

/// A bucket for each `K` that has acted of late. A full bucket is the same as none, so there are
/// at most about twice as many as act within the time that an empty one takes to fill.
#[derive(Debug)]
pub(crate) struct Rates<K> {
    what: &'static str,
    a_second: u64,
    burst: u64,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    of: HashMap<K, Bucket>,
    /// At how many buckets to look for full ones.
    tidy_at: usize,
}

#[derive(Debug)]
struct Bucket {
    /// In thousandths of a token.
    tokens: u64,
    at: Timestamp,
}

impl<K: Hash + Eq + Clone> Rates<K> {
    /// Lets each do `what` so many times a second, and `burst` times at once.
    pub(crate) fn new(what: &'static str, a_second: u32, burst: u32) -> Self {
        Self {
            what,
            a_second: u64::from(a_second),
            burst: u64::from(burst) * TOKEN,
            buckets: Mutex::new(Buckets {
                of: HashMap::new(),
                tidy_at: MANY,
            }),
        }
    }

    /// Takes a token of `who`.
    ///
    /// # Errors
    /// [`Refusal::Limited`] when there is none, with the time until there is.
    pub(crate) fn take(&self, who: &K, clock: &Clock) -> Result<(), Refusal> {
        let now = clock.now();
        let mut buckets = self.buckets.lock();
        if let Some(bucket) = buckets.of.get_mut(who) {
            bucket.tokens = self.tokens(bucket, now);
            bucket.at = now;
            if bucket.tokens < TOKEN {
                return Err(self.refusal(bucket.tokens));
            }
            bucket.tokens -= TOKEN;
            return Ok(());
        }
        if self.burst < TOKEN {
            return Err(self.refusal(0));
        }
        if buckets.of.len() >= buckets.tidy_at {
            buckets
                .of
                .retain(|_, bucket| self.tokens(bucket, now) < self.burst);
            buckets.tidy_at = MANY.max(buckets.of.len() * 2);
        }
        let tokens = self.burst - TOKEN;
        buckets.of.insert(who.clone(), Bucket { tokens, at: now });
        Ok(())
    }

    /// What `bucket` holds now. A clock that was put back adds nothing.
    fn tokens(&self, bucket: &Bucket, now: Timestamp) -> u64 {
        let millis = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
        bucket
            .tokens
            .saturating_add(millis.saturating_mul(self.a_second))
            .min(self.burst)
    }

    fn refusal(&self, tokens: u64) -> Refusal {
        // A rate of nothing never comes round; say an hour.
        let wait = (TOKEN - tokens)
            .checked_div(self.a_second)
            .map_or(Duration::from_hours(1), |millis| {
                Duration::from_millis(millis + 1)
            });
        Refusal::Limited {
            what: self.what,
            retry_after: wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rates: &Rates<u32>, who: u32, clock: &Clock, tries: usize) -> usize {
        (0..tries)
            .filter(|_| rates.take(&who, clock).is_ok())
            .count()
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let clock = Clock::held(Timestamp::from_millis(0));
        let rates = Rates::new("events", 10, 5);
        assert_eq!(allowed(&rates, 1, &clock, 20), 5);
        clock.advance(Duration::from_millis(200));
        assert_eq!(allowed(&rates, 1, &clock, 20), 2);
        assert_eq!(allowed(&rates, 2, &clock, 20), 5, "another has its own");
        clock.advance(Duration::from_hours(1));
        assert_eq!(allowed(&rates, 1, &clock, 20), 5, "never more than a burst");
    }

    #[test]
    fn a_refusal_says_when_to_come_again_and_that_is_right() {
        let clock = Clock::held(Timestamp::from_millis(0));
        let rates = Rates::new("events", 3, 1);
        rates.take(&1, &clock).unwrap();
        let Err(Refusal::Limited { retry_after, .. }) = rates.take(&1, &clock) else {
            panic!("not limited");
        };
        clock.advance(retry_after);
        rates.take(&1, &clock).unwrap();
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let clock = Clock::held(Timestamp::from_millis(0));
        let rates = Rates::new("events", 1, 1);
        for who in 0..20_000 {
            clock.advance(Duration::from_secs(1));
            rates.take(&who, &clock).unwrap();
        }
        assert!(rates.buckets.lock().of.len() <= MANY);
    }

    #[test]
    fn a_rate_of_nothing_refuses_everything() {
        let clock = Clock::held(Timestamp::from_millis(0));
        assert_eq!(allowed(&Rates::new("events", 0, 0), 1, &clock, 3), 0);
    }
}
