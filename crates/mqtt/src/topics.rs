//! Topic names and topic filters (MQTT 5.0, section 4.7).

mod filter;
mod name;
mod subscription;

pub use self::filter::{FilterError, SharedFilter, TopicFilter};
pub use self::name::{TopicError, TopicName};
pub use self::subscription::Subscription;

/// The most levels of a topic name or filter. MQTT states none; a server must, since it keeps
/// something for every level of a filter.
pub const LEVELS_MAX: usize = 128;
