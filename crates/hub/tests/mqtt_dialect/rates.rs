//! How often one device may do what, on a clock that the test puts forward.

use std::time::Duration;

use outgate_core::Limits;
use outgate_mqtt::packet::{Packet, ReasonCode, Version};

use crate::client::{Client, publish, text};
use crate::site::Site;

/// The longest that something may take: far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it takes until a device may do something once more.
const A_TURN: Duration = Duration::from_millis(10);

/// A site whose devices may do everything twice, and then once a turn.
async fn site(folder: &tempfile::TempDir) -> Site {
    let site = Site::new(folder.path()).await;
    site.core.limit(&Limits {
        messages_a_second: 100,
        message_burst: 2,
        reports_a_second: 100,
        report_burst: 2,
        subscriptions_a_second: 100,
        subscription_burst: 2,
        ..Limits::default()
    });
    site
}

/// How often devices came too soon with `what`.
fn limited(site: &Site, what: &str) -> u64 {
    let sample = format!("outgate_limited_total{{what=\"{what}\"}} ");
    let text = site.metrics.text();
    let count = text.lines().find_map(|line| line.strip_prefix(&sample));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Waits until a device has come too soon with `what`.
async fn until_limited(site: &Site, what: &str) {
    let coming = async {
        while limited(site, what) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, coming).await.unwrap();
}

/// Hears an acknowledgement of QoS 1.
async fn acknowledged(client: &mut Client, number: u16) {
    match client.hear().await {
        Some(Packet::PubAck(answer)) => {
            assert_eq!(answer.packet_id.get(), number);
            assert_eq!(answer.reason, ReasonCode::Success);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_of_mqtt_5_is_told_that_its_messages_come_too_fast() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder).await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    let mut one = site.device(Version::V5, "one").await;
    for (number, qos, payload) in [(1, 1, "a"), (2, 2, "b")] {
        let taken = one.publish(publish("talk/x", payload, qos, number)).await;
        assert_eq!(taken, ReasonCode::Success);
        assert_eq!(two.take().await.1, payload);
    }
    for (number, qos) in [(3, 1), (4, 2)] {
        let taken = one
            .publish(publish("talk/x", "too soon", qos, number))
            .await;
        assert_eq!(taken, ReasonCode::QuotaExceeded);
    }
    let unanswered = publish("talk/x", "too soon", 0, 1);
    one.say(Packet::Publish(Box::new(unanswered))).await;
    one.ping().await;
    assert_eq!(limited(&site, "messages"), 3);
    let dropped = "outgate_messages_dropped_total{reason=\"refused\"} 1";
    assert!(site.metrics.text().lines().any(|line| line == dropped));
    // Another device has its own rate, and events have theirs.
    let taken = two.publish(publish("talk/y", "own", 1, 1)).await;
    assert_eq!(taken, ReasonCode::Success);
    assert_eq!(two.take().await.1, "own");
    let event = publish("devices/one/events/x", "x", 1, 5);
    assert_eq!(one.publish(event).await, ReasonCode::Success);
    site.core.clock.advance(A_TURN);
    let taken = one.publish(publish("talk/x", "c", 1, 6)).await;
    assert_eq!(taken, ReasonCode::Success);
    assert_eq!(two.take().await.1, "c");
}

#[tokio::test]
async fn of_a_client_that_cannot_be_told_no_more_is_read_until_its_messages_turn() {
    for qos in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let site = site(&folder).await;
        let mut two = site.device(Version::V5, "two").await;
        two.subscribe("talk/#", 1).await;
        let mut one = site.device(Version::V3_1_1, "one").await;
        for (number, payload) in [(1, "a"), (2, "b"), (3, "c")] {
            let message = publish("talk/x", payload, qos, number);
            one.say(Packet::Publish(Box::new(message))).await;
        }
        one.say(Packet::PingReq).await;
        for payload in ["a", "b"] {
            assert_eq!(two.take().await.1, payload);
        }
        until_limited(&site, "messages").await;
        two.ping().await;
        site.core.clock.advance(A_TURN);
        assert_eq!(two.take().await.1, "c");
        for number in 1..=3 {
            match one.hear().await {
                Some(Packet::PubAck(answer) | Packet::PubRec(answer)) => {
                    assert_eq!(answer.packet_id.get(), number);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(one.hear().await, Some(Packet::PingResp));
    }
}

#[tokio::test]
async fn a_client_of_mqtt_5_is_told_that_its_reports_come_too_fast() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder).await;
    let mut one = site.device(Version::V5, "one").await;
    one.subscribe("devices/one/twin/result", 0).await;
    let report = |payload, number| publish("devices/one/twin/reported", payload, 1, number);
    for (number, payload) in [(1, "{\"a\":1}"), (2, "{\"a\":2}")] {
        let taken = one.publish(report(payload, number)).await;
        assert_eq!(taken, ReasonCode::Success);
        let (_, result) = one.take().await;
        assert!(result.starts_with(b"{\"status\":200"), "{result:?}");
    }
    let taken = one.publish(report("{\"a\":3}", 3)).await;
    assert_eq!(taken, ReasonCode::QuotaExceeded);
    let (_, result) = one.take().await;
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["status"], 429);
    assert_eq!(limited(&site, "reports"), 1);
    site.core.clock.advance(A_TURN);
    let taken = one.publish(report("{\"a\":4}", 4)).await;
    assert_eq!(taken, ReasonCode::Success);
}

#[tokio::test]
async fn of_a_client_that_cannot_be_told_no_more_is_read_until_its_reports_turn() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder).await;
    let mut one = site.device(Version::V3_1_1, "one").await;
    for (number, payload) in [(1, "{\"a\":1}"), (2, "{\"a\":2}"), (3, "{\"a\":3}")] {
        let report = publish("devices/one/twin/reported", payload, 1, number);
        one.say(Packet::Publish(Box::new(report))).await;
    }
    one.say(Packet::PingReq).await;
    until_limited(&site, "reports").await;
    acknowledged(&mut one, 1).await;
    acknowledged(&mut one, 2).await;
    let reported = || async {
        let device = "one".parse().unwrap();
        let hub = outgate_core::identity::Actor::hub();
        site.core.twins.get(&hub, &device).await.unwrap().reported
    };
    assert_eq!(reported().await.document["a"], 2);
    site.core.clock.advance(A_TURN);
    // The acknowledgement waits for the disk, the sign of life does not.
    let mut heard = [one.hear().await, one.hear().await].map(Option::unwrap);
    heard.sort_by_key(|packet| *packet == Packet::PingResp);
    assert!(matches!(&heard[0], Packet::PubAck(answer) if answer.packet_id.get() == 3));
    assert_eq!(heard[1], Packet::PingResp);
    assert_eq!(reported().await.document["a"], 3);
}

