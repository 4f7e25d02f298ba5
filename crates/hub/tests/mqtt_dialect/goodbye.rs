//! Clients that say goodbye right after their acknowledgement, in one breath.

use outgate_core::commands::CommandState;
use outgate_core::id::DeviceId;
use outgate_core::identity::Actor;
use outgate_mqtt::packet::{ReasonCode, Version};

use crate::client::{Client, publish};
use crate::model::reboot;
use crate::site::Site;

/// Waits until the hub has closed.
async fn closed(mut client: Client) {
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn a_command_is_settled_whose_acknowledgement_is_the_last_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let (hub, device) = (Actor::hub(), "one".parse::<DeviceId>().unwrap());
    for version in [Version::V3_1_1, Version::V5] {
        let sent = site.core.commands.send(&hub, &device, reboot()).await;
        let sent = sent.unwrap();
        let mut one = site.device(version, "one").await;
        one.subscribe("devices/one/commands/#", 1).await;
        let packet = one.message().await.delivery.packet_id().unwrap();
        one.acknowledge_and_leave(&[packet]).await;
        closed(one).await;
        // It was handed in before the connection closed: a later write waits for it.
        let mut again = site.device(version, "one").await;
        again
            .publish(publish("devices/one/events/x", "x", 1, 1))
            .await;
        let kept = site.core.commands.get(&hub, &device, &sent.id).await;
        assert_eq!(kept.unwrap().state, CommandState::Completed, "{version:?}");
    }
}

#[tokio::test]
async fn a_service_is_not_told_again_what_it_has_acknowledged_last() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut back = site.dial(Version::V5);
    back.connect(site.connect_service(true)).await;
    back.subscribe("events/s/+/door/#", 1).await;
    let mut one = site.device(Version::V5, "one").await;
    for (number, text) in (1..).zip(["a", "b", "c"]) {
        one.publish(publish("devices/one/events/door/1", text, 1, number))
            .await;
    }
    let mut packets = Vec::new();
    for _ in 0..3 {
        packets.push(back.message().await.delivery.packet_id().unwrap());
    }
    back.acknowledge_and_leave(&packets).await;
    closed(back).await;
    one.publish(publish("devices/one/events/door/1", "d", 1, 4))
        .await;
    let mut back = site.dial(Version::V5);
    let answer = back.connect(site.connect_service(false)).await;
    assert_eq!(answer.reason, ReasonCode::Success);
    assert!(answer.session_present);
    assert_eq!(back.take().await.1, "d");
}
