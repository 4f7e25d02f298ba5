//! Events, commands, calls, twins, services; who may come in, and who is put out.

use std::collections::BTreeMap;

use bytes::Bytes;
use outgate_core::Refusal;
use outgate_core::commands::{CommandState, NewCommand};
use outgate_core::events::EventFilter;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Actor, Scope};
use outgate_core::limits::FAILED_LOGINS;
use outgate_mqtt::packet::{Acknowledgement, Packet, Publish, QoS, ReasonCode, Version};
use outgate_mqtt::topics::TopicName;
use serde_json::json;

use crate::client::{delivery, kept, packet_id, publish, text};
use crate::site::{HOUR, Site};

const VERSIONS: [Version; 2] = [Version::V3_1_1, Version::V5];

/// The longest that a call may be waited for.
const CALL_DEADLINE: std::time::Duration = std::time::Duration::from_secs(300);

#[tokio::test]
async fn an_event_is_kept_when_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    for (version, qos) in VERSIONS
        .into_iter()
        .flat_map(|version| [(version, 1), (version, 2)])
    {
        let mut one = site.device(version, "one").await;
        let reason = one
            .publish(publish("devices/one/events/door/opened", "now", qos, 7))
            .await;
        assert_eq!(reason, ReasonCode::Success);
        let newest = *site.core.events.newest().borrow();
        let filter = EventFilter {
            scope: Scope::All,
            device: None,
            prefix: None,
        };
        let taken = site
            .core
            .events
            .after(&filter, newest - 1, 10)
            .await
            .unwrap();
        assert_eq!(taken.events[0].name, "door/opened");
        assert_eq!(taken.events[0].payload, "now");
    }
}

#[tokio::test]
async fn an_event_of_qos_2_is_kept_once_though_its_acknowledgement_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let event = || publish("devices/one/events/once", "now", 2, 7);
    let lasting = || kept(site.connect(Version::V5, "one"), false);
    for _ in 0..2 {
        let mut one = site.dial(Version::V5);
        one.connect(lasting()).await;
        assert_eq!(one.publish(event()).await, ReasonCode::Success);
    }
    let copy = tempfile::tempdir().unwrap();
    let again = site.killed(copy.path()).await;
    let mut one = again.dial(Version::V5);
    assert!(one.connect(lasting()).await.session_present);
    assert_eq!(one.publish(event()).await, ReasonCode::Success);
    assert_eq!(*again.core.events.newest().borrow(), 1);
    // Once it is released the identifier is that of another message.
    let release = Acknowledgement::new(packet_id(7), ReasonCode::Success);
    one.say(Packet::PubRel(release)).await;
    assert!(matches!(one.hear().await, Some(Packet::PubComp(_))));
    assert_eq!(one.publish(event()).await, ReasonCode::Success);
    assert_eq!(*again.core.events.newest().borrow(), 2);
}

