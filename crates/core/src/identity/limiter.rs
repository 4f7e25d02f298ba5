//! How often somebody may try.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Timestamp;

/// How often and how quickly: a bucket that holds `burst` tries and gets one back every `every`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    burst: u32,
    every: Duration,
}

/// Refused acts that are written down an operator: ten at once, then one every six seconds.
pub(super) const REFUSALS: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(6),
};

/// Wrong proofs of enrolment a source: ten at once, then one every six seconds.
pub(super) const WRONG_PROOFS: Rate = Rate {
    burst: 10,
    every: Duration::from_secs(6),
};

/// The most names that are watched at a time; the others share one bucket.
const MAX_WATCHED: usize = 10_000;

/// Counts tries by name.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: Rate,
    spent: Mutex<Spent>,
}

/// Until when each bucket is in debt: it is full from then on.
#[derive(Debug, Default)]
struct Spent {
    by_name: HashMap<String, Timestamp>,
    others: Option<Timestamp>,
}

impl Limiter {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            spent: Mutex::default(),
        }
    }

    /// Takes a try of `name`; false when it has none left.
    pub(super) fn allow(&self, name: &str, now: Timestamp) -> bool {
        let mut spent = self.spent.lock();
        let full = spent.full_from(name, now);
        let debt = full.max(now).after(self.rate.every);
        if debt.since(now) > self.rate.every * self.rate.burst {
            return false;
        }
        spent.owe(name, debt, now);
        true
    }

    /// Whether `name` has a try left, without taking it; how long to wait if not.
    pub(super) fn wait(&self, name: &str, now: Timestamp) -> Option<Duration> {
        let full = self.spent.lock().full_from(name, now);
        let debt = full.since(now) + self.rate.every;
        let most = self.rate.every * self.rate.burst;
        (debt > most).then(|| debt - most)
    }
}

impl Spent {
    fn full_from(&self, name: &str, now: Timestamp) -> Timestamp {
        match self.by_name.get(name) {
            Some(full) => *full,
            None if self.by_name.len() < MAX_WATCHED => now,
            None => self.others.unwrap_or(now),
        }
    }

    fn owe(&mut self, name: &str, full: Timestamp, now: Timestamp) {
        if self.by_name.len() >= MAX_WATCHED {
            self.by_name.retain(|_, full| *full > now);
        }
        if self.by_name.contains_key(name) || self.by_name.len() < MAX_WATCHED {
            self.by_name.insert(name.to_owned(), full);
        } else {
            self.others = Some(full);
        }
    }
}

/// The name by which a peer's network is watched: an address of version 4, or the /64 of one of
/// version 6, which one host has to itself.
pub(super) fn source(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    #[test]
    fn after_the_burst_tries_come_back_one_by_one() {
        let limiter = Limiter::new(WRONG_PROOFS);
        let now = Timestamp::from_millis(START);
        assert_eq!((0..20).filter(|_| limiter.allow("a", now)).count(), 10);
        assert!(limiter.wait("a", now).is_some());
        assert!(limiter.allow("b", now), "another name has its own");
        let later = now.after(Duration::from_secs(6));
        assert_eq!((0..20).filter(|_| limiter.allow("a", later)).count(), 1);
    }

    #[test]
    fn more_names_than_are_watched_share_one_bucket() {
        let limiter = Limiter::new(WRONG_PROOFS);
        let now = Timestamp::from_millis(START);
        for name in 0..MAX_WATCHED {
            assert!(limiter.allow(&name.to_string(), now));
        }
        let allowed = (0..100)
            .filter(|n| limiter.allow(&format!("other {n}"), now))
            .count();
        assert_eq!(allowed, 10);
        assert_eq!(limiter.spent.lock().by_name.len(), MAX_WATCHED);
    }

    #[test]
    fn one_host_cannot_get_more_tries_by_taking_other_addresses_of_its_network() {
        let one = source("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, source("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, source("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(source("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1");
    }
}
