//! Retained messages: the last word on each topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use outgate_core::clock::Timestamp;
use outgate_mqtt::packet::QoS;
use outgate_mqtt::topics::TopicFilter;

use super::message::Routed;
use crate::dialects::mqtt::settings::Settings;

/// The retained messages of all topics.
#[derive(Debug, Default)]
pub(in super::super) struct RetainedMessages {
    by_topic: BTreeMap<String, RetainedMessage>,
    by_owner: HashMap<Arc<str>, Usage>,
    bytes: u64,
}

/// A retained message.
#[derive(Clone, Debug)]
pub(in super::super) struct RetainedMessage {
    /// Who published it.
    pub(in super::super) owner: Arc<str>,
    /// The message.
    pub(in super::super) message: Arc<Routed>,
    /// With which quality of service it was published.
    pub(in super::super) qos: QoS,
}

#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    messages: usize,
    bytes: u64,
}

impl RetainedMessages {
    /// Makes a message the last word on its topic; an empty one takes the word back. `false` when
    /// the limits do not allow it, and nothing has changed.
    pub(in super::super) fn set(&mut self, retained: RetainedMessage, limits: &Settings) -> bool {
        let topic = retained.message.message.topic().as_str();
        if retained.message.message.payload().is_empty() {
            self.remove(topic);
            return true;
        }
        let old = self.by_topic.get(topic);
        let of = |message: &RetainedMessage| (1, message.message.size);
        let (old_count, old_bytes) = old.map_or((0, 0), of);
        let (own_count, own_bytes) = old
            .filter(|old| old.owner == retained.owner)
            .map_or((0, 0), of);
        let size = retained.message.size;
        let usage = self
            .by_owner
            .get(&retained.owner)
            .copied()
            .unwrap_or_default();
        let fits = usage.messages - own_count < limits.max_retained
            && usage.bytes - own_bytes + size <= limits.max_retained_bytes
            && self.by_topic.len() - old_count < limits.max_retained_in_all
            && self.bytes - old_bytes + size <= limits.max_retained_bytes_in_all;
        if fits {
            let topic = topic.to_owned();
            self.remove(&topic);
            self.bytes += size;
            let usage = self
                .by_owner
                .entry(Arc::clone(&retained.owner))
                .or_default();
            usage.messages += 1;
            usage.bytes += size;
            self.by_topic.insert(topic, retained);
        }
        fits
    }

    /// Takes back the last word on a topic.
    pub(in super::super) fn remove(&mut self, topic: &str) {
        let Some(old) = self.by_topic.remove(topic) else {
            return;
        };
        self.bytes -= old.message.size;
        if let Some(usage) = self.by_owner.get_mut(&old.owner) {
            usage.messages -= 1;
            usage.bytes -= old.message.size;
            if usage.messages == 0 {
                self.by_owner.remove(&old.owner);
            }
        }
    }

    /// The last words on all topics that `filter` means, but for those that have expired.
    pub(in super::super) fn matching(
        &self,
        filter: &TopicFilter,
        now: Timestamp,
    ) -> Vec<RetainedMessage> {
        // All topics that a filter means begin with what stands before its first wildcard.
        let whole = filter.matched_part();
        let fixed = whole.find(['+', '#']).map_or(whole, |at| &whole[..at]);
        let fixed = fixed.strip_suffix('/').unwrap_or(fixed);
        self.by_topic
            .range(fixed.to_owned()..)
            .take_while(|(topic, _)| topic.starts_with(fixed))
            .filter(|(topic, _)| filter.matches(topic))
            .map(|(_, retained)| retained)
            .filter(|retained| retained.message.expires.is_none_or(|end| end > now))
            .cloned()
            .collect()
    }

    /// Takes back what has expired, and says on which topics.
    pub(in super::super) fn expire(&mut self, now: Timestamp) -> Vec<String> {
        let expired: Vec<String> = self
            .by_topic
            .iter()
            .filter(|(_, retained)| retained.message.expires.is_some_and(|end| end <= now))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in &expired {
            self.remove(topic);
        }
        expired
    }
}
