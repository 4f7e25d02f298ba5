//! Policies and limits that change while clients are connected.

use outgate_mqtt::packet::{Publish, ReasonCode, Version};

use crate::client::{connect, kept, publish};
use crate::hub::{CONFIG, Running};

/// As in [`CONFIG`], but that nobody may say or hear anything below `talk/secret`.
const NARROWER: &str = "
[[listen]]
address = '127.0.0.1:0'
tls = false
[mqtt.policies.own-subtree]
publish = ['talk/open/#']
subscribe = ['talk/open/#']
";

#[tokio::test]
async fn a_policy_that_is_taken_up_holds_for_those_who_are_connected() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut two = running.connected(Version::V5, "two").await;
    two.subscribe("talk/secret/#", 1).await;
    two.subscribe("talk/open/#", 1).await;
    one.publish(publish("talk/secret/a", "x", 1, 1)).await;
    assert_eq!(two.take().await.0, "talk/secret/a");

    running.reload(NARROWER).unwrap();
    let secret = one.publish(publish("talk/secret/a", "x", 1, 1)).await;
    assert_eq!(secret, ReasonCode::NotAuthorized);
    assert_eq!(
        two.subscribe("talk/secret/#", 1).await,
        ReasonCode::NotAuthorized
    );

    // What was subscribed to before is gone too, though messages may come again.
    running.reload(CONFIG).unwrap();
    two.ping().await;
    one.publish(publish("talk/secret/b", "x", 1, 1)).await;
    one.publish(publish("talk/open/b", "x", 1, 1)).await;
    assert_eq!(two.take().await.0, "talk/open/b");
}

#[tokio::test]
async fn a_session_that_was_away_finds_its_subscriptions_held_to_the_policy() {
    let running = Running::start().await;
    let token = running.device("two").await;
    let lasting = |clean| kept(connect(Version::V5, "two", &token), clean);
    let mut two = running.dial(Version::V5).await;
    two.connect(lasting(true)).await;
    two.subscribe("talk/secret/#", 1).await;
    two.subscribe("talk/open/#", 1).await;
    drop(two);
    running.reload(NARROWER).unwrap();
    let mut two = running.dial(Version::V5).await;
    assert!(two.connect(lasting(false)).await.session_present);
    two.ping().await;
    running.reload(CONFIG).unwrap();
    let mut one = running.connected(Version::V5, "one").await;
    one.publish(publish("talk/secret/a", "x", 1, 1)).await;
    one.publish(publish("talk/open/a", "x", 1, 1)).await;
    assert_eq!(two.take().await.0, "talk/open/a");
}

#[tokio::test]
async fn limits_that_are_taken_up_hold_from_the_next_act_on() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    let retained = |topic: &str| -> Publish {
        let mut message = publish(topic, "x", 1, 1);
        message.retain = true;
        message
    };
    one.subscribe("talk/a", 1).await;
    running
        .reload(&format!(
            "{CONFIG}\n[mqtt.limits]\nsubscriptions = 1\nretained = 0"
        ))
        .unwrap();
    assert_eq!(one.subscribe("talk/b", 1).await, ReasonCode::QuotaExceeded);
    let beyond = one.publish(retained("talk/c")).await;
    assert_eq!(beyond, ReasonCode::QuotaExceeded);
    running.reload(CONFIG).unwrap();
    assert_eq!(one.subscribe("talk/b", 1).await, ReasonCode::GrantedQos1);
    assert!(!one.publish(retained("talk/c")).await.is_failure());
}

#[tokio::test]
async fn what_cannot_be_taken_up_leaves_everything_as_it_was() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    for wrong in [
        format!("{CONFIG}\n[mqtt.policies.other]\npublish = ['a#']"),
        format!("{NARROWER}\n[logs]\nformat = 'json'"),
        format!("{NARROWER}\n[webhooks]\nplain-http-to = ['10.0.0.0/8']"),
    ] {
        assert!(running.reload(&wrong).is_err(), "{wrong}");
    }
    one.subscribe("talk/secret/a", 1).await;
    one.say(outgate_mqtt::packet::Packet::Publish(Box::new(publish(
        "talk/secret/a",
        "x",
        0,
        1,
    ))))
    .await;
    assert_eq!(one.take().await.0, "talk/secret/a");
}
