//! A message as it is routed, and how it is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_core::clock::Timestamp;
use outgate_core::messages;
use outgate_mqtt::packet::{Message, QoS};
use outgate_mqtt::topics::TopicName;

/// A message on its way, shared by all who get it.
#[derive(Debug)]
pub(in super::super) struct Routed {
    /// What is sent.
    pub(in super::super) message: Arc<Message>,
    /// When it was published.
    pub(in super::super) published: Timestamp,
    /// After when nobody wants it any more, on the clock of the wall.
    pub(in super::super) expires: Option<Timestamp>,
    /// How much it counts for in limits, in bytes.
    pub(in super::super) size: u64,
}

impl Routed {
    /// A message published at `now`, which is `at` on the clock of the wall.
    pub(in super::super) fn new(message: Message, now: Instant, at: Timestamp) -> Self {
        let expires = message
            .expires_at()
            .map(|end| at.after(end.saturating_duration_since(now)));
        let size =
            message.topic().len() + message.payload().len() + message.encoded_properties().len();
        Self {
            message: Arc::new(message),
            published: at,
            expires,
            size: u64::try_from(size).unwrap_or(u64::MAX),
        }
    }

    /// What is kept of it.
    pub(in super::super) fn kept(&self) -> messages::Message {
        messages::Message {
            topic: self.message.topic().as_str().to_owned(),
            headers: self.message.encoded_properties().clone(),
            payload: self.message.payload().clone(),
            published: self.published,
            expires: self.expires,
        }
    }

    /// A kept message, read at `now`, which is `at` on the clock of the wall. `None` when it does
    /// not read: somebody has changed the store.
    pub(in super::super) fn from_kept(
        kept: messages::Message,
        qos: QoS,
        retain: bool,
        now: Instant,
        at: Timestamp,
    ) -> Option<Self> {
        let left = kept.expires.map(|end| end.since(at));
        let size = kept.bytes();
        let message = Message::from_stored(
            TopicName::new(&kept.topic).ok()?,
            kept.payload,
            qos,
            retain,
            kept.headers,
            left.map(|left| {
                now.checked_add(left)
                    .unwrap_or(now + Duration::from_secs(1))
            }),
        );
        Some(Self {
            message: Arc::new(message.ok()?),
            published: kept.published,
            expires: kept.expires,
            size,
        })
    }
}
