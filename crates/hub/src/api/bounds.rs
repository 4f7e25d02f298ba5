//! What one caller may ask of the API, and all of them together.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::api::problem::{Kind, Problem};

/// The most bytes of a request's body: a payload of 256 KiB in base 64, with room for the rest.
pub(crate) const MAX_BODY: usize = 1_048_576;

/// How long a request's body may take.
pub(crate) const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The most bytes of a request's path and query.
pub(crate) const MAX_ADDRESS: usize = 4_096;

/// The most bytes of a token.
pub(crate) const MAX_TOKEN: usize = 512;

/// The longest that a poll waits for an event.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// The most long polls and streams of one operator or service at a time.
pub(crate) const MAX_STREAMS_EACH: usize = 16;

/// The most long polls and streams at a time. Each holds at most one batch of events, 4 MiB.
pub(crate) const MAX_STREAMS: usize = 256;

/// How long a dismissed connection may take to close before the answer says that it lingers.
pub(crate) const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// The most bytes of what a name may be asked to begin with.
const MAX_PREFIX: usize = 256;

/// What names are to begin with, if it is not too long or empty.
pub(crate) fn prefix(prefix: String) -> Result<String, Problem> {
    if (1..=MAX_PREFIX).contains(&prefix.len()) {
        Ok(prefix)
    } else {
        let detail = format!("prefix: 1 to {MAX_PREFIX} bytes");
        Err(Problem::new(Kind::Malformed, detail))
    }
}

/// The most sources that are remembered.
const MAX_SOURCES: usize = 16_384;

/// Tokens that are let pass for each source, some at once and then so many a second.
#[derive(Debug)]
pub(crate) struct Buckets {
    what: &'static str,
    burst: f64,
    a_second: f64,
    levels: Mutex<HashMap<Source, (f64, Instant)>>,
}

/// Who is counted together: an address, or a network of version 6 as one customer gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Four(Ipv4Addr),
    Six([u16; 4]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self::Four(four),
            IpAddr::V6(six) => {
                let [a, b, c, d, ..] = six.segments();
                Self::Six([a, b, c, d])
            }
        }
    }
}

impl Buckets {
    pub(crate) fn new(what: &'static str, burst: f64, a_second: f64) -> Self {
        Self {
            what,
            burst,
            a_second,
            levels: Mutex::default(),
        }
    }

    /// Whether `source` has any left; takes none.
    pub(crate) fn check(&self, source: IpAddr, now: Instant) -> Result<(), Problem> {
        self.spend(source, now, 0.0)
    }

    /// Takes one of `source`.
    pub(crate) fn take(&self, source: IpAddr, now: Instant) -> Result<(), Problem> {
        self.spend(source, now, 1.0)
    }

    fn spend(&self, source: IpAddr, now: Instant, price: f64) -> Result<(), Problem> {
        let mut levels = self.levels.lock();
        let source = Source::from(source);
        let level = levels
            .get(&source)
            .map_or(self.burst, |level| self.level(*level, now));
        if level < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - level) / self.a_second);
            return Err(Problem::limited(self.what, wait));
        }
        if price > 0.0 {
            if levels.len() >= MAX_SOURCES && !levels.contains_key(&source) {
                self.make_room(&mut levels, now);
            }
            levels.insert(source, (level - price, now));
        }
        Ok(())
    }

    fn level(&self, (level, at): (f64, Instant), now: Instant) -> f64 {
        let gained = now.saturating_duration_since(at).as_secs_f64() * self.a_second;
        (level + gained).min(self.burst)
    }

    /// Forgets the sources that have all theirs again, or, if all are busy, one in four: so that
    /// looking through them is not needed again soon.
    fn make_room(&self, levels: &mut HashMap<Source, (f64, Instant)>, now: Instant) {
        levels.retain(|_, level| self.level(*level, now) < self.burst);
        if levels.len() >= MAX_SOURCES {
            let mut number = 0_usize;
            levels.retain(|_, _| {
                number += 1;
                !number.is_multiple_of(4)
            });
        }
    }
}

/// Long polls and streams that are open, by whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

/// A place among the open streams, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Streams,
    whose: String,
}

impl Streams {
    /// Takes a place for the operator or service of that name.
    pub(crate) fn take(&self, whose: &str) -> Result<Place, Problem> {
        let mut open = self.0.lock();
        let all: usize = open.values().sum();
        let own = open.get(whose).copied().unwrap_or_default();
        if all >= MAX_STREAMS || own >= MAX_STREAMS_EACH {
            let what = "streams and long polls at once";
            return Err(Problem::limited(what, Duration::from_secs(5)));
        }
        open.insert(whose.to_owned(), own + 1);
        Ok(Place {
            streams: self.clone(),
            whose: whose.to_owned(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        let left = open.get(&self.whose).copied().unwrap_or_default();
        if left <= 1 {
            open.remove(&self.whose);
        } else {
            open.insert(self.whose.clone(), left - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let buckets = Buckets::new("tries", 2.0, 1.0);
        let source = IpAddr::from([192, 0, 2, 1]);
        let start = Instant::now();
        assert!(buckets.take(source, start).is_ok());
        assert!(buckets.take(source, start).is_ok());
        assert!(buckets.take(source, start).is_err());
        assert!(buckets.take(source, start + Duration::from_secs(1)).is_ok());
        assert!(
            buckets
                .check(source, start + Duration::from_secs(1))
                .is_err()
        );
        let other = IpAddr::from([192, 0, 2, 2]);
        assert!(buckets.take(other, start).is_ok());
    }

    #[test]
    fn one_customers_network_of_version_six_is_one_source() {
        let buckets = Buckets::new("tries", 1.0, 1.0);
        let now = Instant::now();
        let host = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        assert!(buckets.take(host(1), now).is_ok());
        assert!(buckets.take(host(2), now).is_err());
    }

    #[test]
    fn the_memory_of_sources_has_an_end() {
        let buckets = Buckets::new("tries", 5.0, 1.0);
        let now = Instant::now();
        for number in 0..40_000_u32 {
            assert!(buckets.take(Ipv4Addr::from(number).into(), now).is_ok());
        }
        assert!(buckets.levels.lock().len() <= MAX_SOURCES);
    }

    #[test]
    fn a_place_among_the_streams_is_given_back() {
        let streams = Streams::default();
        let places: Vec<_> = (0..MAX_STREAMS_EACH)
            .map(|_| streams.take("operator/a").unwrap())
            .collect();
        assert!(streams.take("operator/a").is_err());
        assert!(streams.take("operator/b").is_ok());
        drop(places);
        assert!(streams.take("operator/a").is_ok());
        assert!(streams.0.lock().is_empty());
    }
}
