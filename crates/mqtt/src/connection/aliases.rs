//! Numbers for topics (MQTT 5.0, section 3.3.2.3.4).

use std::num::NonZeroU16;

use crate::connection::ConnectionError;
use crate::topics::TopicName;

/// The aliases that a client has given: at most as many as it was allowed, made when first used.
#[derive(Debug, Default)]
pub(super) struct IncomingAliases(Vec<Option<TopicName>>);

impl IncomingAliases {
    /// The topic that is meant, when at most `maximum` aliases are allowed.
    pub(super) fn resolve(
        &mut self,
        topic: Option<TopicName>,
        alias: Option<NonZeroU16>,
        maximum: u16,
    ) -> Result<TopicName, ConnectionError> {
        let Some(alias) = alias else {
            return topic.ok_or(ConnectionError::TopicAlias);
        };
        if alias.get() > maximum {
            return Err(ConnectionError::TopicAlias);
        }
        let place = usize::from(alias.get()) - 1;
        let Some(topic) = topic else {
            let known = self.0.get(place).and_then(Option::as_ref);
            // A number that stands for nothing breaks the protocol (section 3.3.4).
            return known.cloned().ok_or(ConnectionError::Unexpected(
                "a topic alias that stands for nothing",
            ));
        };
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place] = Some(topic.clone());
        Ok(topic)
    }
}

/// The aliases that a client was given. The one that was not used for longest makes room.
#[derive(Debug, Default)]
pub(super) struct OutgoingAliases {
    /// The topic of alias 1, 2, … and when it was last used, in `uses`.
    topics: Vec<(TopicName, u64)>,
    uses: u64,
}

/// How a topic is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alias {
    /// The alias alone says it.
    Known(NonZeroU16),
    /// The client learns it: topic and alias.
    New(NonZeroU16),
}

impl OutgoingAliases {
    /// How to say `topic` when there are at most `maximum` aliases; `None` without any.
    pub(super) fn assign(&mut self, topic: &TopicName, maximum: u16) -> Option<Alias> {
        self.uses += 1;
        let known = self.topics.iter().position(|(known, _)| known == topic);
        if let Some(place) = known {
            self.topics[place].1 = self.uses;
            return Some(Alias::Known(number(place)?));
        }
        let place = if self.topics.len() < usize::from(maximum) {
            self.topics.push((topic.clone(), self.uses));
            self.topics.len() - 1
        } else {
            let oldest = (0..self.topics.len()).min_by_key(|place| self.topics[*place].1)?;
            self.topics[oldest] = (topic.clone(), self.uses);
            oldest
        };
        Some(Alias::New(number(place)?))
    }
}

fn number(place: usize) -> Option<NonZeroU16> {
    NonZeroU16::new(u16::try_from(place + 1).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_that_was_not_used_for_longest_makes_room() {
        let mut aliases = OutgoingAliases::default();
        let mut say = |topic| aliases.assign(&TopicName::new(topic).unwrap(), 2);
        let alias = |number| NonZeroU16::new(number).unwrap();
        assert_eq!(say("a"), Some(Alias::New(alias(1))));
        assert_eq!(say("b"), Some(Alias::New(alias(2))));
        assert_eq!(say("a"), Some(Alias::Known(alias(1))));
        assert_eq!(say("c"), Some(Alias::New(alias(2))));
        assert_eq!(say("a"), Some(Alias::Known(alias(1))));
        assert_eq!(say("b"), Some(Alias::New(alias(2))));
    }
}