#[tokio::test]
async fn events_are_acknowledged_in_their_order_without_waiting_for_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = site.device(Version::V5, "one").await;
    for number in 1..=60 {
        let event = publish("devices/one/events/n", "x", 1, number);
        one.say(Packet::Publish(Box::new(event))).await;
    }
    for number in 1..=60 {
        match one.hear().await {
            Some(Packet::PubAck(answer)) => assert_eq!(answer.packet_id.get(), number),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_device_is_not_let_in_with_another_ones_token_and_publishes_nothing_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    for (version, expected) in [
        (Version::V5, ReasonCode::BadUserNameOrPassword),
        (Version::V3_1_1, ReasonCode::BadUserNameOrPassword),
    ] {
        let mut wrong = site.connect(version, "one");
        wrong.user_name = Some(text("two"));
        assert_eq!(site.dial(version).connect(wrong).await.reason, expected);
    }
    let mut one = site.device(Version::V5, "one").await;
    for topic in [
        "devices/two/events/x",
        "devices/one/commands/c/x",
        "other",
        "$SYS/x",
    ] {
        let reason = one.publish(publish(topic, "x", 1, 1)).await;
        assert_eq!(reason, ReasonCode::NotAuthorized, "{topic}");
    }
    for filter in [
        "#",
        "devices/#",
        "devices/two/#",
        "+/one/#",
        "$share/g/devices/two/x",
    ] {
        assert_eq!(
            one.subscribe(filter, 1).await,
            ReasonCode::NotAuthorized,
            "{filter}"
        );
    }
    let some = one.subscribe("devices/one/commands/+/reboot", 1).await;
    assert_eq!(some, ReasonCode::TopicFilterInvalid);
    // 3.1.1 has no words for it but the end of the connection.
    let mut old = site.device(Version::V3_1_1, "one").await;
    old.say(Packet::Publish(Box::new(publish("other", "x", 1, 1))))
        .await;
    assert_eq!(old.hear().await, None);
}

#[tokio::test]
async fn large_commands_and_events_all_arrive_at_the_lowest_quality_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let device: DeviceId = "one".parse().unwrap();
    let large = Bytes::from(vec![b'x'; 200_000]);
    let command = || NewCommand {
        payload: large.clone(),
        ..reboot()
    };
    let mut sent = Vec::new();
    for _ in 0..5 {
        let hub = Actor::hub();
        let command = site.core.commands.send(&hub, &device, command());
        sent.push(command.await.unwrap().id);
    }
    // They come before the answer to the subscription is read, and far more than is made ready.
    let mut one = site.device(Version::V5, "one").await;
    one.subscribe("devices/one/commands/#", 0).await;
    for id in &sent {
        let command = one.message().await;
        assert_eq!(command.payload, large);
        assert!(command.topic.unwrap().as_str().contains(id.as_str()));
    }
    // What was settled is on the disk soon after: a later write waits for it.
    one.publish(publish("devices/one/events/x", "x", 1, 1))
        .await;
    let hub = Actor::hub();
    for id in &sent {
        let kept = site.core.commands.get(&hub, &device, id).await;
        assert_eq!(kept.unwrap().state, CommandState::Completed);
    }

    let mut back = site.dial(Version::V5);
    back.connect(site.connect_service(true)).await;
    back.subscribe("events/#", 0).await;
    for number in 1..=8 {
        let topic = TopicName::new("devices/one/events/large").unwrap();
        let mut event = Publish::new(topic, large.clone());
        event.delivery = delivery(1, number);
        assert_eq!(one.publish(event).await, ReasonCode::Success);
    }
    for _ in 1..=8 {
        assert_eq!(back.message().await.payload, large);
    }
}

#[tokio::test]
async fn who_keeps_failing_to_log_in_is_made_to_wait_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let answer = async |connect| site.dial(Version::V5).connect(connect).await.reason;
    let mut wrong = site.connect(Version::V5, "two");
    wrong.user_name = Some(text("one"));
    for _ in 0..FAILED_LOGINS.burst {
        let reason = answer(wrong.clone()).await;
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    }
    assert_eq!(answer(wrong).await, ReasonCode::ServerBusy);
    let (one, two) = ["one", "two"]
        .map(|name| site.connect(Version::V5, name))
        .into();
    assert_eq!(answer(one).await, ReasonCode::ServerBusy);
    assert_eq!(answer(two).await, ReasonCode::Success);
    site.core.clock.advance(FAILED_LOGINS.every);
    let one = site.connect(Version::V5, "one");
    assert_eq!(answer(one).await, ReasonCode::Success);
}

