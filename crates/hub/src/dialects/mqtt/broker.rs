//! The broker: clients, what they subscribe to, what is retained, who gets what.
//!
//! Nothing here knows a connection: a connection sits in its [`client::Client`]'s seat and takes
//! from that one's mailbox. No lock is held across a wait.

pub(super) mod client;
pub(super) mod mailbox;
pub(super) mod message;
pub(super) mod replay;
pub(super) mod retained;
pub(super) mod subscribers;

mod attach;
mod last_words;
mod load;
mod publish;
mod subscribe;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use outgate_core::clock::Timestamp;
use outgate_core::id::ConsumerId;
use outgate_core::{Core, messages};
use parking_lot::{Mutex, RwLock};

use self::client::Client;
use self::mailbox::Bounds;
use self::retained::RetainedMessages;
use self::subscribers::Subscribers;
use super::rules::Current;
use crate::metrics::Metrics;

pub(super) use attach::{Arriving, Attached};
pub(super) use publish::{Publisher, Unpublished};
pub(super) use subscribe::Granted;

/// All clients and what lies between them.
#[derive(Debug)]
pub(super) struct Broker {
    core: Core,
    metrics: Metrics,
    rules: Current,
    clients: Mutex<Clients>,
    subscribers: RwLock<Subscribers>,
    retained: Arc<RetainedMessages>,
    /// Of clients that have gone, by the client's key.
    wills: Mutex<BTreeMap<Arc<str>, messages::Will>>,
    /// Of those, events that were due and had no room, and when they are tried again.
    put_off: Mutex<VecDeque<(Timestamp, messages::Will)>>,
    next_number: AtomicU64,
}

#[derive(Debug, Default)]
struct Clients {
    by_key: HashMap<Arc<str>, Arc<Client>>,
    /// How many each owner has.
    by_owner: HashMap<Arc<str>, usize>,
    /// Clients that are not connected, by when they end.
    away: BTreeSet<(Timestamp, Arc<str>)>,
}

impl Broker {
    fn new(core: Core, metrics: Metrics, rules: Current) -> Self {
        Self {
            retained: Arc::new(RetainedMessages::new(&rules.load().settings)),
            core,
            metrics,
            rules,
            clients: Mutex::default(),
            subscribers: RwLock::default(),
            wills: Mutex::default(),
            put_off: Mutex::default(),
            next_number: AtomicU64::new(1),
        }
    }

    /// Other rules have been taken up: everything is held to their limits, and every connection is
    /// told to look at them.
    pub(super) fn heed_rules(&self) {
        let rules = self.rules.load();
        self.retained.set_limits(&rules.settings);
        let bounds = Bounds::of(&rules.settings);
        for client in self.clients.lock().by_key.values() {
            client.mailbox.set_bounds(bounds);
            client.mailbox.ring();
        }
    }

    /// A client nobody has heard of yet.
    fn new_client(&self, key: Arc<str>, owner: Arc<str>) -> Arc<Client> {
        let bounds = Bounds::of(&self.rules.load().settings);
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        Arc::new(Client::new(key, owner, number, bounds))
    }
}

/// The consumer that a service's client has its place as. None for devices, and for a client whose
/// name cannot be a consumer's.
pub(super) fn consumer_of(key: &str) -> Option<ConsumerId> {
    let (service, client_id) = key.strip_prefix("service/")?.split_once('/')?;
    // Names may have colons: of a service's none is left, so that no two share a place.
    let service = service.replace('~', "~0").replace(':', "~1");
    format!("mqtt:{service}:{client_id}").parse().ok()
}

impl Clients {
    fn add(&mut self, client: Arc<Client>) {
        *self.by_owner.entry(Arc::clone(&client.owner)).or_default() += 1;
        self.by_key.insert(Arc::clone(&client.key), client);
    }

    /// Forgets a client, unless another has its key by now.
    fn remove(&mut self, client: &Arc<Client>) {
        let own = self.by_key.get(&client.key);
        if !own.is_some_and(|found| Arc::ptr_eq(found, client)) {
            return;
        }
        self.by_key.remove(&client.key);
        if let Some(count) = self.by_owner.get_mut(&client.owner) {
            *count -= 1;
            if *count == 0 {
                self.by_owner.remove(&client.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_clients_of_services_share_a_place() {
        let keys = [
            "service/bill:eu/main",
            "service/bill/eu:main",
            "service/bill~1eu/main",
            "service/bill~/main",
            "service/bill/main",
        ];
        let mut places: Vec<_> = keys.iter().filter_map(|key| consumer_of(key)).collect();
        assert_eq!(places.len(), keys.len());
        places.sort();
        places.dedup();
        assert_eq!(places.len(), keys.len());
        assert_eq!(consumer_of("device/bill/main"), None);
    }
}
