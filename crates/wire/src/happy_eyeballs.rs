//! Which address of a name is tried when (RFC 8305, "Happy Eyeballs"): both families race, IPv6 has a
//! short lead, and an address that is silent holds up the next one for a quarter of a second only.
//!
//! The caller feeds what the name servers say and how tries go, each with the time since it began, and
//! does what [`Race::poll_try`] says until a try has worked or [`Race::is_over`].

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How long the answer for IPv6 is waited for when that for IPv4 has come (RFC 8305 §3).
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Between the beginnings of two tries (RFC 8305 §5).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The most addresses of a family that are tried: name servers may say any number.
pub const ADDRESSES_MAX: usize = 8;

/// The addresses of one name, and what has come of them.
#[derive(Debug, Clone, Default)]
pub struct Race {
    v4: Asked,
    v6: Asked,
    /// The family of the last try.
    last_was_v6: Option<bool>,
    under_way: Vec<IpAddr>,
    /// When the next try may begin beside those that are under way.
    next: Duration,
}

/// What the name servers say of one family.
#[derive(Debug, Clone, Default)]
struct Asked {
    answered: Option<Duration>,
    left: VecDeque<IpAddr>,
}

impl Race {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name servers have answered for IPv4: with nothing, if there is nothing or they failed.
    /// Addresses come in the order in which they are to be tried (RFC 6724).
    pub fn handle_v4(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Duration) {
        self.v4.answer(addresses, now);
    }

    /// The name servers have answered for IPv6.
    pub fn handle_v6(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Duration) {
        self.v6.answer(addresses, now);
    }

    /// A try has failed. The next one does not wait any longer (RFC 8305 §5).
    pub fn handle_failed(&mut self, address: IpAddr, now: Duration) {
        if let Some(place) = self.under_way.iter().position(|it| *it == address) {
            self.under_way.swap_remove(place);
            self.next = now;
        }
    }

    /// An address to try now, beside those that are under way. To be asked again until there is none.
    pub fn poll_try(&mut self, now: Duration) -> Option<IpAddr> {
        if self.poll_timeout()? > now {
            return None;
        }
        // They take turns, IPv6 first (RFC 8305 §4).
        let v6 = self.last_was_v6 != Some(true);
        let address = if v6 {
            self.v6
                .left
                .pop_front()
                .or_else(|| self.v4.left.pop_front())
        } else {
            self.v4
                .left
                .pop_front()
                .or_else(|| self.v6.left.pop_front())
        }?;
        self.last_was_v6 = Some(address.is_ipv6());
        self.under_way.push(address);
        self.next = now + ATTEMPT_DELAY;
        Some(address)
    }

    /// When [`Race::poll_try`] gives the next address, if nothing else happens before; it may be over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.v4.left.is_empty() && self.v6.left.is_empty() {
            return None;
        }
        let beginning = match (self.v4.answered, self.v6.answered) {
            (Some(v4), None) => v4 + RESOLUTION_DELAY,
            // It needs nobody's answer but its own.
            (_, Some(v6)) => v6,
            (None, None) => return None,
        };
        Some(self.next.max(if self.last_was_v6.is_none() {
            beginning
        } else {
            Duration::ZERO
        }))
    }

    /// Whether nothing is under way and there will be nothing more to try.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let answered = self.v4.answered.is_some() && self.v6.answered.is_some();
        let left = !self.v4.left.is_empty() || !self.v6.left.is_empty();
        answered && !left && self.under_way.is_empty()
    }
}