#[tokio::test]
async fn a_command_comes_at_least_once_until_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let device: DeviceId = "one".parse().unwrap();
    let hub = Actor::hub();
    let sent = site
        .core
        .commands
        .send(&hub, &device, reboot())
        .await
        .unwrap();
    let mut first = site.device(Version::V5, "one").await;
    assert_eq!(
        first.subscribe("devices/one/commands/#", 1).await,
        ReasonCode::GrantedQos1
    );
    let message = first.message().await;
    let topic = format!("devices/one/commands/{}/reboot", sent.id);
    assert_eq!(message.topic.as_deref(), Some(topic.as_str()));
    drop(first);

    let mut second = site.device(Version::V3_1_1, "one").await;
    second.subscribe("devices/one/commands/#", 1).await;
    assert_eq!(second.take().await, (topic, Bytes::from_static(b"now")));
    // What was settled is handed in before this is answered, and a later write waits for it.
    second.ping().await;
    let refused = site
        .core
        .commands
        .send(&hub, &device, reboot())
        .await
        .unwrap();
    let mut third = site.device(Version::V5, "one").await;
    third.subscribe("devices/one/commands/#", 1).await;
    let message = third.message().await;
    assert!(message.topic.unwrap().contains(refused.id.as_str()));
    let number = message.delivery.packet_id().unwrap();
    third
        .acknowledge(number, ReasonCode::ImplementationSpecificError)
        .await;
    third.ping().await;
    // What was settled is on the disk soon after: a later write waits for it.
    third
        .publish(publish("devices/one/events/x", "x", 1, 1))
        .await;
    for (id, state) in [
        (&sent.id, CommandState::Completed),
        (&refused.id, CommandState::Rejected),
    ] {
        assert_eq!(
            site.core
                .commands
                .get(&hub, &device, id)
                .await
                .unwrap()
                .state,
            state
        );
    }
}

#[tokio::test]
async fn a_call_is_answered_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let device: DeviceId = "one".parse().unwrap();
    for version in VERSIONS {
        let mut one = site.device(version, "one").await;
        one.subscribe("devices/one/calls/#", 1).await;
        let hub = Actor::hub();
        let payload = Bytes::from_static(b"?");
        let calls = site.core.calls.clone();
        let called = device.clone();
        let answer = tokio::spawn(async move {
            calls
                .call(
                    &hub,
                    &called,
                    "ask".to_owned(),
                    String::new(),
                    payload,
                    HOUR / 60,
                )
                .await
        });
        let message = one.message().await;
        let topic = match version {
            Version::V5 => {
                assert!(message.properties.correlation_data.is_some());
                message.properties.response_topic.clone().unwrap()
            }
            Version::V3_1 | Version::V3_1_1 => {
                let topic = message.topic.unwrap();
                let call = topic.split('/').nth(3).unwrap();
                TopicName::new(&format!("devices/one/answers/{call}/418")).unwrap()
            }
        };
        let mut reply = publish(&topic, "!", 0, 1);
        let status = (text("status"), text("418"));
        reply.properties.user_properties = vec![status];
        if version != Version::V5 {
            reply.properties.user_properties.clear();
        }
        one.say(Packet::Publish(Box::new(reply))).await;
        let answer = answer.await.unwrap().unwrap();
        assert_eq!((answer.status, &answer.payload[..]), (418, &b"!"[..]));
    }
}

#[tokio::test]
async fn a_device_that_takes_no_calls_is_called_in_vain_and_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let device: DeviceId = "one".parse().unwrap();
    let call = || async {
        let (method, payload) = ("count".to_owned(), Bytes::new());
        let calls = &site.core.calls;
        calls
            .call(
                &Actor::hub(),
                &device,
                method,
                String::new(),
                payload,
                CALL_DEADLINE,
            )
            .await
    };
    let mut one = site.device(Version::V5, "one").await;
    one.subscribe("devices/one/commands/#", 1).await;
    assert!(matches!(call().await, Err(Refusal::TakesNoCalls { .. })));
    one.subscribe("devices/one/calls/#", 1).await;
    let (answer, ()) = tokio::join!(call(), async {
        let (topic, _) = one.take().await;
        let id = topic.split('/').nth(3).unwrap().to_owned();
        let answer = publish(&format!("devices/one/answers/{id}"), "12", 1, 1);
        one.publish(answer).await;
    });
    assert_eq!(answer.unwrap().payload, "12");
}

