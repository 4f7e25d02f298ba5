//! The retained messages against a list of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use outgate_mqtt::packet::{Message, PublishProperties, QoS};
use outgate_mqtt::topics::{Retained, RetainedFull, RetainedLimits, TopicFilter, TopicName};

use crate::made;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_retained_is_found_by_every_filter_that_matches(
        topics in vec(made::topics(), 0..40),
        filters in vec(made::filters(), 1..10),
    ) {
        let mut retained = Retained::new(RetainedLimits::default());
        for topic in &topics {
            retained.set(message(topic, "x", None)).unwrap();
        }
        for filter in filters {
            let mut wanted: Vec<_> =
                topics.iter().filter(|topic| filter.matches(topic)).cloned().collect();
            wanted.sort();
            wanted.dedup();
            let found: Vec<_> =
                retained.matching(&filter, None).map(|found| found.topic().clone()).collect();
            prop_assert_eq!(&found, &wanted, "{}", filter);
            if let Some(middle) = wanted.get(wanted.len() / 2) {
                let rest: Vec<_> = retained
                    .matching(&filter, Some(middle))
                    .map(|found| found.topic().clone())
                    .collect();
                prop_assert_eq!(&rest, &wanted[wanted.len() / 2 + 1..]);
            }
        }
    }

    #[test]
    fn bytes_and_messages_are_counted_and_bounded(
        steps in vec((made::topics(), 0_usize..200), 1..60),
    ) {
        let limits = RetainedLimits { messages: 8, bytes: 2000 };
        let mut retained = Retained::new(limits);
        let mut list = BTreeMap::new();
        for (topic, length) in steps {
            let message = message(&topic, &"x".repeat(length), None);
            let before = list.clone();
            if length == 0 {
                list.remove(&topic);
            } else {
                list.insert(topic.clone(), message.size());
            }
            let fits = list.len() <= limits.messages && list.values().sum::<usize>() <= limits.bytes;
            if length > 0 && !fits {
                list = before;
                prop_assert_eq!(retained.set(message), Err(RetainedFull));
            } else {
                prop_assert_eq!(retained.set(message).map(|_| ()), Ok(()));
            }
            prop_assert_eq!(retained.len(), list.len());
            prop_assert_eq!(retained.bytes(), list.values().sum::<usize>());
        }
    }
}

#[test]
fn what_has_expired_is_removed() {
    let mut retained = Retained::new(RetainedLimits::default());
    let name = |name| TopicName::new(name).unwrap();
    retained.set(message(&name("a"), "x", Some(5))).unwrap();
    retained.set(message(&name("b"), "x", None)).unwrap();
    let now = start();
    assert_eq!(retained.remove_expired(now).len(), 0);
    assert_eq!(
        retained.remove_expired(now + Duration::from_secs(5)).len(),
        1
    );
    let all = TopicFilter::new("#").unwrap();
    assert!(
        retained
            .matching(&all, None)
            .all(|message| message.topic() == &name("b"))
    );
    assert_eq!(retained.len(), 1);
}

fn message(topic: &TopicName, payload: &str, message_expiry: Option<u32>) -> Arc<Message> {
    let properties = PublishProperties {
        message_expiry,
        ..PublishProperties::default()
    };
    let payload = payload.as_bytes();
    let qos = QoS::AtLeastOnce;
    Arc::new(Message::new(topic.clone(), payload, qos, true, &properties, start()).unwrap())
}

/// One moment for all messages of this file.
fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(some_moment)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to a first Instant"
)]
fn some_moment() -> Instant {
    Instant::now()
}
