//! Topic names, topic filters (MQTT 5.0, section 4.7), and what is kept under them.

mod covers;
mod filter;
mod name;
mod retained;
mod subscription;
mod subscriptions;

pub(crate) use self::covers::covers;
pub use self::filter::{FilterError, SharedFilter, TopicFilter};
pub use self::name::{TopicError, TopicName};
pub use self::retained::{Change, Found, Retainable, Retained, RetainedFull, RetainedLimits};
pub use self::subscription::Subscription;
pub use self::subscriptions::{
    InTurn, Match, Matches, Subscriptions, SubscriptionsFull, SubscriptionsLimits, TRIED_IN_TURN,
};

/// The most levels of a topic name or filter. MQTT states none; a server must, since it keeps
/// something for every level of a filter.
pub const LEVELS_MAX: usize = 128;
