//! Messages between devices.

use std::time::Duration;

use bytes::Bytes;
use outgate_mqtt::packet::{
    Acknowledgement, Packet, PublishProperties, QoS, ReasonCode, Version, Will,
};
use outgate_mqtt::topics::TopicName;

use crate::client::{kept, packet_id, publish, text};
use crate::site::Site;

#[tokio::test]
async fn a_message_reaches_another_device_with_the_lower_quality_of_service() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = site.device(Version::V5, "one").await;
    let mut two = site.device(Version::V3_1_1, "two").await;
    two.subscribe("talk/+", 1).await;
    for (sent, got) in [
        (0, QoS::AtMostOnce),
        (1, QoS::AtLeastOnce),
        (2, QoS::AtLeastOnce),
    ] {
        let message = publish("talk/a", "hello", sent, 1);
        one.say(Packet::Publish(Box::new(message))).await;
        let heard = two.message().await;
        assert_eq!(
            (heard.delivery.qos(), &heard.payload[..]),
            (got, &b"hello"[..])
        );
        if let Some(packet_id) = heard.delivery.packet_id() {
            two.acknowledge(packet_id, ReasonCode::Success).await;
        }
        if sent > 0 {
            one.hear().await.unwrap();
        }
        if sent == 2 {
            one.say(Packet::PubRel(Acknowledgement::new(
                packet_id(1),
                ReasonCode::Success,
            )))
            .await;
            one.hear().await.unwrap();
        }
    }
    let nobody = one.publish(publish("talk/a/b", "x", 1, 1)).await;
    assert_eq!(nobody, ReasonCode::NoMatchingSubscribers);
}

#[tokio::test]
async fn the_last_word_on_a_topic_is_retained_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let site = Site::new(folder.path()).await;
        let mut one = site.device(Version::V5, "one").await;
        for (topic, payload) in [("talk/a", "1"), ("talk/b", "2"), ("talk/b", "")] {
            let mut message = publish(topic, payload, 1, 1);
            message.retain = true;
            one.publish(message).await;
        }
        site
    };
    let copy = tempfile::tempdir().unwrap();
    let site = before.killed(copy.path()).await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    let heard = two.message().await;
    assert!(heard.retain);
    assert_eq!(heard.payload, "1");
    two.ping().await;
}

#[tokio::test]
async fn a_session_that_is_kept_gets_what_came_meanwhile_in_order_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let site = Site::new(folder.path()).await;
        let mut two = site.dial(Version::V5);
        two.connect(kept(site.connect(Version::V5, "two"), true))
            .await;
        two.subscribe("talk/#", 2).await;
        let mut one = site.device(Version::V5, "one").await;
        one.publish(publish("talk/a", "0", 1, 1)).await;
        // Sent and not acknowledged: it comes again.
        assert_eq!(two.message().await.payload, "0");
        drop(two);
        for payload in ["1", "2", "3"] {
            one.publish(publish("talk/a", payload, 1, 1)).await;
        }
        one.say(Packet::Publish(Box::new(publish("talk/a", "lost", 0, 1))))
            .await;
        one.ping().await;
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
    for payload in ["0", "1", "2", "3"] {
        let heard = two.message().await;
        assert_eq!(heard.payload, payload);
        two.acknowledge(heard.delivery.packet_id().unwrap(), ReasonCode::Success)
            .await;
    }
    let mut one = site.device(Version::V5, "one").await;
    one.publish(publish("talk/a", "4", 1, 1)).await;
    assert_eq!(two.take().await.1, "4");
    drop(two);
    let mut two = site.dial(Version::V5);
    assert!(
        !two.connect(kept(site.connect(Version::V5, "two"), true))
            .await
            .session_present
    );
    one.publish(publish("talk/a", "nobody", 1, 1)).await;
    two.ping().await;
}

