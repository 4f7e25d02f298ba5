//! How often one source may ask for what needs no login.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most sources that are remembered; beyond it those that have been quiet are forgotten, and
/// if none has, new ones have to wait.
const MAX_SOURCES: usize = 16_384;

/// How often each source may ask.
#[derive(Debug)]
pub struct Sources {
    burst: u32,
    every: Duration,
    seen: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Sources {
    /// `burst` times at once, and once more `every` so often.
    #[must_use]
    pub fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            seen: Mutex::default(),
        }
    }

    /// Whether `peer` may ask at `now`.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn admit(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut seen = self.seen.lock();
        let source = source(peer);
        if seen.len() >= MAX_SOURCES && !seen.contains_key(&source) {
            seen.retain(|_, bucket| self.level(bucket, now) < f64::from(self.burst));
            if seen.len() >= MAX_SOURCES {
                return Err(self.every);
            }
        }
        let bucket = seen.entry(source).or_insert_with(|| Bucket {
            left: f64::from(self.burst),
            filled: now,
        });
        bucket.left = self.level(bucket, now);
        bucket.filled = now;
        if bucket.left < 1.0 {
            return Err(self.every.mul_f64(1.0 - bucket.left));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    fn level(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        (bucket.left + passed / self.every.as_secs_f64()).min(f64::from(self.burst))
    }
}

/// What counts as one source: an IPv4 address, or what one customer is given of IPv6 (a /64).
#[must_use]
pub fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let sources = Sources::new(2, Duration::from_secs(10));
        let (peer, start) = ("192.0.2.1".parse().unwrap(), Instant::now());
        assert!(sources.admit(peer, start).is_ok());
        assert!(sources.admit(peer, start).is_ok());
        assert_eq!(sources.admit(peer, start), Err(Duration::from_secs(10)));
        assert!(sources.admit(peer, start + Duration::from_secs(10)).is_ok());
        assert!(
            sources
                .admit(peer, start + Duration::from_secs(10))
                .is_err()
        );
    }

    #[test]
    fn one_source_does_not_use_up_what_another_may() {
        let sources = Sources::new(1, Duration::from_secs(10));
        let now = Instant::now();
        assert!(sources.admit("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(sources.admit("2001:db8::2".parse().unwrap(), now).is_err());
        assert!(
            sources
                .admit("2001:db8:0:1::1".parse().unwrap(), now)
                .is_ok()
        );
    }

    #[test]
    fn an_address_written_as_ipv6_is_the_same_source() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(source(mapped), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn quiet_sources_are_forgotten_and_busy_ones_are_not() {
        let sources = Sources::new(1, Duration::from_secs(10));
        let now = Instant::now();
        for number in 0..u32::try_from(MAX_SOURCES).unwrap() {
            assert!(sources.admit(IpAddr::V4(number.into()), now).is_ok());
        }
        let another = "192.0.2.1".parse().unwrap();
        assert!(sources.admit(another, now).is_err());
        assert!(
            sources
                .admit(another, now + Duration::from_secs(10))
                .is_ok()
        );
    }
}
