//! The last message of each topic, for those who subscribe later (MQTT 5.0, section 3.3.1.3).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use crate::packet::Message;
use crate::topics::{TopicFilter, TopicName};

/// How much may be retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// The most messages.
    pub messages: usize,
    /// The most bytes that they take, by [`Message::size`].
    pub bytes: usize,
}

impl Default for RetainedLimits {
    /// 100,000 messages in 64 MiB.
    fn default() -> Self {
        Self {
            messages: 100_000,
            bytes: 64 << 20,
        }
    }
}

/// There is no room for another retained message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no room for another retained message")]
pub struct RetainedFull;

/// The last message of each topic.
#[derive(Debug)]
pub struct Retained {
    limits: RetainedLimits,
    messages: BTreeMap<TopicName, Arc<Message>>,
    bytes: usize,
}

impl Retained {
    /// Nothing is retained.
    #[must_use]
    pub fn new(limits: RetainedLimits) -> Self {
        Self {
            limits,
            messages: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// How many messages are retained.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Retains a message in place of the one of its topic; one without payload only removes it
    /// [MQTT-3.3.1-6]. Gives the one that was there.
    ///
    /// # Errors
    /// [`RetainedFull`]; then nothing has changed.
    pub fn set(&mut self, message: Arc<Message>) -> Result<Option<Arc<Message>>, RetainedFull> {
        if message.payload().is_empty() {
            return Ok(self.remove(message.topic()));
        }
        let before = self.messages.get(message.topic());
        let freed = before.map_or(0, |before| before.size());
        let bytes = self.bytes - freed + message.size();
        let count = self.messages.len() + usize::from(before.is_none());
        if bytes > self.limits.bytes || count > self.limits.messages {
            return Err(RetainedFull);
        }
        self.bytes = bytes;
        Ok(self.messages.insert(message.topic().clone(), message))
    }

    /// Removes the message of a topic, and gives it.
    pub fn remove(&mut self, topic: &TopicName) -> Option<Arc<Message>> {
        let removed = self.messages.remove(topic)?;
        self.bytes -= removed.size();
        Some(removed)
    }

    /// Removes what is no longer worth delivering, and gives it.
    pub fn remove_expired(&mut self, now: Instant) -> Vec<Arc<Message>> {
        let expired: Vec<_> = self
            .messages
            .values()
            .filter(|message| message.has_expired(now))
            .cloned()
            .collect();
        for message in &expired {
            self.remove(message.topic());
        }
        expired
    }

    /// The message of a topic.
    #[must_use]
    pub fn get(&self, topic: &TopicName) -> Option<&Arc<Message>> {
        self.messages.get(topic)
    }

    /// The messages that `filter` matches, in the order of their topics, from behind the topic
    /// `after` on: so a long list can be read in pieces. Parts of the store that cannot match are
    /// leapt over. What has expired is among them until it is removed.
    pub fn matching<'a>(
        &'a self,
        filter: &'a TopicFilter,
        after: Option<&TopicName>,
    ) -> impl Iterator<Item = &'a Arc<Message>> {
        let from = match after {
            Some(topic) => Bound::Excluded(topic.as_str().to_owned()),
            None => Bound::Unbounded,
        };
        Matching {
            messages: &self.messages,
            filter: filter.matched_part(),
            from: Some(from),
        }
    }
}

struct Matching<'a> {
    messages: &'a BTreeMap<TopicName, Arc<Message>>,
    filter: &'a str,
    /// Where to go on; `None`: nothing more can match.
    from: Option<Bound<String>>,
}

impl<'a> Iterator for Matching<'a> {
    type Item = &'a Arc<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.from.as_ref()?.as_ref().map(String::as_str);
            let range = self.messages.range::<str, _>((from, Bound::Unbounded));
            let Some((topic, message)) = { range }.next() else {
                self.from = None;
                return None;
            };
            match compare(self.filter, topic) {
                Verdict::Matches => {
                    self.from = Some(Bound::Excluded(topic.as_str().to_owned()));
                    return Some(message);
                }
                Verdict::GoOnAt(place) => self.from = Some(Bound::Included(place)),
                Verdict::NoMore => self.from = None,
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Matches,
    /// It does not, and nothing before this place will. The place is behind the topic.
    GoOnAt(String),
    NoMore,
}

/// Compares a topic with a filter, and says how far to leap when it does not match. Topics are in
/// the order of their bytes, in which all topics that begin alike stand together.
fn compare(filter: &str, topic: &str) -> Verdict {
    if topic.starts_with('$') && filter.starts_with(['#', '+']) {
        // '%' follows '$'.
        return Verdict::GoOnAt("%".to_owned());
    }
    let mut rest = Some(topic);
    // Where the level begins that is being compared.
    let mut start = 0;
    let mut levels = filter.split('/').peekable();
    while let Some(wanted) = levels.next() {
        if wanted == "#" {
            return Verdict::Matches;
        }
        let Some(level) = rest else {
            // Names that go on with '-' or the like come before what is below.
            return Verdict::GoOnAt(format!("{topic}\0"));
        };
        let (name, below) = match level.split_once('/') {
            Some((name, below)) => (name, Some(below)),
            None => (level, None),
        };
        if wanted != "+" && wanted != name {
            let named = format!("{}{wanted}", &topic[..start]);
            return leap(topic, start, named, levels.peek().copied());
        }
        rest = below;
        if levels.peek().is_none() && below.is_some() {
            // Everything below this level is too deep.
            let end = start + name.len();
            return Verdict::GoOnAt(format!("{}0", &topic[..end]));
        }
        start += name.len() + 1;
    }
    Verdict::Matches
}

/// Where to go on when the level from `start` is not the one that is wanted: `named`, or what is
/// below it, or the next level above.
fn leap(topic: &str, start: usize, named: String, next: Option<&str>) -> Verdict {
    let below = format!("{named}/");
    if matches!(next, None | Some("#")) && *named > *topic {
        return Verdict::GoOnAt(named);
    }
    if next.is_some() && *below > *topic {
        return Verdict::GoOnAt(below);
    }
    match topic[..start].strip_suffix('/') {
        // '0' follows '/'.
        Some(above) => Verdict::GoOnAt(format!("{above}0")),
        None => Verdict::NoMore,
    }
}
