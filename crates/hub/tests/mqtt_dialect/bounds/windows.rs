//! How much a client takes at once.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::NewCommand;
use outgate_core::identity::Actor;
use outgate_mqtt::packet::{Publish, ReasonCode, Version};
use outgate_mqtt::topics::TopicName;

use crate::client::{Client, connect, delivery, publish};
use crate::hub::Running;

#[tokio::test]
async fn no_more_is_on_its_way_to_a_client_than_its_receive_maximum() {
    let running = Running::start().await;
    let mut narrow = narrow(&running, |connect| {
        connect.receive_maximum = NonZeroU16::new(2).unwrap();
    })
    .await;
    narrow.subscribe("talk/#", 1).await;
    narrow.subscribe("devices/narrow/commands/#", 1).await;
    let mut one = running.connected(Version::V5, "one").await;
    one.publish_all((0..10).map(|_| publish("talk/a", "x", 1, 1)))
        .await;
    let device = "narrow".parse().unwrap();
    let command = NewCommand {
        name: "reboot".to_owned(),
        content_type: String::new(),
        properties: BTreeMap::new(),
        payload: Bytes::new(),
        lasts: Duration::from_secs(3_600),
    };
    let commands = &running.core().commands;
    commands
        .send(&Actor::hub(), &device, command)
        .await
        .unwrap();
    let mut under_way = vec![narrow.message().await, narrow.message().await];
    for left in (0..9).rev() {
        // Neither a message nor a command comes before there is room.
        narrow.ping().await;
        acknowledge(&mut narrow, &under_way.remove(0)).await;
        under_way.push(narrow.message().await);
        assert!(left < 9);
    }
    let topics = under_way.iter().map(|message| message.topic.clone());
    assert!(
        topics
            .flatten()
            .any(|topic| topic.starts_with("devices/narrow/commands/"))
    );
}

#[tokio::test]
async fn a_message_that_is_larger_than_a_client_takes_is_dropped_for_it_alone() {
    let running = Running::start().await;
    let mut narrow = narrow(&running, |connect| {
        connect.maximum_packet_size = NonZeroU32::new(100);
    })
    .await;
    narrow.subscribe("talk/#", 1).await;
    let mut wide = running.connected(Version::V5, "wide").await;
    wide.subscribe("talk/#", 1).await;
    let mut one = running.connected(Version::V5, "one").await;
    let topic = TopicName::new("talk/large").unwrap();
    let mut large = Publish::new(topic, Bytes::from(vec![b'x'; 200]));
    large.delivery = delivery(1, 1);
    one.publish(large).await;
    one.publish(publish("talk/small", "x", 1, 1)).await;
    assert_eq!(narrow.take().await.0, "talk/small");
    assert_eq!(wide.take().await.0, "talk/large");
    assert_eq!(running.dropped(), 1);
}

async fn narrow(
    running: &Running,
    with: impl FnOnce(&mut outgate_mqtt::packet::Connect),
) -> Client {
    let token = running.device("narrow").await;
    let mut connect = connect(Version::V5, "narrow", &token);
    with(&mut connect);
    let mut narrow = running.dial(Version::V5).await;
    assert_eq!(narrow.connect(connect).await.reason, ReasonCode::Success);
    narrow
}

async fn acknowledge(client: &mut Client, message: &Publish) {
    let packet_id = message.delivery.packet_id().unwrap();
    client.acknowledge(packet_id, ReasonCode::Success).await;
}