#[tokio::test]
async fn a_twin_is_read_reported_and_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let device: DeviceId = "one".parse().unwrap();
    let mut one = site.device(Version::V3_1_1, "one").await;
    one.subscribe("devices/one/twin/+", 1).await;
    let (topic, _) = one.take().await;
    assert_eq!(topic, "devices/one/twin/desired");
    let patch = json!({ "interval": 5 });
    site.core
        .twins
        .desire(&Actor::hub(), &device, patch, None)
        .await
        .unwrap();
    let (topic, payload) = one.take().await;
    let expected = json!({ "version": 1, "document": { "interval": 5 } });
    assert_eq!(
        (topic.as_str(), value(&payload)),
        ("devices/one/twin/desired", expected)
    );

    let report = publish("devices/one/twin/reported", r#"{"interval":4}"#, 0, 1);
    one.say(Packet::Publish(Box::new(report))).await;
    let (topic, payload) = one.take().await;
    let expected = json!({ "status": 200, "version": 1 });
    assert_eq!(
        (topic.as_str(), value(&payload)),
        ("devices/one/twin/result", expected)
    );
    let broken = publish("devices/one/twin/reported", "[", 0, 1);
    one.say(Packet::Publish(Box::new(broken))).await;
    assert_eq!(value(&one.take().await.1)["status"], 400);

    one.say(Packet::Publish(Box::new(publish(
        "devices/one/twin/get",
        "",
        0,
        1,
    ))))
    .await;
    let (topic, payload) = one.take().await;
    assert_eq!(topic, "devices/one/twin/document");
    assert_eq!(value(&payload)["reported"]["document"]["interval"], 4);
}

#[tokio::test]
async fn a_service_has_its_own_place_and_loses_nothing_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let site = Site::new(folder.path()).await;
        let mut back = site.dial(Version::V5);
        back.connect(site.connect_service(true)).await;
        assert_eq!(
            back.subscribe("events/s/+/door/#", 2).await,
            ReasonCode::GrantedQos1
        );
        assert_eq!(back.subscribe("talk/#", 1).await, ReasonCode::NotAuthorized);
        let mut one = site.device(Version::V5, "one").await;
        one.publish(publish("devices/one/events/door/1", "a", 1, 1))
            .await;
        one.publish(publish("devices/one/events/window", "-", 1, 2))
            .await;
        one.publish(publish("devices/one/events/door/2", "b", 1, 3))
            .await;
        assert_eq!(back.take().await.0, "events/s/one/door/1");
        // Not acknowledged:
        assert_eq!(back.message().await.payload, "b");
        back.ping().await;
        site
    };
    let copy = tempfile::tempdir().unwrap();
    let site = before.killed(copy.path()).await;
    let mut back = site.dial(Version::V5);
    let answer = back.connect(site.connect_service(false)).await;
    assert!(answer.session_present);
    let mut seen = back.take().await;
    if seen.1 == "a" {
        // Its place may not have been on the disk yet.
        seen = back.take().await;
    }
    assert_eq!(seen.1, "b");
}

#[tokio::test]
async fn a_revoked_device_is_closed_at_once_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = site.device(Version::V5, "one").await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/will", 1).await;
    let mut with_will = site.connect(Version::V5, "one");
    with_will.client_id = text("other");
    with_will.will = Some(outgate_mqtt::packet::Will {
        topic: TopicName::new("talk/will").unwrap(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay: 0,
        properties: outgate_mqtt::packet::PublishProperties::default(),
    });
    let mut other = site.dial(Version::V5);
    other.connect(with_will).await;
    let device: DeviceId = "one".parse().unwrap();
    let revoked = site
        .core
        .identity
        .revoke_device(&Actor::hub(), &device)
        .await
        .unwrap();
    assert_eq!(
        (revoked.connections.ended, revoked.connections.lingering),
        (2, 0)
    );
    for client in [&mut one, &mut other] {
        match client.hear().await {
            Some(Packet::Disconnect(why)) => {
                assert_eq!(why.reason, ReasonCode::AdministrativeAction);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.hear().await, None);
    }
    let again = site.connect(Version::V5, "one");
    let answer = site.dial(Version::V5).connect(again).await;
    assert_eq!(answer.reason, ReasonCode::NotAuthorized);
    // Its will is not published: the next thing that comes is something else.
    let mine = publish("talk/will", "mine", 0, 1);
    two.say(Packet::Publish(Box::new(mine))).await;
    assert_eq!(two.take().await.1, "mine");
}

pub(crate) fn reboot() -> NewCommand {
    NewCommand {
        name: "reboot".to_owned(),
        content_type: "text/plain".to_owned(),
        properties: BTreeMap::new(),
        payload: Bytes::from_static(b"now"),
        lasts: HOUR,
    }
}

fn value(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap()
}