#[tokio::test]
async fn exactly_once_holds_over_a_restart_in_the_midst() {
    let folder = tempfile::tempdir().unwrap();
    let (before, number) = {
        let site = Site::new(folder.path()).await;
        let mut two = site.dial(Version::V5);
        two.connect(kept(site.connect(Version::V5, "two"), true))
            .await;
        two.subscribe("talk/#", 2).await;
        let mut one = site.dial(Version::V5);
        one.connect(kept(site.connect(Version::V5, "one"), true))
            .await;
        one.publish(publish("talk/a", "once", 2, 5)).await;
        let heard = two.message().await;
        let number = heard.delivery.packet_id().unwrap();
        two.say(Packet::PubRec(Acknowledgement::new(
            number,
            ReasonCode::Success,
        )))
        .await;
        assert!(matches!(two.hear().await, Some(Packet::PubRel(_))));
        (site, number)
    };
    let copy = tempfile::tempdir().unwrap();
    let site = before.killed(copy.path()).await;
    let mut two = site.dial(Version::V5);
    assert!(
        two.connect(kept(site.connect(Version::V5, "two"), false))
            .await
            .session_present
    );
    // The hub goes on where it was: with the release.
    match two.hear().await {
        Some(Packet::PubRel(release)) => assert_eq!(release.packet_id, number),
        other => panic!("{other:?}"),
    }
    two.say(Packet::PubComp(Acknowledgement::new(
        number,
        ReasonCode::Success,
    )))
    .await;
    // The publisher has not heard that it was taken, and says it again.
    let mut one = site.dial(Version::V5);
    assert!(
        one.connect(kept(site.connect(Version::V5, "one"), false))
            .await
            .session_present
    );
    assert_eq!(
        one.publish(publish("talk/a", "once", 2, 5)).await,
        ReasonCode::Success
    );
    one.say(Packet::PubRel(Acknowledgement::new(
        packet_id(5),
        ReasonCode::Success,
    )))
    .await;
    assert!(matches!(one.hear().await, Some(Packet::PubComp(_))));
    // The identifier is free, and a new message under it is a new message.
    one.publish(publish("talk/a", "another", 2, 5)).await;
    assert_eq!(two.message().await.payload, "another");
}

#[tokio::test]
async fn a_second_connection_of_the_same_name_takes_the_place_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut first = site.device(Version::V5, "one").await;
    let mut second = site.device(Version::V5, "one").await;
    match first.hear().await {
        Some(Packet::Disconnect(why)) => assert_eq!(why.reason, ReasonCode::SessionTakenOver),
        other => panic!("{other:?}"),
    }
    assert_eq!(first.hear().await, None);
    // Another device that calls itself the same takes nobody's place.
    let mut connect = site.connect(Version::V5, "two");
    connect.client_id = text("one");
    let mut two = site.dial(Version::V5);
    two.connect(connect).await;
    second.ping().await;
    two.ping().await;
}

#[tokio::test]
async fn a_will_is_published_when_its_client_breaks_off_and_not_when_it_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    let with_will = |payload: &'static str, delay, lasts| {
        let mut connect = site.connect(Version::V5, "one");
        connect.session_expiry = lasts;
        connect.will = Some(Will {
            topic: TopicName::new("talk/will").unwrap(),
            payload: Bytes::from_static(payload.as_bytes()),
            qos: QoS::AtLeastOnce,
            retain: false,
            delay,
            properties: PublishProperties::default(),
        });
        connect
    };
    let mut polite = site.dial(Version::V5);
    polite.connect(with_will("polite", 0, 0)).await;
    let goodbye = outgate_mqtt::packet::Disconnect::new(ReasonCode::Success);
    polite.say(Packet::Disconnect(goodbye)).await;
    assert_eq!(polite.hear().await, None);

    let mut rude = site.dial(Version::V5);
    rude.connect(with_will("rude", 0, 0)).await;
    drop(rude);
    assert_eq!(two.take().await.1, "rude");

    let mut back_in_time = site.dial(Version::V5);
    back_in_time.connect(with_will("late", 60, 600)).await;
    drop(back_in_time);
    let mut again = site.dial(Version::V5);
    let mut connect = with_will("later", 60, 600);
    connect.clean_start = false;
    assert!(again.connect(connect).await.session_present);
    site.core.clock.advance(Duration::from_secs(61));
    site.mqtt.sweep().await;
    two.ping().await;
}

#[tokio::test]
async fn those_who_share_a_subscription_get_each_message_once_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut a = site.device(Version::V5, "two").await;
    let mut connect = site.connect(Version::V5, "two");
    connect.client_id = text("b");
    let mut b = site.dial(Version::V5);
    b.connect(connect).await;
    a.subscribe("$share/g/talk/#", 1).await;
    b.subscribe("$share/g/talk/#", 1).await;
    let mut one = site.device(Version::V5, "one").await;
    for payload in ["1", "2", "3", "4"] {
        one.publish(publish("talk/x", payload, 1, 1)).await;
    }
    let mut heard = Vec::new();
    for client in [&mut a, &mut b] {
        heard.push(client.take().await.1);
        heard.push(client.take().await.1);
        client.ping().await;
    }
    heard.sort();
    assert_eq!(heard, ["1", "2", "3", "4"]);
}
