//! How often somebody may try to log in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// How often at once.
const BURST: u32 = 5;
/// After that, how long it is waited for each further one.
const EVERY: Duration = Duration::from_secs(12);
/// The most sources that are remembered; a network has fewer that try at once.
const MAX_SOURCES: usize = 256;

/// What each source has tried: until when it has used up its tries.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<IpAddr, Instant>);

impl Attempts {
    /// Takes one try of somebody.
    ///
    /// # Errors
    /// How long they must wait.
    pub(super) fn take(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = source(from);
        self.0.retain(|_, until| *until > now);
        if self.0.len() >= MAX_SOURCES && !self.0.contains_key(&from) {
            return Err(EVERY);
        }
        let until = self.0.get(&from).copied().unwrap_or(now);
        let ahead = until.saturating_duration_since(now);
        let room = EVERY * (BURST - 1);
        if ahead > room {
            return Err(ahead - room);
        }
        self.0.insert(from, until.max(now) + EVERY);
        Ok(())
    }

    /// Forgets what somebody has tried who has succeeded.
    pub(super) fn forget(&mut self, from: IpAddr) {
        self.0.remove(&source(from));
    }
}

/// What counts as one source: an IPv4 address, or a network of IPv6.
fn source(peer: IpAddr) -> IpAddr {
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
    fn who_tries_often_must_wait_and_others_need_not() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..BURST {
            attempts.take(one, now).unwrap();
        }
        assert_eq!(attempts.take(one, now), Err(EVERY));
        assert_eq!(attempts.take(other, now), Ok(()));
        let later = now + EVERY;
        assert_eq!(attempts.take(one, later), Ok(()));
        assert_eq!(attempts.take(one, later), Err(EVERY));
    }

    #[test]
    fn who_has_succeeded_begins_anew() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let one = IpAddr::from([192, 0, 2, 1]);
        while attempts.take(one, now).is_ok() {}
        attempts.forget(one);
        assert_eq!(attempts.take(one, now), Ok(()));
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one_source() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..BURST {
            let from = format!("2001:db8::{host}").parse().unwrap();
            attempts.take(from, now).unwrap();
        }
        assert!(attempts.take("2001:db8::99".parse().unwrap(), now).is_err());
        assert!(
            attempts
                .take("2001:db8:0:1::".parse().unwrap(), now)
                .is_ok()
        );
    }

    #[test]
    fn there_are_never_more_sources_than_are_remembered() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let from = |number: usize| IpAddr::from([10, 0, (number / 256) as u8, number as u8]);
        for number in 0..MAX_SOURCES {
            attempts.take(from(number), now).unwrap();
        }
        assert!(attempts.take(from(MAX_SOURCES), now).is_err());
        assert!(attempts.take(from(MAX_SOURCES), now + EVERY).is_ok());
        assert!(attempts.0.len() <= MAX_SOURCES);
    }
}
