//! Many subscriptions, and deep ones.

use outgate_mqtt::packet::{
    Packet, QoS, ReasonCode, RetainHandling, Subscribe, SubscribeFilter, Version,
};
use outgate_mqtt::topics::{LEVELS_MAX, TopicFilter};

use crate::client::{Client, packet_id, publish};
use crate::hub::Running;

/// The most subscriptions of a session.
const SUBSCRIPTIONS: usize = 256;

#[tokio::test]
async fn beyond_its_subscriptions_a_client_gets_no_more_and_keeps_what_it_has() {
    let running = Running::start().await;
    let mut bomber = running.connected(Version::V5, "bomber").await;
    let mut other = running.connected(Version::V5, "other").await;
    let filters = (0..10_000).map(|number| format!("talk/{number}/+/#"));
    let reasons = subscribe_all(&mut bomber, filters.collect()).await;
    let (granted, refused) = reasons.split_at(SUBSCRIPTIONS);
    assert!(
        granted
            .iter()
            .all(|reason| *reason == ReasonCode::GrantedQos1)
    );
    assert!(
        refused
            .iter()
            .all(|reason| *reason == ReasonCode::QuotaExceeded)
    );
    // What is there may be renewed, and what is given up makes room.
    assert_eq!(bomber.subscribe("talk/0/+/#", 0).await, ReasonCode::Success);
    assert_eq!(
        other.subscribe("talk/9999/+/#", 1).await,
        ReasonCode::GrantedQos1
    );
    other.publish(publish("talk/255/a/b", "x", 1, 1)).await;
    assert_eq!(bomber.take().await.0, "talk/255/a/b");
    other
        .say(Packet::Publish(Box::new(publish("talk/9999/a", "x", 0, 1))))
        .await;
    assert_eq!(other.take().await.0, "talk/9999/a");
    bomber.ping().await;
}

#[tokio::test]
async fn a_client_of_the_old_version_is_told_of_its_limit_too() {
    let running = Running::start().await;
    let mut bomber = running.connected(Version::V3_1_1, "bomber").await;
    let filters = (0..=SUBSCRIPTIONS).map(|number| format!("talk/{number}"));
    let reasons = subscribe_all(&mut bomber, filters.collect()).await;
    assert_eq!(reasons[SUBSCRIPTIONS - 1], ReasonCode::GrantedQos1);
    assert_eq!(reasons[SUBSCRIPTIONS], ReasonCode::UnspecifiedError);
}

#[tokio::test]
async fn deep_filters_that_fork_everywhere_find_each_message_once() {
    let running = Running::start().await;
    let mut deep = running.connected(Version::V5, "deep").await;
    let depth = 100;
    // Each goes another way through the same levels.
    let filter = |number: usize| {
        let way = |level: usize| {
            if number >> (level % 8) & 1 == 1 {
                "+"
            } else {
                "a"
            }
        };
        let levels: Vec<&str> = (0..depth).map(way).collect();
        format!("talk/{}", levels.join("/"))
    };
    let reasons = subscribe_all(&mut deep, (0..SUBSCRIPTIONS).map(filter).collect()).await;
    assert!(
        reasons
            .iter()
            .all(|reason| *reason == ReasonCode::GrantedQos1)
    );
    let mut other = running.connected(Version::V5, "other").await;
    let topic = format!("talk/{}", vec!["a"; depth].join("/"));
    other.publish(publish(&topic, "x", 1, 1)).await;
    assert_eq!(deep.take().await.0, topic);
    deep.ping().await;
}

#[tokio::test]
async fn a_filter_or_topic_with_too_many_levels_is_refused() {
    let running = Running::start().await;
    let levels = |count: usize| format!("talk/{}", vec!["a"; count - 1].join("/"));
    let deepest = levels(LEVELS_MAX);
    let mut one = running.connected(Version::V5, "one").await;
    assert_eq!(one.subscribe(&deepest, 1).await, ReasonCode::GrantedQos1);
    one.say(Packet::Publish(Box::new(publish(&deepest, "x", 0, 1))))
        .await;
    assert_eq!(one.take().await.0, deepest);

    let beyond = levels(LEVELS_MAX + 1);
    one.say_raw(&raw(0x82, &[&[0, 1, 0], &text(&beyond)[..], &[1]].concat()))
        .await;
    closed(one, ReasonCode::TopicFilterInvalid).await;
    let mut two = running.connected(Version::V5, "two").await;
    two.say_raw(&raw(0x30, &[&text(&beyond)[..], &[0]].concat()))
        .await;
    closed(two, ReasonCode::TopicNameInvalid).await;
}

/// Subscribes to all in packets of 500; gives the answers.
async fn subscribe_all(client: &mut Client, filters: Vec<String>) -> Vec<ReasonCode> {
    let mut reasons = Vec::new();
    for (number, some) in (1..).zip(filters.chunks(500)) {
        let filters = some.iter().map(|filter| SubscribeFilter {
            filter: TopicFilter::new(filter).unwrap(),
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        });
        let subscribe = Subscribe {
            packet_id: packet_id(number),
            filters: filters.collect(),
            subscription_id: None,
            user_properties: Vec::new(),
        };
        client.say(Packet::Subscribe(subscribe)).await;
        match client.hear().await {
            Some(Packet::SubAck(answer)) => {
                assert_eq!(answer.packet_id.get(), number);
                reasons.extend(answer.reasons);
            }
            other => panic!("{other:?}"),
        }
    }
    reasons
}

/// A packet of a first byte and the rest.
fn raw(first: u8, rest: &[u8]) -> Vec<u8> {
    let length = u8::try_from(rest.len() % 128).unwrap() | 0x80;
    let length = [length, u8::try_from(rest.len() / 128).unwrap()];
    [&[first], &length[..], rest].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&length[..], text.as_bytes()].concat()
}

async fn closed(mut client: Client, reason: ReasonCode) {
    match client.hear().await {
        Some(Packet::Disconnect(why)) => assert_eq!(why.reason, reason),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.hear().await, None);
}
