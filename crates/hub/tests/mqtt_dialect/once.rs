//! What is taken once, what is sent at least once, and what is not taken at all.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::CommandState;
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Scope};
use outgate_mqtt::packet::{
    Acknowledgement, Connect, Delivery, Packet, Publish, QoS, ReasonCode, Version,
};
use serde_json::{Value, json};

use crate::client::{Client, kept, packet_id, publish};
use crate::model::reboot;
use crate::site::{Site, hold_up};

/// A CONNECT of the device `one`, whose session is kept.
fn lasting(site: &Site, version: Version, clean: bool) -> Connect {
    kept(site.connect(version, "one"), clean)
}

async fn begin(site: &Site) -> Client {
    let mut one = site.dial(Version::V5);
    one.connect(lasting(site, Version::V5, true)).await;
    one
}

async fn resume(site: &Site) -> Client {
    let mut one = site.dial(Version::V5);
    let answer = one.connect(lasting(site, Version::V5, false)).await;
    assert!(answer.session_present);
    one
}

/// The same, said once more.
fn again(mut publish: Publish) -> Publish {
    let packet_id = publish.delivery.packet_id().unwrap();
    publish.delivery = Delivery::ExactlyOnce {
        packet_id,
        duplicate: true,
    };
    publish
}

/// Lets go of a packet; the hub must know of it.
async fn release(client: &mut Client, number: u16) {
    let release = Acknowledgement::new(packet_id(number), ReasonCode::Success);
    client.say(Packet::PubRel(release)).await;
    match client.hear().await {
        Some(Packet::PubComp(answer)) => assert_eq!(answer.reason, ReasonCode::Success),
        other => panic!("{other:?}"),
    }
}

async fn events(site: &Site) -> Vec<Bytes> {
    let filter = EventFilter {
        scope: Scope::All,
        device: None,
        prefix: None,
    };
    let latest = site.core.events.latest(&filter, 100).await.unwrap();
    let payloads = latest.into_iter().rev().map(|event| event.payload);
    payloads.collect()
}

async fn reported(site: &Site) -> Value {
    let device: DeviceId = "one".parse().unwrap();
    let twin = site.core.twins.get(&Actor::hub(), &device).await.unwrap();
    twin.reported.document
}

#[tokio::test]
async fn what_was_on_its_way_to_the_disk_when_its_connection_broke_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = begin(&site).await;
    let event = publish("devices/one/events/x", "once", 2, 5);
    let report = publish("devices/one/twin/reported", r#"{"n":1}"#, 2, 6);
    let disk = hold_up(&site.core).await;
    for said in [&event, &report] {
        one.say(Packet::Publish(Box::new(said.clone()))).await;
    }
    // Both have been handed in when this comes.
    one.ping().await;
    drop(one);
    drop(disk);
    let mut one = resume(&site).await;
    for (number, said) in [(5, event), (6, report)] {
        assert_eq!(one.publish(again(said)).await, ReasonCode::Success);
        release(&mut one, number).await;
    }
    assert_eq!(events(&site).await, ["once"]);
}

#[tokio::test]
async fn a_report_that_is_said_again_does_not_undo_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = begin(&site).await;
    let first = publish("devices/one/twin/reported", r#"{"n":1}"#, 2, 6);
    assert_eq!(one.publish(first.clone()).await, ReasonCode::Success);
    let second = publish("devices/one/twin/reported", r#"{"n":2}"#, 1, 7);
    assert_eq!(one.publish(second).await, ReasonCode::Success);
    drop(one);
    let mut one = resume(&site).await;
    assert_eq!(one.publish(again(first)).await, ReasonCode::Success);
    release(&mut one, 6).await;
    assert_eq!(reported(&site).await, json!({ "n": 2 }));
}

#[tokio::test]
async fn the_hub_knows_of_an_answer_and_a_question_until_they_are_released() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = begin(&site).await;
    one.subscribe("devices/one/twin/document", 1).await;
    one.subscribe("devices/one/calls/#", 1).await;
    let calls = site.core.calls.clone();
    let answer = tokio::spawn(async move {
        let (hub, device) = (Actor::hub(), "one".parse().unwrap());
        let deadline = Duration::from_secs(60);
        let (method, kind) = ("ask".to_owned(), String::new());
        let call = calls.call(&hub, &device, method, kind, Bytes::new(), deadline);
        call.await
    });
    let topic = one.message().await.properties.response_topic.clone();
    let reply = publish(&topic.unwrap(), "!", 2, 8);
    assert_eq!(one.publish(reply.clone()).await, ReasonCode::Success);
    assert_eq!(answer.await.unwrap().unwrap().payload, "!");
    let question = publish("devices/one/twin/get", "", 2, 9);
    one.say(Packet::Publish(Box::new(question))).await;
    let mut heard = [one.hear().await.unwrap(), one.hear().await.unwrap()];
    // Whichever of both comes first.
    heard.sort_by_key(|packet| matches!(packet, Packet::Publish(_)));
    assert!(matches!(heard, [Packet::PubRec(_), Packet::Publish(_)]));
    drop(one);

    let mut one = resume(&site).await;
    // What was not acknowledged comes again where it is the session's; these are the hub's own.
    assert_eq!(one.publish(again(reply)).await, ReasonCode::Success);
    for number in [8, 9] {
        release(&mut one, number).await;
    }
}