impl Asked {
    fn answer(&mut self, addresses: impl IntoIterator<Item = IpAddr>, now: Duration) {
        if self.answered.is_none() {
            self.answered = Some(now);
            for address in addresses.into_iter().take(ADDRESSES_MAX) {
                if !self.left.contains(&address) {
                    self.left.push_back(address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn v4(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn v6(last: u16) -> IpAddr {
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into()
    }

    /// Everything that is tried when nobody ever answers, and when.
    fn tried(mut race: Race) -> Vec<(IpAddr, u128)> {
        let mut tried = Vec::new();
        while let Some(now) = race.poll_timeout() {
            if let Some(before) = now.checked_sub(millis(1)) {
                assert_eq!(race.poll_try(before), None);
            }
            tried.push((race.poll_try(now).unwrap(), now.as_millis()));
        }
        tried
    }

    #[test]
    fn families_take_turns_and_each_try_has_a_quarter_of_a_second_to_itself() {
        let mut race = Race::new();
        race.handle_v4([v4(1), v4(2), v4(3)], millis(10));
        race.handle_v6([v6(1), v6(2)], millis(10));
        let order = [v6(1), v4(1), v6(2), v4(2), v4(3)];
        let times = [10, 260, 510, 760, 1010];
        assert_eq!(
            tried(race),
            order.into_iter().zip(times).collect::<Vec<_>>()
        );
    }

    #[test]
    fn ipv4_waits_a_moment_for_ipv6_and_no_longer() {
        let mut race = Race::new();
        race.handle_v4([v4(1)], millis(10));
        assert_eq!(race.poll_timeout(), Some(millis(60)));
        assert_eq!(race.poll_try(millis(59)), None);
        let mut late = race.clone();
        race.handle_v6([v6(1)], millis(40));
        assert_eq!(race.poll_try(millis(40)), Some(v6(1)));
        assert_eq!(late.poll_try(millis(60)), Some(v4(1)));
        // What comes later takes its turn.
        late.handle_v6([v6(1)], millis(100));
        assert_eq!(late.poll_timeout(), Some(millis(310)));
        // No answer is one, too: there is nothing to wait for.
        let mut none = Race::new();
        none.handle_v4([v4(1)], millis(10));
        none.handle_v6([], millis(11));
        assert_eq!(none.poll_try(millis(11)), Some(v4(1)));
    }

    #[test]
    fn a_try_that_fails_makes_room_for_the_next_at_once() {
        let mut race = Race::new();
        race.handle_v6([v6(1)], millis(0));
        race.handle_v4([v4(1)], millis(0));
        assert_eq!(race.poll_try(millis(0)), Some(v6(1)));
        assert_eq!(race.poll_try(millis(20)), None);
        race.handle_failed(v6(1), millis(20));
        assert_eq!(race.poll_try(millis(20)), Some(v4(1)));
        assert!(!race.is_over());
        race.handle_failed(v4(1), millis(30));
        assert!(race.is_over() && race.poll_timeout().is_none());
    }

    #[test]
    fn a_name_without_addresses_is_over_when_both_answers_are_there() {
        let mut race = Race::new();
        race.handle_v6([], millis(1));
        assert!(!race.is_over());
        race.handle_v4([], millis(2));
        assert!(race.is_over());
    }

    proptest! {
        #[test]
        fn every_address_is_tried_once_and_no_two_tries_begin_together(
            fours in prop::collection::vec(any::<u8>(), 0..20),
            sixes in prop::collection::vec(any::<u16>(), 0..20),
            times in (0_u64..500, 0_u64..500),
        ) {
            let mut race = Race::new();
            race.handle_v4(fours.iter().copied().map(v4), millis(times.0));
            race.handle_v6(sixes.iter().copied().map(v6), millis(times.1));
            let tried = tried(race);
            prop_assert!(tried.windows(2).all(|pair| pair[1].1 - pair[0].1 >= 250));
            let mut addresses: Vec<_> = tried.iter().map(|(address, _)| *address).collect();
            addresses.sort();
            addresses.dedup();
            prop_assert_eq!(addresses.len(), tried.len());
            prop_assert!(tried.len() <= 2 * ADDRESSES_MAX);
            prop_assert_eq!(tried.is_empty(), fours.is_empty() && sixes.is_empty());
        }
    }
}
