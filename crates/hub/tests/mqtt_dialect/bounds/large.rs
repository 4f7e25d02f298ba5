//! Many retained messages.

use std::collections::BTreeSet;

use outgate_mqtt::packet::{Publish, ReasonCode, Version};

use crate::client::publish;
use crate::hub::Running;

/// The most retained messages of a device.
const OF_DEVICE: usize = 1_000;

#[tokio::test]
async fn beyond_its_retained_messages_a_device_is_refused_and_all_there_are_arrive() {
    let running = Running::start().await;
    for device in ["one", "two"] {
        let mut client = running.connected(Version::V5, device).await;
        let messages = (0..OF_DEVICE).map(|number| retained(&format!("talk/{device}/{number}")));
        client.publish_all(messages).await;
        let beyond = client.publish(retained(&format!("talk/{device}/x"))).await;
        assert_eq!(beyond, ReasonCode::QuotaExceeded);
        // On an old topic there may be something new.
        let again = client.publish(retained(&format!("talk/{device}/0"))).await;
        assert!(!again.is_failure(), "{again:?}");
    }
    let mut three = running.connected(Version::V3_1_1, "three").await;
    three.subscribe("talk/#", 1).await;
    let mut seen = BTreeSet::new();
    while seen.len() < 2 * OF_DEVICE {
        let message = three.message().await;
        assert!(message.retain);
        let packet_id = message.delivery.packet_id().unwrap();
        three.acknowledge(packet_id, ReasonCode::Success).await;
        assert!(seen.insert(message.topic.unwrap().to_string()));
    }
    three.ping().await;
    assert_eq!(running.dropped(), 0);
}

fn retained(topic: &str) -> Publish {
    let mut message = publish(topic, "x", 1, 1);
    message.retain = true;
    message
}