#[tokio::test]
async fn what_the_hub_itself_says_is_never_of_the_highest_quality() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let (hub, device) = (Actor::hub(), "one".parse::<DeviceId>().unwrap());
    let mut one = begin(&site).await;
    assert_eq!(
        one.subscribe("devices/one/#", 2).await,
        ReasonCode::GrantedQos2
    );
    let desired = one.message().await;
    assert_eq!(desired.delivery.qos(), QoS::AtLeastOnce);
    one.acknowledge(desired.delivery.packet_id().unwrap(), ReasonCode::Success)
        .await;
    // The first is not acknowledged before the break: nothing that follows may be taken for it.
    let mut sent = Vec::new();
    for _ in 0..2 {
        let command = site.core.commands.send(&hub, &device, reboot()).await;
        sent.push(command.unwrap().id);
    }
    let first = one.message().await;
    assert_eq!(first.delivery.qos(), QoS::AtLeastOnce);
    drop(one);
    let mut one = resume(&site).await;
    let mut topics = Vec::new();
    while topics.len() < 3 {
        let message = one.message().await;
        assert_eq!(message.delivery.qos(), QoS::AtLeastOnce);
        one.acknowledge(message.delivery.packet_id().unwrap(), ReasonCode::Success)
            .await;
        topics.push(message.topic.unwrap().to_string());
    }
    for id in &sent {
        assert!(topics.iter().any(|topic| topic.contains(id.as_str())));
    }
    // What was settled is handed in before this is answered, and a later write waits for it.
    one.ping().await;
    let event = publish("devices/one/events/x", "x", 1, 1);
    one.publish(event).await;
    for id in &sent {
        let command = site.core.commands.get(&hub, &device, id).await.unwrap();
        assert_eq!(command.state, CommandState::Completed);
    }
}

#[tokio::test]
async fn what_can_never_be_taken_does_not_keep_a_client_of_the_old_version_from_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let too_long = format!("devices/one/events/{}", "x".repeat(300));
    for qos in [1, 2] {
        let mut old = site.dial(Version::V3_1_1);
        old.connect(lasting(&site, Version::V3_1_1, false)).await;
        old.subscribe("devices/one/twin/result", 1).await;
        let reason = old.publish(publish(&too_long, "x", qos, 3)).await;
        assert_eq!(reason, ReasonCode::Success);
        let report = publish("devices/one/twin/reported", "[", qos, 4);
        assert_eq!(old.publish(report).await, ReasonCode::Success);
        let (topic, told) = old.take().await;
        assert_eq!(topic, "devices/one/twin/result");
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["status"], 400);
        let event = publish("devices/one/events/fine", "taken", 1, 5);
        assert_eq!(old.publish(event).await, ReasonCode::Success);
    }
    assert_eq!(events(&site).await, ["taken", "taken"]);

    let mut new = site.device(Version::V5, "one").await;
    let reason = new.publish(publish(&too_long, "x", 1, 3)).await;
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    let report = publish("devices/one/twin/reported", "[", 1, 4);
    let reason = new.publish(report).await;
    assert_eq!(reason, ReasonCode::PayloadFormatInvalid);
}
