//! Who is in, counted in all and by source.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::happening::{Happening, Hook, Refused};
use crate::settings::Limits;

/// What connections are counted by: whoever has one IPv4 address, or the network that a customer
/// of an IPv6 provider gets (RFC 6177: a /64 at least), in which addresses cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    V4(Ipv4Addr),
    V6Network([u16; 4]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6Network([a, b, c, d])
            }
        }
    }
}

/// All seats there are.
pub(crate) struct Seats {
    in_all: AtomicUsize,
    per_source: AtomicUsize,
    opening_per_source: usize,
    taken: watch::Sender<usize>,
    by_source: Mutex<HashMap<Source, OfSource>>,
    hook: Hook,
}

/// What one source has taken.
struct OfSource {
    taken: usize,
    /// Turns at being opened.
    turns: Arc<Semaphore>,
}

impl Seats {
    pub(crate) fn new(limits: &Limits, hook: Hook) -> Arc<Self> {
        Arc::new(Self {
            in_all: AtomicUsize::new(limits.connections),
            per_source: AtomicUsize::new(limits.connections_per_source),
            opening_per_source: limits.opening_per_source,
            taken: watch::Sender::new(0),
            by_source: Mutex::default(),
            hook,
        })
    }

    /// A seat, whether there is one left or not; the error says that there was none, and the seat
    /// is then for saying so.
    pub(crate) fn take(self: &Arc<Self>) -> (Seat, Result<(), Refused>) {
        let mut before = 0;
        self.taken.send_modify(|taken| {
            before = *taken;
            *taken += 1;
        });
        let seat = Seat {
            seats: Arc::clone(self),
            source: None,
            arrived: AtomicBool::new(false),
        };
        let free = before < self.in_all.load(Ordering::Relaxed);
        (seat, if free { Ok(()) } else { Err(Refused::Full) })
    }

    /// Goes on with other numbers. Who sits already stays, even if there are too many now.
    pub(crate) fn limit(&self, in_all: usize, per_source: usize) {
        self.in_all.store(in_all, Ordering::Relaxed);
        self.per_source.store(per_source, Ordering::Relaxed);
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        *self.taken.borrow()
    }

    /// Waits until none is taken.
    pub(crate) async fn emptied(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.taken.subscribe().wait_for(|taken| *taken == 0).await;
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seats")
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}

/// One seat; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    source: Option<Source>,
    arrived: AtomicBool,
}

impl Seat {
    /// Counts it for `source` too, whether that has one left or not. Gives the turns that the
    /// connections of the source take at being opened.
    pub(crate) fn sit(&mut self, source: Source) -> (Arc<Semaphore>, Result<(), Refused>) {
        let mut by_source = self.seats.by_source.lock();
        let of_source = by_source.entry(source).or_insert_with(|| OfSource {
            taken: 0,
            turns: Arc::new(Semaphore::new(self.seats.opening_per_source)),
        });
        of_source.taken += 1;
        self.source = Some(source);
        let free = of_source.taken <= self.seats.per_source.load(Ordering::Relaxed);
        let standing = if free {
            Ok(())
        } else {
            Err(Refused::FullForSource)
        };
        (Arc::clone(&of_source.turns), standing)
    }

    /// From here on its end is told as that of a connection that had arrived.
    pub(crate) fn arrive(&self) {
        self.arrived.store(true, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(source) = self.source {
            let mut by_source = self.seats.by_source.lock();
            if let Some(of_source) = by_source.get_mut(&source) {
                of_source.taken -= 1;
                if of_source.taken == 0 {
                    by_source.remove(&source);
                }
            }
        }
        if self.arrived.load(Ordering::Relaxed) {
            (self.seats.hook)(&Happening::Left);
        }
        self.seats.taken.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_is_given_back_can_be_taken_again() {
        let seats = some(1, 1);
        let (first, free) = seats.take();
        assert_eq!(free, Ok(()));
        assert_eq!(seats.take().1, Err(Refused::Full));
        drop(first);
        assert_eq!(seats.take().1, Ok(()));
    }

    #[test]
    fn other_limits_hold_for_who_comes_next() {
        let seats = some(2, 2);
        let (mut first, _) = seats.take();
        assert_eq!(first.sit(source("192.0.2.1")).1, Ok(()));
        seats.limit(1, 1);
        assert_eq!(seats.take().1, Err(Refused::Full));
        seats.limit(9, 1);
        let (mut second, free) = seats.take();
        assert_eq!(free, Ok(()));
        let beyond = second.sit(source("192.0.2.1")).1;
        assert_eq!(beyond, Err(Refused::FullForSource));
    }

    #[test]
    fn addresses_of_one_v6_network_are_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_source_on_a_socket_of_ipv6() {
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.1"));
    }

    #[test]
    fn nothing_is_remembered_of_a_source_that_is_gone() {
        let seats = some(9, 1);
        let (mut first, _) = seats.take();
        let (mut second, _) = seats.take();
        assert_eq!(first.sit(source("192.0.2.1")).1, Ok(()));
        let beyond = second.sit(source("192.0.2.1")).1;
        assert_eq!(beyond, Err(Refused::FullForSource));
        drop((first, second));
        assert!(seats.by_source.lock().is_empty());
        assert_eq!(seats.taken(), 0);
    }

    fn source(address: &str) -> Source {
        address.parse::<IpAddr>().unwrap().into()
    }

    fn some(in_all: usize, per_source: usize) -> Arc<Seats> {
        let limits = Limits {
            connections: in_all,
            connections_per_source: per_source,
            ..Limits::default()
        };
        Seats::new(&limits, Arc::new(|_| {}))
    }
}
