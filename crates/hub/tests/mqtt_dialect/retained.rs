//! The last word on a topic: on the disk before anybody sees it, and all of it for who subscribes.

use std::sync::mpsc::Sender;
use std::time::Duration;

use outgate_core::id::DeviceId;
use outgate_core::sessions::{Ending, Selector};
use outgate_mqtt::packet::{Packet, Publish, QoS, ReasonCode, Version};

use crate::client::{Client, kept, publish};
use crate::site::{Site, hold_up};

/// More than a mailbox holds.
const MANY: usize = 1_500;

fn retained(topic: &str, payload: &'static str, qos: u8) -> Publish {
    let mut message = publish(topic, payload, qos, 1);
    message.retain = true;
    message
}

#[tokio::test]
async fn a_retained_message_is_seen_only_once_it_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let ([_one, mut two], disk) = with_a_new_one_on_its_way(&site).await;
    // Neither the new one, nor the old one that is about to go.
    two.ping().await;
    drop(disk);
    let (topic, payload) = two.take().await;
    assert_eq!((topic.as_str(), &payload[..]), ("talk/a", &b"new"[..]));
    two.ping().await;
}

#[tokio::test]
async fn a_retained_message_that_does_not_reach_the_disk_is_never_seen() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let ([_one, mut two], disk) = with_a_new_one_on_its_way(&site).await;
    let device: DeviceId = "one".parse().unwrap();
    let who = Selector::Device(device);
    let patience = Duration::from_secs(20);
    site.core
        .sessions
        .end(&who, Ending::Revoked, patience)
        .await;
    drop(disk);
    assert_eq!(two.take().await.1, "old");
    two.ping().await;
}

#[tokio::test]
async fn all_retained_messages_arrive_though_they_are_more_than_a_mailbox_holds() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    fill(&site).await;
    for qos in [0, 1] {
        let mut two = site.device(Version::V5, "two").await;
        two.subscribe("talk/#", qos).await;
        for number in 0..MANY {
            let message = two.message().await;
            assert!(message.retain);
            assert_eq!(message.delivery.qos(), QoS::from_number(qos).unwrap());
            assert_eq!(message.topic.as_deref(), Some(&*topic(number)));
            acknowledge(&mut two, &message).await;
        }
        two.ping().await;
    }
}

#[tokio::test]
async fn what_is_left_of_retained_messages_comes_over_a_new_connection_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let before = {
        let site = Site::new(folder.path()).await;
        fill(&site).await;
        let mut two = site.dial(Version::V5);
        two.connect(kept(site.connect(Version::V5, "two"), true))
            .await;
        assert_eq!(two.subscribe("talk/#", 1).await, ReasonCode::GrantedQos1);
        for _ in 0..100 {
            seen.insert(two.take().await.0);
        }
        drop(two);
        let mut two = site.dial(Version::V5);
        assert!(
            two.connect(kept(site.connect(Version::V5, "two"), false))
                .await
                .session_present
        );
        for _ in 0..100 {
            seen.insert(two.take().await.0);
        }
        site
    };
    let copy = tempfile::tempdir().unwrap();
    let site = before.killed(copy.path()).await;
    let mut two = site.dial(Version::V5);
    assert!(
        two.connect(kept(site.connect(Version::V5, "two"), false))
            .await
            .session_present
    );
    while seen.len() < MANY {
        seen.insert(two.take().await.0);
    }
}

#[tokio::test]
async fn what_changes_while_retained_messages_are_handed_over_is_never_followed_by_the_older() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    fill(&site).await;
    let mut one = site.device(Version::V5, "one").await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    // Nothing is acknowledged yet, so most has not been handed over.
    let first = two.message().await;
    let late = topic(MANY - 1);
    one.publish(retained(&late, "changed", 1)).await;
    acknowledge(&mut two, &first).await;
    let mut of_late = Vec::new();
    for _ in 1..MANY {
        let message = two.message().await;
        acknowledge(&mut two, &message).await;
        if message.topic.as_deref() == Some(&*late) {
            of_late.push(message.payload.clone());
        }
    }
    two.ping().await;
    assert_eq!(of_late, ["changed"]);
}

/// The devices, after `one` has retained `old` and then `new`, which waits for the disk, and `two`
/// has subscribed; and the disk, which goes on when that is dropped.
async fn with_a_new_one_on_its_way(site: &Site) -> ([Client; 2], Sender<()>) {
    let mut one = site.device(Version::V5, "one").await;
    one.publish(retained("talk/a", "old", 1)).await;
    let mut two = site.device(Version::V5, "two").await;
    let disk = hold_up(&site.core).await;
    one.say(Packet::Publish(Box::new(retained("talk/a", "new", 0))))
        .await;
    one.ping().await;
    two.subscribe("talk/#", 1).await;
    ([one, two], disk)
}

fn topic(number: usize) -> String {
    format!("talk/{number:05}")
}

/// As many retained messages as two devices may have.
async fn fill(site: &Site) {
    for (device, numbers) in [("one", 0..MANY / 2), ("two", MANY / 2..MANY)] {
        let mut client = site.device(Version::V5, device).await;
        client
            .publish_all(numbers.map(|number| retained(&topic(number), "x", 1)))
            .await;
    }
}

async fn acknowledge(client: &mut Client, message: &Publish) {
    if let Some(packet_id) = message.delivery.packet_id() {
        client.acknowledge(packet_id, ReasonCode::Success).await;
    }
}
