//! The tree of subscriptions against a list of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;

use outgate_mqtt::packet::QoS;
use outgate_mqtt::topics::{
    Matches, Subscription, Subscriptions, SubscriptionsFull, SubscriptionsLimits, TopicFilter,
    TopicName,
};

use crate::made;

type Client = u32;

#[derive(Clone, Debug)]
enum Step {
    Subscribe(Client, TopicFilter, Subscription),
    Unsubscribe(Client, TopicFilter),
    Publish(TopicName, Option<Client>),
}

fn steps() -> impl Strategy<Value = Step> {
    let qos = prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ];
    let how = (
        qos,
        any::<bool>(),
        any::<bool>(),
        (0_u32..5).prop_map(NonZeroU32::new),
    )
        .prop_map(|(qos, no_local, retain_as_published, id)| Subscription {
            qos,
            no_local,
            retain_as_published,
            id,
        });
    prop_oneof![
        3 => (0_u32..6, made::filters(), how).prop_map(|(client, filter, mut how)| {
            // MQTT has no such thing.
            how.no_local &= filter.shared().is_none();
            Step::Subscribe(client, filter, how)
        }),
        2 => (0_u32..6, made::filters())
            .prop_map(|(client, filter)| Step::Unsubscribe(client, filter)),
        3 => (made::topics(), prop::option::of(0_u32..6))
            .prop_map(|(topic, publisher)| Step::Publish(topic, publisher)),
    ]
}

type List = BTreeMap<(TopicFilter, Client), Subscription>;
/// What a client gets: quality of service, retain as published, identifiers in order.
type Copies = BTreeMap<Client, (QoS, bool, Vec<u32>)>;

fn expected(list: &List, topic: &TopicName, publisher: Option<Client>) -> Copies {
    let mut copies = Copies::new();
    for ((filter, client), how) in list {
        let own = how.no_local && publisher == Some(*client);
        if filter.shared().is_some() || own || !filter.matches(topic) {
            continue;
        }
        let copy = copies.entry(*client).or_default();
        copy.0 = copy.0.max(how.qos);
        copy.1 |= how.retain_as_published;
        copy.2.extend(how.id.map(NonZeroU32::get));
        copy.2.sort_unstable();
    }
    copies
}

fn expected_groups(list: &List, topic: &TopicName) -> BTreeMap<TopicFilter, BTreeSet<Client>> {
    let mut groups = BTreeMap::<_, BTreeSet<_>>::new();
    for (filter, client) in list.keys() {
        if filter.shared().is_some() && filter.matches(topic) {
            groups.entry(filter.clone()).or_default().insert(*client);
        }
    }
    groups
}

fn check_publication(
    tree: &Subscriptions<Client>,
    list: &List,
    topic: &TopicName,
    publisher: Option<Client>,
) -> Result<(), TestCaseError> {
    let mut found = Matches::default();
    tree.find_matches(topic, publisher, &mut found);
    let mut copies = Copies::new();
    for client in found.clients() {
        let mut ids: Vec<_> = found
            .subscription_ids(client)
            .iter()
            .map(|id| id.get())
            .collect();
        ids.sort_unstable();
        let copy = (client.qos, client.retain_as_published, ids);
        prop_assert_eq!(
            copies.insert(client.subscriber, copy),
            None,
            "one copy a client"
        );
    }
    prop_assert_eq!(copies, expected(list, topic, publisher));
    let mut groups: Vec<BTreeSet<_>> = found
        .groups()
        .map(|group| group.0.iter().map(|member| member.0).collect())
        .collect();
    let mut wanted: Vec<_> = expected_groups(list, topic).into_values().collect();
    groups.sort();
    wanted.sort();
    prop_assert_eq!(groups, wanted);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_finds_what_a_list_finds(steps in vec(steps(), 1..60)) {
        let mut tree = Subscriptions::new(SubscriptionsLimits::default());
        let mut list = List::new();
        for step in steps {
            match step {
                Step::Subscribe(client, filter, how) => {
                    let replaced = list.insert((filter.clone(), client), how);
                    prop_assert_eq!(tree.subscribe(client, &filter, how), Ok(replaced));
                }
                Step::Unsubscribe(client, filter) => {
                    let removed = list.remove(&(filter.clone(), client));
                    prop_assert_eq!(tree.unsubscribe(client, &filter), removed);
                }
                Step::Publish(topic, publisher) => {
                    check_publication(&tree, &list, &topic, publisher)?;
                }
            }
            prop_assert_eq!(tree.len(), list.len());
        }
        for (filter, client) in list.into_keys() {
            prop_assert!(tree.unsubscribe(client, &filter).is_some());
        }
        prop_assert_eq!((tree.len(), tree.nodes()), (0, 1), "only the root is left");
    }
}

#[test]
fn members_of_a_group_take_turns() {
    let mut tree = Subscriptions::new(SubscriptionsLimits::default());
    let filter = TopicFilter::new("$share/g/a/+").unwrap();
    for client in 0..100_u32 {
        tree.subscribe(client, &filter, Subscription::new(QoS::AtLeastOnce))
            .unwrap();
    }
    let mut found = Matches::default();
    let mut turns = Vec::new();
    for _ in 0..200 {
        tree.find_matches("a/b", None, &mut found);
        let groups: Vec<_> = found.groups().collect();
        let [group] = groups[..] else {
            panic!("{groups:?}")
        };
        assert_eq!(group.0.len(), 16);
        turns.push(group.0[0].0);
    }
    assert_eq!(turns, (0..100).chain(0..100).collect::<Vec<_>>());
}

#[test]
fn many_subscribers_of_one_filter_are_all_found_and_all_leave() {
    let mut tree = Subscriptions::new(SubscriptionsLimits::default());
    let filter = TopicFilter::new("a/#").unwrap();
    for client in (0..1000_u32).rev() {
        tree.subscribe(client, &filter, Subscription::new(QoS::AtMostOnce))
            .unwrap();
    }
    let mut found = Matches::default();
    tree.find_matches("a", None, &mut found);
    assert!(
        found
            .clients()
            .iter()
            .map(|client| client.subscriber)
            .eq(0..1000)
    );
    for client in 0..1000 {
        assert!(tree.unsubscribe(client, &filter).is_some());
    }
    assert_eq!(tree.nodes(), 1);
}

#[test]
fn the_limits_hold_and_refusal_changes_nothing() {
    let limits = SubscriptionsLimits {
        subscriptions: 3,
        nodes: 5,
    };
    let mut tree = Subscriptions::new(limits);
    let how = Subscription::new(QoS::AtMostOnce);
    let mut subscribe =
        |client: Client, filter| tree.subscribe(client, &TopicFilter::new(filter).unwrap(), how);
    assert_eq!(subscribe(1, "a/b"), Ok(None));
    assert_eq!(
        subscribe(1, "a/c/d/e/f"),
        Err(SubscriptionsFull),
        "too many nodes"
    );
    assert_eq!(subscribe(1, "c/d"), Ok(None));
    assert_eq!(subscribe(1, "#"), Ok(None));
    assert_eq!(
        subscribe(2, "#"),
        Err(SubscriptionsFull),
        "too many subscriptions"
    );
    assert_eq!(subscribe(1, "#"), Ok(Some(how)));
    assert_eq!((tree.len(), tree.nodes()), (3, 5));
}