#[tokio::test]
async fn a_device_that_subscribes_too_often_is_told_so() {
    for (version, told) in [
        (Version::V5, ReasonCode::QuotaExceeded),
        (Version::V3_1_1, ReasonCode::UnspecifiedError),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let site = site(&folder).await;
        let mut one = site.device(version, "one").await;
        for filter in ["talk/a", "talk/b"] {
            assert_eq!(one.subscribe(filter, 1).await, ReasonCode::GrantedQos1);
        }
        // Renewing counts too: it brings what is retained.
        for filter in ["talk/c", "talk/a"] {
            assert_eq!(one.subscribe(filter, 1).await, told, "{filter}");
        }
        assert_eq!(limited(&site, "subscriptions"), 2);
        // The same device over another connection has the same rate, another one its own.
        let mut connect = site.connect(version, "one");
        connect.client_id = text("another");
        let mut again = site.dial(version);
        again.connect(connect).await;
        assert_eq!(again.subscribe("talk/a", 1).await, told);
        let mut two = site.device(version, "two").await;
        assert_eq!(two.subscribe("talk/a", 1).await, ReasonCode::GrantedQos1);
        site.core.clock.advance(A_TURN);
        assert_eq!(one.subscribe("talk/c", 1).await, ReasonCode::GrantedQos1);
    }
}

#[tokio::test]
async fn a_service_may_subscribe_as_often_as_it_likes() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder).await;
    let mut back = site.dial(Version::V5);
    back.connect(site.connect_service(true)).await;
    for filter in ["events/s/#", "events/t/#", "events/u/#", "events/s/#"] {
        assert_eq!(back.subscribe(filter, 1).await, ReasonCode::GrantedQos1);
    }
    assert_eq!(limited(&site, "subscriptions"), 0);
}

#[tokio::test]
async fn a_will_does_not_wait_for_its_devices_rate_and_counts_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder).await;
    let mut two = site.device(Version::V5, "two").await;
    two.subscribe("talk/#", 1).await;
    let mut connect = site.connect(Version::V5, "one");
    connect.will = Some(outgate_mqtt::packet::Will {
        topic: outgate_mqtt::topics::TopicName::new("talk/will").unwrap(),
        payload: "gone".into(),
        qos: outgate_mqtt::packet::QoS::AtLeastOnce,
        retain: false,
        delay: 0,
        properties: outgate_mqtt::packet::PublishProperties::default(),
    });
    let mut one = site.dial(Version::V5);
    one.connect(connect).await;
    for number in [1, 2] {
        one.publish(publish("talk/x", "x", 1, number)).await;
        two.take().await;
    }
    drop(one);
    assert_eq!(two.take().await.1, "gone");
    let mut one = site.device(Version::V5, "one").await;
    site.core.clock.advance(A_TURN);
    let taken = one.publish(publish("talk/x", "x", 1, 1)).await;
    assert_eq!(taken, ReasonCode::QuotaExceeded);
    site.core.clock.advance(A_TURN);
    let taken = one.publish(publish("talk/x", "x", 1, 1)).await;
    assert_eq!(taken, ReasonCode::Success);
}
