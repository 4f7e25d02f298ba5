//! One client of the broker: what outlives its connections, and who of them holds it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outgate_core::clock::Timestamp;
use outgate_core::id::SessionId;
use outgate_mqtt::packet::{QoS, SubscribeFilter};
use outgate_mqtt::topics::TopicFilter;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::mailbox::{Bounds, Mailbox};
use super::replay::Replay;

/// How long a connection waits for the one that it takes the place of. That one closes at once,
/// whatever its peer does; more time than that is taken by nothing but a starved machine.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);

/// One client.
#[derive(Debug)]
pub(in super::super) struct Client {
    /// Who it belongs to and what it calls itself: no other principal can have the same.
    pub(in super::super) key: Arc<str>,
    /// Who it belongs to.
    pub(in super::super) owner: Arc<str>,
    /// A number of its own, never used again.
    pub(in super::super) number: u64,
    /// What waits for it.
    pub(in super::super) mailbox: Mailbox,
    seat: Arc<tokio::sync::Mutex<()>>,
    /// How many connections have asked for the seat: the last one gets it.
    claims: AtomicU64,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    standing: Standing,
    subscriptions: HashMap<TopicFilter, Subscription>,
    /// What subscriptions bring that has not been handed over; one of a subscription at most.
    replays: VecDeque<Replay>,
    inbound: BTreeSet<u16>,
}

/// Whether a client is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Standing {
    /// Nobody has connected yet.
    New,
    /// Over this session of the core.
    Connected(SessionId),
    /// Not connected, and kept until then; for ever without.
    Away(Option<Timestamp>),
    /// Not connected and not kept: whoever still has this looks for another.
    Gone,
}

/// A subscription of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Subscription {
    /// Filter and options.
    pub(in super::super) filter: SubscribeFilter,
    /// Its identifier.
    pub(in super::super) identifier: Option<u32>,
}

/// The right to be a client's connection, as long as it is held.
#[derive(Debug)]
pub(in super::super) struct Seat(
    #[expect(dead_code, reason = "held, never looked at")] OwnedMutexGuard<()>,
);

/// Why a connection does not get a client's seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum NoSeat {
    /// Another connection has asked for it meanwhile.
    Overtaken,
    /// Who has it does not let go.
    Occupied,
}

impl Subscription {
    fn means(&self, topic: &str) -> bool {
        let filter = &self.filter.filter;
        filter.shared().is_none() && filter.matches(topic)
    }
}

impl Client {
    /// A client that nobody has connected as yet.
    pub(in super::super) fn new(
        key: Arc<str>,
        owner: Arc<str>,
        number: u64,
        bounds: Bounds,
    ) -> Self {
        Self {
            key,
            owner,
            number,
            mailbox: Mailbox::new(bounds),
            seat: Arc::default(),
            claims: AtomicU64::new(0),
            inside: Mutex::new(Inside {
                standing: Standing::New,
                subscriptions: HashMap::new(),
                replays: VecDeque::new(),
                inbound: BTreeSet::new(),
            }),
        }
    }

