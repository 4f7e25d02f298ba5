//! Who is logged in to the page.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// The cookie's name. Over plain HTTP browsers take none that only TLS may carry.
pub(super) const COOKIE: &str = "outgate-page";
/// How long somebody is logged in at the most.
pub(super) const LASTS: Duration = Duration::from_secs(3_600);
/// How long without a page being asked for.
const IDLE: Duration = Duration::from_secs(900);
/// The most who are logged in at a time; a further one puts the oldest out.
const MAX_VISITS: usize = 16;
/// Random bytes of a cookie.
const LENGTH: usize = 32;

type Key = [u8; 32];

/// Everybody who is logged in, by the digest of their cookie.
#[derive(Debug, Default)]
pub(super) struct Visits(HashMap<Key, Visit>);

#[derive(Debug)]
struct Visit {
    began: Instant,
    seen: Instant,
}

impl Visits {
    /// Lets somebody in. Gives what the cookie holds.
    pub(super) fn begin(&mut self, now: Instant) -> Result<String, getrandom::Error> {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes)?;
        let cookie = URL_SAFE_NO_PAD.encode(bytes);
        if self.0.len() >= MAX_VISITS {
            let oldest = self.0.iter().min_by_key(|(_, visit)| visit.began);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.0.remove(&key);
            }
        }
        let visit = Visit {
            began: now,
            seen: now,
        };
        self.0.insert(key(&cookie), visit);
        Ok(cookie)
    }

    /// Whether this is the cookie of somebody who is logged in.
    pub(super) fn is_in(&mut self, cookie: &str, now: Instant) -> bool {
        let of = |visit: &Visit| {
            let since = |then| now.saturating_duration_since(then);
            since(visit.began) < LASTS && since(visit.seen) < IDLE
        };
        self.0.retain(|_, visit| of(visit));
        // By a digest, so that how long looking takes tells nothing of any cookie.
        match self.0.get_mut(&key(cookie)) {
            Some(visit) => {
                visit.seen = now;
                true
            }
            None => false,
        }
    }

    /// Puts somebody out.
    pub(super) fn end(&mut self, cookie: &str) {
        self.0.remove(&key(cookie));
    }
}

fn key(cookie: &str) -> Key {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    key
}

/// The cookie as it is set.
pub(super) fn set(value: &str, lasts: Duration) -> String {
    let seconds = lasts.as_secs();
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_let_in_stays_while_they_are_there_and_no_longer_than_they_may() {
        let (mut visits, mut now) = (Visits::default(), Instant::now());
        let cookie = visits.begin(now).unwrap();
        let began = now;
        while now + Duration::from_secs(600) < began + LASTS {
            now += Duration::from_secs(600);
            assert!(visits.is_in(&cookie, now));
        }
        assert!(!visits.is_in(&cookie, began + LASTS));
        let idle = visits.begin(now).unwrap();
        assert!(!visits.is_in(&idle, now + IDLE));
    }

    #[test]
    fn who_leaves_is_out_and_nobody_else() {
        let (mut visits, now) = (Visits::default(), Instant::now());
        let (one, other) = (visits.begin(now).unwrap(), visits.begin(now).unwrap());
        visits.end(&one);
        assert!(!visits.is_in(&one, now) && visits.is_in(&other, now));
        assert!(!visits.is_in("", now));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let (mut visits, mut now) = (Visits::default(), Instant::now());
        let first = visits.begin(now).unwrap();
        for _ in 0..MAX_VISITS {
            now += Duration::from_secs(1);
            visits.begin(now).unwrap();
        }
        assert!(!visits.is_in(&first, now));
        assert_eq!(visits.0.len(), MAX_VISITS);
    }
}
