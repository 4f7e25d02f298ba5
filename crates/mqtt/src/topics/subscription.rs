//! How a client wants what matches a filter.

use std::num::NonZeroU32;

use crate::packet::{QoS, SubscribeFilter};

/// How a client wants what matches a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The highest quality of service to deliver with.
    pub qos: QoS,
    /// Whether the client's own messages are left out.
    pub no_local: bool,
    /// Whether messages keep the retain flag they were published with.
    pub retain_as_published: bool,
    /// What messages that match are marked with.
    pub id: Option<NonZeroU32>,
}

impl Subscription {
    /// A subscription with at most `qos` and no other option.
    #[must_use]
    pub fn new(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            id: None,
        }
    }

    /// What a client asks for with `filter` and the identifier of its SUBSCRIBE.
    #[must_use]
    pub fn asked_for(filter: &SubscribeFilter, id: Option<NonZeroU32>) -> Self {
        Self {
            qos: filter.qos,
            no_local: filter.no_local,
            retain_as_published: filter.retain_as_published,
            id,
        }
    }
}
