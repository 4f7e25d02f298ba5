//! What time brings.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::messages::Kept;
use outgate_mqtt::packet::{Connect, Packet, PublishProperties, QoS, ReasonCode, Version, Will};
use outgate_mqtt::topics::TopicName;

use crate::client::{Client, publish};
use crate::site::Site;

#[tokio::test]
async fn a_session_ends_when_its_time_is_over_with_all_that_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    for swept in [false, true] {
        let mut two = site.dial(Version::V5);
        assert!(!two.connect(kept(&site, 60)).await.session_present);
        two.subscribe("talk/#", 1).await;
        leave(&site, two).await;
        let mut one = site.device(Version::V5, "one").await;
        assert_eq!(
            one.publish(publish("talk/a", "x", 1, 1)).await,
            ReasonCode::Success
        );
        site.core.clock.advance(Duration::from_secs(61));
        if swept {
            site.mqtt.sweep().await;
            assert!(
                site.core
                    .messages
                    .load()
                    .await
                    .unwrap()
                    .mailboxes
                    .is_empty()
            );
            let nobody = one.publish(publish("talk/a", "x", 1, 1)).await;
            assert_eq!(nobody, ReasonCode::NoMatchingSubscribers);
        }
        let mut two = site.dial(Version::V5);
        assert!(!two.connect(kept(&site, 0)).await.session_present);
        two.ping().await;
        leave(&site, two).await;
    }
}

#[tokio::test]
async fn a_session_goes_on_within_its_time_and_lasts_no_longer_than_the_hub_allows() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut two = site.dial(Version::V5);
    let answer = two.connect(kept(&site, u32::MAX)).await;
    let month = 30 * 24 * 60 * 60;
    assert_eq!(answer.session_expiry, Some(month));
    two.subscribe("talk/#", 1).await;
    leave(&site, two).await;
    let mut one = site.device(Version::V5, "one").await;
    one.publish(publish("talk/a", "x", 1, 1)).await;
    site.core
        .clock
        .advance(Duration::from_secs(u64::from(month) - 1));
    site.mqtt.sweep().await;
    let mut two = site.dial(Version::V5);
    assert!(two.connect(kept(&site, 60)).await.session_present);
    assert_eq!(two.take().await.0, "talk/a");
}

#[tokio::test]
async fn a_message_that_has_expired_is_not_delivered_and_another_says_what_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut two = site.dial(Version::V5);
    two.connect(kept(&site, 3_600)).await;
    two.subscribe("talk/#", 1).await;
    leave(&site, two).await;
    let mut one = site.device(Version::V5, "one").await;
    for (topic, lasts, retain) in [
        ("talk/short", 10, false),
        ("talk/long", 100, false),
        ("talk/word", 10, true),
    ] {
        let mut message = publish(topic, "x", 1, 1);
        message.properties.message_expiry = Some(lasts);
        message.retain = retain;
        one.publish(message).await;
    }
    site.core.clock.advance(Duration::from_secs(11));
    let mut two = site.dial(Version::V5);
    assert!(two.connect(kept(&site, 3_600)).await.session_present);
    let heard = two.message().await;
    assert_eq!(heard.topic.as_deref(), Some("talk/long"));
    let left = heard.properties.message_expiry.unwrap();
    // Less the time that the test has taken.
    assert!((1..=89).contains(&left), "{left}");
    two.ping().await;
    // The retained one is gone for those who subscribe now, before it is swept and after.
    one.subscribe("talk/word", 1).await;
    one.ping().await;
    site.mqtt.sweep().await;
    assert!(site.core.messages.load().await.unwrap().retained.is_empty());
}

#[tokio::test]
async fn a_will_waits_for_its_delay_and_not_beyond_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path()).await;
    let mut one = site.device(Version::V5, "one").await;
    one.subscribe("talk/will", 1).await;
    for (delay, lasts, due) in [(60, 600, 60), (600, 60, 60)] {
        let mut two = site.dial(Version::V5);
        let mut connect = kept(&site, lasts);
        connect.will = Some(will(delay));
        two.connect(connect).await;
        break_off(&site, two).await;
        site.core.clock.advance(Duration::from_secs(due - 1));
        site.mqtt.sweep().await;
        one.ping().await;
        site.core.clock.advance(Duration::from_secs(1));
        site.mqtt.sweep().await;
        assert_eq!(one.take().await.1, "gone");
    }
}

#[tokio::test]
async fn a_will_that_waits_is_published_by_the_hub_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let site = Site::new(folder.path()).await;
        let mut two = site.dial(Version::V5);
        let mut connect = kept(&site, 600);
        connect.will = Some(will(60));
        two.connect(connect).await;
        break_off(&site, two).await;
        site
    };
    let copy = tempfile::tempdir().unwrap();
    let site = before.killed(copy.path()).await;
    let mut one = site.device(Version::V5, "one").await;
    one.subscribe("talk/will", 1).await;
    site.mqtt.sweep().await;
    one.ping().await;
    site.core.clock.advance(Duration::from_secs(60));
    site.mqtt.sweep().await;
    assert_eq!(one.take().await.1, "gone");
}

fn kept(site: &Site, lasts: u32) -> Connect {
    let mut connect = site.connect(Version::V5, "two");
    connect.clean_start = false;
    connect.session_expiry = lasts;
    connect
}

fn will(delay: u32) -> Will {
    Will {
        topic: TopicName::new("talk/will").unwrap(),
        payload: Bytes::from_static(b"gone"),
        qos: QoS::AtLeastOnce,
        retain: false,
        delay,
        properties: PublishProperties::default(),
    }
}

/// Says goodbye, and waits until it is noted for how long the session is kept.
async fn leave(site: &Site, mut client: Client) {
    let goodbye = outgate_mqtt::packet::Disconnect::new(ReasonCode::Success);
    client.say(Packet::Disconnect(goodbye)).await;
    assert_eq!(client.hear().await, None);
    until(site, |kept| {
        kept.mailboxes.iter().all(|mailbox| mailbox.ends.is_some())
    })
    .await;
}

/// Breaks off, and waits until it is noted when the will is due.
async fn break_off(site: &Site, client: Client) {
    drop(client);
    until(site, |kept| {
        kept.wills.iter().all(|will| will.due.is_some())
    })
    .await;
}

/// Waits until what is on the disk is as it should come to be: no packet tells.
async fn until(site: &Site, is_so: impl Fn(&Kept) -> bool) {
    let waiting = async {
        while !is_so(&site.core.messages.load().await.unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .expect("it is not noted");
}
