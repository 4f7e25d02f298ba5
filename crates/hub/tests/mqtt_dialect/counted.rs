//! What is counted of a whole hub, as `/metrics` tells it.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::Refusal;
use outgate_core::commands::{NewCommand, Settlement};
use outgate_core::identity::Actor;
use outgate_core::identity::Claim;
use outgate_core::secret::Secret;
use outgate_mqtt::packet::{ReasonCode, Version};

use crate::client::publish;
use crate::hub::{CONFIG, Running};

#[tokio::test]
async fn each_thing_that_happens_is_counted_where_it_happens() {
    let hub = Running::start().await;
    let mut one = hub.connected(Version::V5, "one").await;
    for (number, topic) in [(1, "devices/one/events/door"), (2, "talk/a")] {
        let taken = one.publish(publish(topic, "x", 1, number)).await;
        let fine = [ReasonCode::Success, ReasonCode::NoMatchingSubscribers];
        assert!(fine.contains(&taken), "{topic}: {taken:?}");
    }
    let mut two = hub.connected(Version::V5, "two").await;
    assert_eq!(two.subscribe("talk/#", 1).await, ReasonCode::GrantedQos1);
    one.publish(publish("talk/a", "y", 1, 3)).await;
    two.take().await;
    command_and_call(&hub).await;
    let text = hub.get("/metrics").await;
    for line in [
        "outgate_events_total{dialect=\"mqtt\"} 1",
        "outgate_event_bytes_total 1",
        "outgate_event_acknowledgement_seconds_count 1",
        "outgate_events_refused_total{reason=\"invalid\"} 1",
        "outgate_messages_total{direction=\"in\",qos=\"1\"} 2",
        "outgate_messages_total{direction=\"out\",qos=\"1\"} 1",
        "outgate_commands_total{outcome=\"sent\"} 1",
        "outgate_commands_total{outcome=\"delivered\"} 1",
        "outgate_commands_total{outcome=\"completed\"} 1",
        "outgate_calls_total{outcome=\"offline\"} 1",
        "outgate_call_seconds_count 1",
        "outgate_sessions{dialect=\"mqtt\"} 2",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    assert!(count(&text, "outgate_store_commit_seconds_count") > 3.0);
    assert!(count(&text, "outgate_store_commit_writes_sum") > 3.0);
    let listener = hub.hub.listening()[0].address;
    let live = format!("outgate_connections{{listener=\"{listener}\",protocol=\"mqtt\"}} 2");
    assert!(text.lines().any(|line| line == live), "{live} in {text}");
}

#[tokio::test]
async fn requests_are_counted_by_their_routes_and_never_by_what_was_asked() {
    let hub = Running::start().await;
    for path in [
        "/healthz",
        "/healthz",
        "/nothing/secret",
        "/api/devices/secret",
    ] {
        hub.get(path).await;
    }
    let text = hub.get("/metrics").await;
    for line in [
        "outgate_http_requests_total{route=\"/healthz\",status=\"200\"} 2",
        "outgate_http_requests_total{route=\"/api/devices/{device}\",status=\"401\"} 1",
        "outgate_http_request_seconds_count{route=\"/healthz\"} 2",
        "outgate_http_requests_total{route=\"none\",status=\"404\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    assert!(!text.contains("secret"));
}

#[tokio::test]
async fn limits_are_taken_up_anew_without_a_restart() {
    let hub = Running::start().await;
    let mut one = hub.connected(Version::V5, "one").await;
    let limits = "[limits]\nevents-a-second = 1\nconnections-a-source = 1\n";
    hub.reload(&format!("{CONFIG}\n{limits}")).unwrap();
    // Who is in stays in; nobody else comes.
    one.ping().await;
    assert_eq!(hub.refused_or_answered().await, None);
    hub.reload(CONFIG).unwrap();
    assert!(hub.refused_or_answered().await.is_some());
}

/// A command that is done, an event that is refused, and a call to a device that is not there.
async fn command_and_call(hub: &Running) {
    let token = Secret::new(hub.device("three").await.into_bytes());
    let (core, admin) = (hub.core(), Actor::hub());
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let who = core.identity.authenticate(claim).await.unwrap();
    let device = "three".parse().unwrap();
    let called = core.calls.call(
        &admin,
        &device,
        "reboot".to_owned(),
        String::new(),
        Bytes::new(),
        Duration::from_secs(60),
    );
    assert!(matches!(called.await, Err(Refusal::Offline { .. })));
    let peer = "192.0.2.7:1".parse().unwrap();
    let session = core.open_session(&who, "test", peer).await.unwrap();
    let command = NewCommand {
        name: "reboot".to_owned(),
        content_type: String::new(),
        properties: [].into(),
        payload: Bytes::new(),
        lasts: Duration::from_secs(3_600),
    };
    core.commands.send(&admin, &device, command).await.unwrap();
    let taken = core.commands.take(&session, 1).await.unwrap();
    core.commands
        .settle(&session, &taken[0].id, Settlement::Completed)
        .await
        .unwrap();
    let event = outgate_core::events::NewEvent {
        name: "\n".to_owned(),
        content_type: String::new(),
        properties: [].into(),
        payload: Bytes::new(),
    };
    let refused = core.events.append(&session, event).await;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })));
}

/// What a sample without labels has.
fn count(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}