    /// Asks for the seat. The returned number says which claim this is.
    pub(in super::super) fn claim(&self) -> u64 {
        self.claims.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Waits until the seat is free; who sits there has been told to go.
    pub(in super::super) async fn sit(&self, claim: u64) -> Result<Seat, NoSeat> {
        let waiting = Arc::clone(&self.seat).lock_owned();
        let guard = tokio::time::timeout(TAKE_OVER_WITHIN, waiting)
            .await
            .map_err(|_| NoSeat::Occupied)?;
        if self.claims.load(Ordering::SeqCst) == claim {
            Ok(Seat(guard))
        } else {
            Err(NoSeat::Overtaken)
        }
    }

    /// Takes the seat if it is free and nobody asks for it.
    pub(in super::super) fn try_sit(&self) -> Option<Seat> {
        Arc::clone(&self.seat).try_lock_owned().ok().map(Seat)
    }

    /// Whether it is there.
    pub(in super::super) fn standing(&self) -> Standing {
        self.inside.lock().standing.clone()
    }

    /// Says whether it is there.
    pub(in super::super) fn stand(&self, standing: Standing) {
        self.inside.lock().standing = standing;
    }

    /// How many subscriptions it has.
    pub(in super::super) fn subscription_count(&self) -> usize {
        self.inside.lock().subscriptions.len()
    }

    /// Its subscriptions.
    pub(in super::super) fn subscriptions(&self) -> Vec<Subscription> {
        self.inside.lock().subscriptions.values().cloned().collect()
    }

    /// Notes a subscription. Whether there was one of the same filter.
    pub(in super::super) fn note_subscription(&self, subscription: Subscription) -> bool {
        let filter = subscription.filter.filter.clone();
        self.inside
            .lock()
            .subscriptions
            .insert(filter, subscription)
            .is_some()
    }

    /// Whether it has a subscription of this filter.
    pub(in super::super) fn has_subscription(&self, filter: &TopicFilter) -> bool {
        self.inside.lock().subscriptions.contains_key(filter)
    }

    /// With which quality of service its subscriptions mean `topic`, if any does.
    pub(in super::super) fn wanted(&self, topic: &str) -> Option<QoS> {
        let inside = self.inside.lock();
        let found = inside.subscriptions.values().filter(|one| one.means(topic));
        found.map(|one| one.filter.qos).max()
    }

    /// The identifiers of its subscriptions that mean `topic`.
    pub(in super::super) fn identifiers(&self, topic: &str) -> Box<[NonZeroU32]> {
        let inside = self.inside.lock();
        let found = inside.subscriptions.values().filter(|one| one.means(topic));
        found
            .filter_map(|one| NonZeroU32::new(one.identifier?))
            .collect()
    }

    /// Forgets a subscription. Whether there was one.
    pub(in super::super) fn forget_subscription(&self, filter: &TopicFilter) -> bool {
        let mut inside = self.inside.lock();
        inside.replays.retain(|replay| !replay.is_of(filter));
        inside.subscriptions.remove(filter).is_some()
    }

    /// Begins to hand over what a subscription brings, from the beginning.
    pub(in super::super) fn begin_replay(&self, replay: Replay) {
        let mut inside = self.inside.lock();
        let filter = &replay.subscription.filter.filter;
        inside.replays.retain(|other| !other.is_of(filter));
        if inside.subscriptions.contains_key(filter) {
            inside.replays.push_back(replay);
        }
    }

    /// Takes what is to be handed over next.
    pub(in super::super) fn next_replay(&self) -> Option<Replay> {
        self.inside.lock().replays.pop_front()
    }

    /// Puts back what [`Self::next_replay`] gave and is not done with.
    pub(in super::super) fn go_on_replaying(&self, replay: Replay) {
        self.inside.lock().replays.push_front(replay);
    }

    /// Forgets all subscriptions and packets, and gives the filters.
    pub(in super::super) fn forget_all(&self) -> Vec<TopicFilter> {
        let mut inside = self.inside.lock();
        inside.inbound.clear();
        inside.replays.clear();
        inside
            .subscriptions
            .drain()
            .map(|(filter, _)| filter)
            .collect()
    }

    /// Packets of QoS 2 that it has sent and not released.
    pub(in super::super) fn inbound(&self) -> Vec<u16> {
        self.inside.lock().inbound.iter().copied().collect()
    }

    /// Notes a packet of QoS 2 that it has sent.
    pub(in super::super) fn note_inbound(&self, packet: u16) {
        self.inside.lock().inbound.insert(packet);
    }

    /// It has released a packet of QoS 2.
    pub(in super::super) fn forget_inbound(&self, packet: u16) {
        self.inside.lock().inbound.remove(&packet);
    }
}
