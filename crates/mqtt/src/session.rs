//! What the server keeps of a client beyond its connection (MQTT 5.0, section 4.1).
//!
//! A [`Session`] is plain data: [`Session::to_record`] takes it apart to be stored and
//! [`Session::restore`] puts it together again. While its client is connected, the
//! [`Connection`](crate::connection::Connection) has it.
//!
//! Messages of QoS 1 and 2 wait in one queue, in the order in which they were given. Each has a
//! `key`, by which the caller knows it. Packet identifiers come from the keys: when the keys of a
//! session count up by one a message, a message has the same identifier again after a restart, so
//! that nothing but the key need be stored for a repetition to be recognised by the client.

mod record;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

pub use self::record::{Queued, SessionRecord};
use crate::packet::{Message, PacketId, QoS};
use crate::topics::{Subscription, TopicFilter};

/// How much a session may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The most messages that wait or are in flight; at most [`QUEUED_MAX`].
    pub queued: usize,
    /// The most bytes that they take, by [`Message::size`]. A message that several sessions hold
    /// counts in each.
    pub queued_bytes: usize,
    /// The most subscriptions.
    pub subscriptions: usize,
}

/// How much room an empty queue keeps, in messages: enough for one at a time.
const IDLE_CAPACITY: usize = 4;

/// The most messages of a session: every one has a packet identifier of its own.
pub const QUEUED_MAX: usize = u16::MAX as usize;

impl Default for SessionLimits {
    /// 1,000 messages in 4 MiB, 128 subscriptions.
    fn default() -> Self {
        Self {
            queued: 1000,
            queued_bytes: 4 << 20,
            subscriptions: 128,
        }
    }
}

/// A message for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What the caller knows it by; events about it carry it.
    pub key: u64,
    /// The message.
    pub message: Arc<Message>,
    /// How surely it is delivered: never above what it was published with.
    pub qos: QoS,
    /// The retain flag that it is delivered with.
    pub retain: bool,
    /// The identifiers of the subscriptions that it matches.
    pub subscription_ids: Box<[NonZeroU32]>,
}

/// There is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's limit is reached")]
pub struct Full;

/// What the server keeps of a client beyond its connection.
#[derive(Clone, Debug)]
pub struct Session {
    limits: SessionLimits,
    subscriptions: BTreeMap<TopicFilter, Subscription>,
    /// What is yet to be sent on this connection.
    waiting: VecDeque<Queued>,
    /// What was sent on this connection and is not settled, in the order of sending.
    in_flight: VecDeque<Queued>,
    /// The identifiers of both.
    used: BTreeSet<PacketId>,
    bytes: usize,
    /// Messages of QoS 2 that the server has, and whose release it has not seen.
    received: BTreeSet<PacketId>,
}

