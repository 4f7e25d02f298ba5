//! At most one echo a second to one address, whoever asks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Time between two echoes to one address.
pub(crate) const ECHO_INTERVAL: Duration = Duration::from_secs(1);
/// Most addresses remembered. Those whose turn is past are forgotten first; beyond that, the
/// whole gate takes turns.
const ADDRESSES_MAX: usize = 1024;

/// When each address may be sent the next echo.
#[derive(Default)]
pub(super) struct EchoGate {
    next: Mutex<HashMap<IpAddr, Instant>>,
}

impl EchoGate {
    /// Takes the address's next turn and says when it is.
    pub(super) fn turn(&self, address: IpAddr) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= ADDRESSES_MAX {
            next.retain(|_, free_at| *free_at > now);
        }
        let crowded = next.len() >= ADDRESSES_MAX && !next.contains_key(&address);
        let free_at = if crowded {
            next.values().max()
        } else {
            next.get(&address)
        };
        let turn = free_at.map_or(now, |free_at| now.max(*free_at));
        if !crowded {
            next.insert(address, turn + ECHO_INTERVAL);
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_of_one_address_are_a_second_apart_and_others_are_free() {
        let gate = EchoGate::default();
        let now = Instant::now();
        let here = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(gate.turn(here), now);
        assert_eq!(gate.turn(here), now + ECHO_INTERVAL);
        assert_eq!(gate.turn(here), now + 2 * ECHO_INTERVAL);
        assert_eq!(gate.turn(IpAddr::from([127, 0, 0, 2])), now);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(gate.turn(here), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_remembers_a_bounded_number_of_addresses() {
        let gate = EchoGate::default();
        for number in 0_u32..3000 {
            gate.turn(IpAddr::from(number.to_be_bytes()));
        }
        assert!(gate.next.lock().unwrap().len() <= ADDRESSES_MAX);
    }
}
