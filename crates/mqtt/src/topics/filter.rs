//! The filter of a subscription.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::text::{self, TextError};
use crate::topics::{LEVELS_MAX, name};

/// The beginning of a shared subscription (MQTT 5.0, section 4.8.2).
const SHARED: &str = "$share/";

/// A topic filter, possibly of a shared subscription: wildcards stand alone in their level, `#`
/// only in the last one. Copies share their text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Arc<str>);

/// The two parts of a shared subscription's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedFilter<'a> {
    /// Who shares: each message goes to one subscriber of a group.
    pub group: &'a str,
    /// What is shared.
    pub filter: &'a str,
}

/// Why something is not a [`TopicFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A filter has at least one character [MQTT-4.7.3-1].
    #[error("topic filter is empty")]
    Empty,
    /// `#` stands alone in the last level [MQTT-4.7.1-1].
    #[error("# is not alone in the last level of the topic filter")]
    MultiLevel,
    /// `+` stands alone in its level [MQTT-4.7.1-2].
    #[error("+ is not alone in a level of the topic filter")]
    SingleLevel,
    /// A shared subscription is `$share/GROUP/FILTER`; neither is empty, the group has no
    /// wildcard [MQTT-4.8.2-1], [MQTT-4.8.2-2].
    #[error("shared subscription is not $share/GROUP/FILTER")]
    Shared,
    /// More than [`LEVELS_MAX`] levels.
    #[error("topic filter has more than {LEVELS_MAX} levels")]
    TooDeep,
    /// It is no text that MQTT can carry.
    #[error("topic filter is not MQTT text")]
    Text(#[from] TextError),
}

impl TopicFilter {
    /// Takes `filter` as a topic filter; one that starts with `$share/` as a shared one.
    ///
    /// # Errors
    /// Any [`FilterError`].
    pub fn new(filter: &str) -> Result<Self, FilterError> {
        text::check(filter)?;
        if filter.starts_with(SHARED) {
            let shared = split_shared(filter).ok_or(FilterError::Shared)?;
            let wild = |byte| matches!(byte, b'#' | b'+');
            if shared.group.is_empty() || shared.group.bytes().any(wild) || shared.filter.is_empty()
            {
                return Err(FilterError::Shared);
            }
            check_levels(shared.filter)?;
        } else {
            check_levels(filter)?;
        }
        Ok(Self(filter.into()))
    }

    /// The filter as written, with `$share/GROUP/` when it is shared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Group and filter of a shared subscription; `None` when it is not shared.
    #[must_use]
    pub fn shared(&self) -> Option<SharedFilter<'_>> {
        split_shared(&self.0)
    }

    /// What topics are compared with: the filter without `$share/GROUP/`.
    #[must_use]
    pub fn matched_part(&self) -> &str {
        self.shared().map_or(&self.0, |shared| shared.filter)
    }

    /// Whether a message on `topic` is meant. A wildcard in the first level matches no topic that
    /// begins with `$` [MQTT-4.7.2-1].
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let filter = self.matched_part();
        if topic.starts_with('$') && filter.starts_with(['#', '+']) {
            return false;
        }
        let mut topic = topic.split('/');
        for level in filter.split('/') {
            if level == "#" {
                return true;
            }
            match topic.next() {
                Some(name) if level == "+" || level == name => {}
                Some(_) | None => return false,
            }
        }
        topic.next().is_none()
    }

    /// Whether every topic that `other` matches is matched by this filter too. Groups make no
    /// difference.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        super::covers(self.matched_part().split('/'), other.matched_part())
    }
}

fn split_shared(filter: &str) -> Option<SharedFilter<'_>> {
    let (group, filter) = filter.strip_prefix(SHARED)?.split_once('/')?;
    Some(SharedFilter { group, filter })
}

fn check_levels(filter: &str) -> Result<(), FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    if name::levels(filter) > LEVELS_MAX {
        return Err(FilterError::TooDeep);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(FilterError::MultiLevel);
        }
        if level.contains('+') && level != "+" {
            return Err(FilterError::SingleLevel);
        }
    }
    Ok(())
}

impl Deref for TopicFilter {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_alone() {
        for filter in ["#", "+", "a/#", "+/+/#", "/+", "/", "a//b", "$SYS/#", "+/a"] {
            assert_eq!(TopicFilter::new(filter).unwrap().as_str(), filter);
        }
        for (filter, error) in [
            ("", FilterError::Empty),
            ("a#", FilterError::MultiLevel),
            ("#/a", FilterError::MultiLevel),
            ("a/#/b", FilterError::MultiLevel),
            ("+a", FilterError::SingleLevel),
            ("a/b+", FilterError::SingleLevel),
            ("a\0", FilterError::Text(TextError::Nul)),
        ] {
            assert_eq!(TopicFilter::new(filter), Err(error), "{filter:?}");
        }
        assert!(TopicFilter::new(&"/".repeat(LEVELS_MAX - 1)).is_ok());
        assert_eq!(
            TopicFilter::new(&"/".repeat(LEVELS_MAX)),
            Err(FilterError::TooDeep)
        );
    }

    #[test]
    fn a_shared_filter_has_a_group_and_a_filter() {
        let filter = TopicFilter::new("$share/tills/a/+").unwrap();
        let shared = SharedFilter {
            group: "tills",
            filter: "a/+",
        };
        assert_eq!(filter.shared(), Some(shared));
        assert!(filter.matches("a/b"));
        assert_eq!(TopicFilter::new("$share/g//").unwrap().matched_part(), "/");
        assert_eq!(TopicFilter::new("$shared/g/a").unwrap().shared(), None);
        for filter in [
            "$share/",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/+/a",
            "$share/a#/a",
        ] {
            assert_eq!(
                TopicFilter::new(filter),
                Err(FilterError::Shared),
                "{filter:?}"
            );
        }
        assert_eq!(
            TopicFilter::new("$share/g/a#"),
            Err(FilterError::MultiLevel)
        );
    }

    /// The examples of MQTT 5.0, section 4.7.
    #[test]
    fn the_examples_of_the_standard_match() {
        for (filter, topic, matches) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor/Clients", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("Accounts", "ACCOUNTS", false),
        ] {
            assert_eq!(
                TopicFilter::new(filter).unwrap().matches(topic),
                matches,
                "{filter} {topic}"
            );
        }
    }
}
