//! At most one echo a second to one address, whoever asks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Queue, OwnedMutexGuard},
    time::{Instant, sleep_until},
};

/// Time between two echoes to one address.
const ECHO_INTERVAL: Duration = Duration::from_secs(1);

/// Most addresses remembered. Those to which an echo may go at once are forgotten first; beyond
/// that, no further address gets a turn.
const ADDRESSES_MAX: usize = 1024;

/// When the last echo left; `None` if none did.
type LastSent = Option<Instant>;

/// Who may send the next echo to each address.
#[derive(Default)]
pub(super) struct EchoGate {
    addresses: Mutex<HashMap<IpAddr, Arc<Queue<LastSent>>>>,
}

impl EchoGate {
    /// Waits, in order of coming, until an echo may be sent to the address. Whoever stops waiting
    /// loses nothing and delays nobody. `None` when too many addresses are in use.
    pub(super) async fn turn(&self, address: IpAddr) -> Option<Turn> {
        let last_sent = self.queue(address)?.lock_owned().await;
        if let Some(last_sent) = *last_sent {
            sleep_until(last_sent + ECHO_INTERVAL).await;
        }
        Some(Turn { last_sent })
    }

    fn queue(&self, address: IpAddr) -> Option<Arc<Queue<LastSent>>> {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = addresses.get(&address) {
            return Some(queue.clone());
        }
        if addresses.len() >= ADDRESSES_MAX {
            addresses.retain(|_, queue| !is_idle(queue));
        }
        if addresses.len() >= ADDRESSES_MAX {
            return None;
        }
        Some(addresses.entry(address).or_default().clone())
    }
}

/// Nobody holds or awaits a turn, and the next would begin at once. Only the gate hands queues
/// out, under its lock, so what is idle stays so until that is released.
fn is_idle(queue: &Arc<Queue<LastSent>>) -> bool {
    Arc::strong_count(queue) == 1
        && queue
            .try_lock()
            .is_ok_and(|last_sent| last_sent.is_none_or(|at| at.elapsed() >= ECHO_INTERVAL))
}

/// The right to send one echo now. While it is held, nobody else has one for the address.
pub(crate) struct Turn {
    last_sent: OwnedMutexGuard<LastSent>,
}

impl Turn {
    /// The echo has left: the next may a second from now.
    pub(crate) fn sent(mut self) {
        *self.last_sent = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Takes a turn, sends a while later, and says when.
    async fn send(gate: &EchoGate, address: IpAddr, late: Duration) -> Instant {
        let turn = gate.turn(address).await.unwrap();
        tokio::time::sleep(late).await;
        turn.sent();
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn echoes_to_one_address_are_a_second_apart_even_when_one_leaves_late() {
        let gate = EchoGate::default();
        let start = Instant::now();
        let late = [0, 700, 0, 10, 0].map(Duration::from_millis);
        let sent = join_all(late.map(|late| send(&gate, HERE, late))).await;
        let after: Vec<_> = sent.iter().map(|at| (*at - start).as_millis()).collect();
        assert_eq!(after, [0, 1700, 2700, 3710, 4710]);
    }

    #[tokio::test(start_paused = true)]
    async fn other_addresses_and_turns_not_used_cost_nothing() {
        let gate = EchoGate::default();
        let start = Instant::now();
        send(&gate, HERE, Duration::ZERO).await;
        send(&gate, [127, 0, 0, 2].into(), Duration::ZERO).await;
        let impatient = tokio::time::timeout(Duration::from_millis(300), gate.turn(HERE)).await;
        assert!(impatient.is_err());
        assert_eq!(start.elapsed().as_millis(), 300);
        drop(gate.turn(HERE).await);
        send(&gate, HERE, Duration::ZERO).await;
        assert_eq!(start.elapsed().as_millis(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowded_gate_lets_nobody_new_in_until_a_second_is_over() {
        let gate = EchoGate::default();
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        for number in 0..ADDRESSES_MAX {
            gate.turn(address(number)).await.unwrap().sent();
        }
        assert!(gate.turn(HERE).await.is_none());
        // Those known keep their distance.
        assert!(gate.turn(address(7)).await.is_some());
        assert_eq!(gate.addresses.lock().unwrap().len(), ADDRESSES_MAX);
        tokio::time::advance(ECHO_INTERVAL).await;
        assert!(gate.turn(HERE).await.is_some());
    }
}
