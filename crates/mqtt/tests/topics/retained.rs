//! The retained messages against a list of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use outgate_mqtt::packet::{Message, PublishProperties, QoS};
use outgate_mqtt::topics::{
    Change, Retainable, Retained, RetainedFull, RetainedLimits, TopicFilter, TopicName,
};

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

    /// Changes that begin, come to be or do not, in any order: what is seen is what was applied
    /// last, and neither an owner nor all together ever have more than their room.
    #[test]
    fn nothing_is_seen_before_it_is_applied_nor_beyond_the_room_there_is(
        steps in vec(steps(), 1..80),
    ) {
        let all = RetainedLimits { messages: 4, bytes: 900 };
        let share = RetainedLimits { messages: 3, bytes: 600 };
        let mut retained = Retained::with_shares(all, share);
        let mut begun: Vec<(Change, Note)> = Vec::new();
        let mut seen: BTreeMap<TopicName, Note> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Begin(note) => {
                    let newest = retained.newest();
                    if let Ok(change) = retained.begin(note.clone()) {
                        prop_assert!(change > newest);
                        begun.push((change, note));
                    } else {
                        prop_assert_eq!(retained.newest(), newest);
                    }
                }
                Step::Apply(which) if !begun.is_empty() => {
                    let (change, note) = begun.remove(which % begun.len());
                    let before = retained.apply(&note.topic, change);
                    let there = if note.size == 0 {
                        seen.remove(&note.topic)
                    } else {
                        seen.insert(note.topic.clone(), note)
                    };
                    prop_assert_eq!(before, there);
                }
                Step::Abandon(which) if !begun.is_empty() => {
                    let (change, note) = begun.remove(which % begun.len());
                    retained.abandon(&note.topic, change);
                }
                Step::Expire(now) => {
                    let gone = retained.remove_expired(now);
                    prop_assert!(gone.iter().all(|note| note.end.is_some_and(|end| end <= now)));
                    seen.retain(|_, note| note.end.is_none_or(|end| end > now));
                }
                Step::Apply(_) | Step::Abandon(_) => {}
            }
            let everything = TopicFilter::new("#").unwrap();
            let found: Vec<_> = retained.matching(&everything, None).cloned().collect();
            let wanted: Vec<_> =
                seen.values().filter(|note| !note.topic.starts_with('$')).cloned().collect();
            prop_assert_eq!(found, wanted);
            for place in retained.places_matching(&everything, None) {
                let changing = begun.iter().any(|(_, note)| note.topic == *place.topic);
                prop_assert_eq!(place.is_changing, changing);
            }
            let room = |owner: Option<u8>| {
                let own = |note: &&Note| owner.is_none_or(|owner| owner == note.owner);
                let own: Vec<_> = seen.values().filter(own).map(|note| note.size).collect();
                (own.len(), own.iter().sum::<usize>())
            };
            let fits = |owner, limits: RetainedLimits| {
                let (messages, bytes) = room(owner);
                messages <= limits.messages && bytes <= limits.bytes
            };
            prop_assert!(fits(None, all) && fits(Some(0), share) && fits(Some(1), share));
            if begun.is_empty() {
                prop_assert_eq!((retained.len(), retained.bytes()), room(None));
            }
        }
    }
}

#[test]
fn whoever_is_at_the_limit_may_still_say_something_new_on_an_old_topic() {
    let one = RetainedLimits {
        messages: 1,
        bytes: 100,
    };
    let mut retained = Retained::new(one);
    let note = |topic, size| Note {
        topic: TopicName::new(topic).unwrap(),
        owner: 0,
        size,
        end: None,
    };
    retained.set(note("a", 100)).unwrap();
    let first = retained.begin(note("a", 90)).unwrap();
    let second = retained.begin(note("a", 80)).unwrap();
    assert_eq!(retained.begin(note("b", 1)), Err(RetainedFull));
    let topic = TopicName::new("a").unwrap();
    retained.apply(&topic, second);
    assert_eq!(retained.bytes(), 90, "the first may still come to be");
    retained.abandon(&topic, first);
    assert_eq!(retained.get(&topic).unwrap().size, 80);
    assert_eq!(retained.bytes(), 80);
    retained.set(note("a", 0)).unwrap();
    assert!(retained.is_empty() && retained.set(note("b", 1)).is_ok());
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

/// Something that can be retained; of no size it takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    topic: TopicName,
    owner: u8,
    size: usize,
    end: Option<u8>,
}

impl Retainable for Note {
    type Owner = u8;
    type Time = u8;

    fn topic(&self) -> &TopicName {
        &self.topic
    }

    fn owner(&self) -> &u8 {
        &self.owner
    }

    fn size(&self) -> usize {
        self.size
    }

    fn is_empty(&self) -> bool {
        self.size == 0
    }

    fn expires_at(&self) -> Option<u8> {
        self.end
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(Note),
    Apply(usize),
    Abandon(usize),
    Expire(u8),
}

fn steps() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1 => Just(0), 4 => 100_usize..400];
    let note = (made::topics(), 0_u8..2, size, prop::option::of(0_u8..20));
    let note = note.prop_map(|(topic, owner, size, end)| Note {
        topic,
        owner,
        size,
        end,
    });
    prop_oneof![
        4 => note.prop_map(Step::Begin),
        3 => (0_usize..8).prop_map(Step::Apply),
        1 => (0_usize..8).prop_map(Step::Abandon),
        1 => (0_u8..10).prop_map(Step::Expire),
    ]
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
