//! What is remembered of clients whose networks do not let a transport through.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use outgate_signalr::negotiate::Transport;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Clients that are remembered at a time; then those that were remembered first are forgotten.
const CLIENTS_MAX: usize = 10_000;

/// How long a client is remembered after what has stalled last: a network may have been mended.
const REMEMBERED: Duration = Duration::from_hours(24);

/// What stalled, and when something last did.
type Stalled = HashMap<Arc<str>, (Vec<Transport>, Instant)>;

/// Says by what to remember a client: for instance its device and its network's address.
pub(crate) type Key = Arc<dyn Fn(&Parts) -> Option<Arc<str>> + Send + Sync>;

/// Is told which transport stalled, and for whom.
pub(crate) type OnStalled = Arc<dyn Fn(&str, Transport) + Send + Sync>;

/// Remembers which transports stalled.
pub(crate) struct Memory {
    pub(crate) key: Key,
    pub(crate) on_stalled: Option<OnStalled>,
    /// Two generations: when the younger is full, it becomes the older.
    stalled: Mutex<[Stalled; 2]>,
}

impl Memory {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            on_stalled: None,
            stalled: Mutex::default(),
        }
    }

    /// A transport carried nothing.
    pub(crate) fn stalled(&self, key: &Arc<str>, transport: Transport) {
        if let Some(on_stalled) = &self.on_stalled {
            on_stalled(key, transport);
        }
        let mut stalled = self.stalled.lock();
        let mut known = find(&stalled, key);
        known.retain(|one| *one != transport);
        known.push(transport);
        let [young, old] = &mut *stalled;
        if young.len() >= CLIENTS_MAX / 2 {
            *old = std::mem::take(young);
        }
        young.insert(Arc::clone(key), (known, Instant::now()));
    }

    /// The same transports, those that have stalled last, in the order in which they did.
    pub(crate) fn order(&self, key: &str, offered: &[Transport]) -> Vec<Transport> {
        let known = find(&self.stalled.lock(), key);
        let (mut last, mut first): (Vec<_>, Vec<_>) =
            offered.iter().partition(|one| known.contains(one));
        last.sort_by_key(|one| known.iter().position(|stalled| stalled == one));
        first.append(&mut last);
        first
    }
}

fn find(stalled: &[Stalled; 2], key: &str) -> Vec<Transport> {
    let known = stalled.iter().find_map(|clients| clients.get(key));
    let known = known.filter(|(_, last)| last.elapsed() < REMEMBERED);
    known.map(|(known, _)| known.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stalled_is_offered_last() {
        let memory = Memory::new(Arc::new(|_| None));
        let key: Arc<str> = "device 7 at 192.0.2.1".into();
        assert_eq!(memory.order(&key, &Transport::ALL), Transport::ALL);
        memory.stalled(&key, Transport::WebSockets);
        memory.stalled(&key, Transport::ServerSentEvents);
        let order = [
            Transport::LongPolling,
            Transport::WebSockets,
            Transport::ServerSentEvents,
        ];
        assert_eq!(memory.order(&key, &Transport::ALL), order);
        assert_eq!(memory.order("another", &Transport::ALL), Transport::ALL);
    }

    #[tokio::test(start_paused = true)]
    async fn what_stalled_is_forgotten_after_a_day() {
        let memory = Memory::new(Arc::new(|_| None));
        let key: Arc<str> = "device 7 at 192.0.2.1".into();
        memory.stalled(&key, Transport::WebSockets);
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        assert_ne!(memory.order(&key, &Transport::ALL), Transport::ALL);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(memory.order(&key, &Transport::ALL), Transport::ALL);
    }

    #[test]
    fn no_more_clients_are_remembered_than_may_be() {
        let memory = Memory::new(Arc::new(|_| None));
        for client in 0..3 * CLIENTS_MAX {
            memory.stalled(&client.to_string().into(), Transport::WebSockets);
        }
        let stalled = memory.stalled.lock();
        assert!(stalled.iter().map(HashMap::len).sum::<usize>() <= CLIENTS_MAX);
    }
}