impl Session {
    /// A session with nothing in it.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            subscriptions: BTreeMap::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            used: BTreeSet::new(),
            bytes: 0,
            received: BTreeSet::new(),
        }
    }

    /// The subscriptions, by their filters.
    #[must_use]
    pub fn subscriptions(&self) -> &BTreeMap<TopicFilter, Subscription> {
        &self.subscriptions
    }

    /// Adds or replaces a subscription; gives the one it replaces.
    ///
    /// # Errors
    /// [`Full`] when there would be too many.
    pub fn subscribe(
        &mut self,
        filter: TopicFilter,
        subscription: Subscription,
    ) -> Result<Option<Subscription>, Full> {
        let is_new = !self.subscriptions.contains_key(&filter);
        if is_new && self.subscriptions.len() >= self.limits.subscriptions {
            return Err(Full);
        }
        Ok(self.subscriptions.insert(filter, subscription))
    }

    /// Takes a subscription away, and gives it.
    pub fn unsubscribe(&mut self, filter: &TopicFilter) -> Option<Subscription> {
        self.subscriptions.remove(filter)
    }

    /// How many messages wait or are in flight.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// How many bytes they take.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a message of QoS 1 or 2. When there is no room it is the new message that is not
    /// taken: what a client was promised first comes first.
    ///
    /// # Errors
    /// [`Full`], also for QoS 0, which no session keeps.
    pub fn push(&mut self, outgoing: Outgoing) -> Result<PacketId, Full> {
        let size = outgoing.message.size();
        let room = self.queued() < self.limits.queued.min(QUEUED_MAX)
            && self.bytes.saturating_add(size) <= self.limits.queued_bytes;
        if !room || outgoing.qos == QoS::AtMostOnce {
            return Err(Full);
        }
        let packet_id = self.free_packet_id(outgoing.key).ok_or(Full)?;
        self.used.insert(packet_id);
        self.bytes += size;
        self.waiting.push_back(Queued::Publish {
            packet_id,
            outgoing,
            sent_before: false,
        });
        Ok(packet_id)
    }

    /// Notes that a message of QoS 2 is the server's, so that its repetition is not taken for a
    /// new one. The connection does this for what it acknowledges; the caller does it for what
    /// was on its way to the disk when the connection ended, before the session is used again.
    /// Gives whether it was not noted before.
    pub fn record_received(&mut self, packet_id: PacketId) -> bool {
        self.received.insert(packet_id)
    }

    /// Messages of QoS 2 that the server has, and whose release it has not seen.
    #[must_use]
    pub fn received(&self) -> &BTreeSet<PacketId> {
        &self.received
    }

    /// Forgets a message of QoS 2 that its sender has released; whether it was known.
    pub(crate) fn forget_received(&mut self, packet_id: PacketId) -> bool {
        self.received.remove(&packet_id)
    }

    /// How many messages were sent and are not settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What is to be sent next.
    pub(crate) fn next_waiting(&self) -> Option<&Queued> {
        self.waiting.front()
    }

    /// Notes that [`Self::next_waiting`] is being sent; gives it as it was.
    pub(crate) fn send_next(&mut self) -> Option<&Queued> {
        let next = self.waiting.pop_front()?;
        self.in_flight.push_back(next);
        self.in_flight.back()
    }

    /// Drops what is to be sent next; gives its key.
    pub(crate) fn drop_next(&mut self) -> Option<u64> {
        let next = self.waiting.pop_front()?;
        self.free(&next);
        Some(next.key())
    }

    /// Settles what is in flight under `packet_id`, if it is at the stage that `is_expected`
    /// wants; gives its key.
    pub(crate) fn settle(
        &mut self,
        packet_id: PacketId,
        is_expected: impl Fn(&Queued) -> bool,
    ) -> Option<u64> {
        let position = self
            .position(packet_id)
            .filter(|at| is_expected(&self.in_flight[*at]))?;
        let settled = self.in_flight.remove(position)?;
        self.free(&settled);
        Some(settled.key())
    }

    /// What is in flight under `packet_id`.
    pub(crate) fn find(&self, packet_id: PacketId) -> Option<&Queued> {
        self.position(packet_id).map(|at| &self.in_flight[at])
    }

    /// Notes that the client has the message of QoS 2 under `packet_id`; whether there is one.
    pub(crate) fn release(&mut self, packet_id: PacketId) -> bool {
        let Some(at) = self.position(packet_id) else {
            return false;
        };
        match &self.in_flight[at] {
            Queued::Publish { outgoing, .. } if outgoing.qos == QoS::ExactlyOnce => {
                self.bytes -= outgoing.message.size();
                let key = outgoing.key;
                self.in_flight[at] = Queued::Release { packet_id, key };
                true
            }
            Queued::Publish { .. } => false,
            Queued::Release { .. } => true,
        }
    }

    /// Makes ready for the next connection: what is in flight is sent again, first and in the same
    /// order [MQTT-4.4.0-1], [MQTT-4.6.0-1].
    pub(crate) fn rewind(&mut self) {
        while let Some(mut sent) = self.in_flight.pop_back() {
            if let Queued::Publish { sent_before, .. } = &mut sent {
                *sent_before = true;
            }
            self.waiting.push_front(sent);
        }
    }

    /// Acknowledgements mostly come in order, so the first place is mostly the right one.
    fn position(&self, packet_id: PacketId) -> Option<usize> {
        self.in_flight
            .iter()
            .position(|sent| sent.packet_id() == packet_id)
    }

    fn free(&mut self, queued: &Queued) {
        self.used.remove(&queued.packet_id());
        for queue in [&mut self.waiting, &mut self.in_flight] {
            if queue.is_empty() && queue.capacity() > IDLE_CAPACITY {
                *queue = VecDeque::new();
            }
        }
        if let Queued::Publish { outgoing, .. } = queued {
            self.bytes -= outgoing.message.size();
        }
    }

    /// The identifier that belongs to `key`, or the next one that is free.
    fn free_packet_id(&self, key: u64) -> Option<PacketId> {
        let wanted = packet_id_for_key(key).get();
        (wanted..=u16::MAX)
            .chain(1..wanted)
            .filter_map(PacketId::new)
            .find(|id| !self.used.contains(id))
    }
}

/// The packet identifier of the message that the caller knows by `key`, as long as the keys of a
/// session count up by one a message.
#[must_use]
pub fn packet_id_for_key(key: u64) -> PacketId {
    let place = (key % u64::from(u16::MAX)) as u16;
    PacketId::MIN.saturating_add(place)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::packet::PublishProperties;
    use crate::topics::TopicName;

    #[test]
    fn a_messages_packet_identifier_comes_from_its_key() {
        let mut session = Session::new(SessionLimits::default());
        for (key, packet_id) in [(0, 1), (1, 2), (65_534, 65_535), (65_535, 3), (65_536, 4)] {
            assert_eq!(
                session.push(message(key, b"")).unwrap().get(),
                packet_id,
                "{key}"
            );
        }
    }

    #[test]
    fn a_session_takes_no_more_than_its_limits_say() {
        let size = message(0, b"12").message.size();
        let limits = SessionLimits {
            queued: 3,
            queued_bytes: 2 * size + 1,
            subscriptions: 1,
        };
        let mut session = Session::new(limits);
        session.push(message(0, b"12")).unwrap();
        session.push(message(1, b"12")).unwrap();
        assert_eq!(session.push(message(2, b"12")), Err(Full), "too many bytes");
        session.drop_next();
        assert!(session.push(message(3, b"12")).is_ok());
        assert_eq!(session.queued_bytes(), 2 * size);

        let filter = |name| TopicFilter::new(name).unwrap();
        session
            .subscribe(filter("a"), Subscription::new(QoS::AtMostOnce))
            .unwrap();
        let again = Subscription::new(QoS::ExactlyOnce);
        assert!(session.subscribe(filter("a"), again).unwrap().is_some());
        assert_eq!(session.subscribe(filter("b"), again), Err(Full));
    }

    fn message(key: u64, payload: &[u8]) -> Outgoing {
        let topic = TopicName::new("a").unwrap();
        let properties = PublishProperties::default();
        let now = some_moment();
        let message =
            Message::new(topic, payload, QoS::AtLeastOnce, false, &properties, now).unwrap();
        Outgoing {
            key,
            message: Arc::new(message),
            qos: QoS::AtLeastOnce,
            retain: false,
            subscription_ids: Box::default(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "there is no other way to a first Instant"
    )]
    fn some_moment() -> Instant {
        Instant::now()
    }
}
