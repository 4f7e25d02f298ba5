//! A session, taken apart to be stored.

use crate::packet::PacketId;
use crate::session::{Outgoing, Session, SessionLimits};
use crate::topics::{Subscription, TopicFilter};

/// All that a session has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its subscriptions.
    pub subscriptions: Vec<(TopicFilter, Subscription)>,
    /// What is to be sent, in order; what was in flight comes first.
    pub queued: Vec<Queued>,
    /// Messages of QoS 2 that the server has, and whose release it has not seen.
    pub received: Vec<PacketId>,
}

/// A step that is still to be taken with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued {
    /// A message is to be sent.
    Publish {
        /// Under which identifier.
        packet_id: PacketId,
        /// The message.
        outgoing: Outgoing,
        /// Whether it may have been sent before.
        sent_before: bool,
    },
    /// The client has the message of QoS 2, and is to be told that the server knows.
    Release {
        /// Under which identifier.
        packet_id: PacketId,
        /// What the caller knows the message by.
        key: u64,
    },
}

impl Queued {
    /// The identifier it travels under.
    #[must_use]
    pub fn packet_id(&self) -> PacketId {
        match self {
            Self::Publish { packet_id, .. } | Self::Release { packet_id, .. } => *packet_id,
        }
    }

    /// What the caller knows the message by.
    #[must_use]
    pub fn key(&self) -> u64 {
        match self {
            Self::Publish { outgoing, .. } => outgoing.key,
            Self::Release { key, .. } => *key,
        }
    }
}

impl Session {
    /// Takes the session apart, in the order in which it would be sent on the next connection.
    #[must_use]
    pub fn to_record(&self) -> SessionRecord {
        let mut rewound = self.clone();
        rewound.rewind();
        SessionRecord {
            subscriptions: rewound.subscriptions.into_iter().collect(),
            queued: rewound.waiting.into(),
            received: rewound.received.into_iter().collect(),
        }
    }

    /// Puts a session together. What `limits` has no room for any more is kept all the same: it
    /// was promised. Of two steps under one packet identifier only the first is kept.
    #[must_use]
    pub fn restore(record: SessionRecord, limits: SessionLimits) -> Self {
        let mut session = Self::new(limits);
        session.subscriptions = record.subscriptions.into_iter().collect();
        session.received = record.received.into_iter().collect();
        for queued in record.queued {
            if !session.used.insert(queued.packet_id()) {
                continue;
            }
            if let Queued::Publish { outgoing, .. } = &queued {
                session.bytes += outgoing.message.size();
            }
            session.waiting.push_back(queued);
        }
        session
    }
}
