//! A hub that goes down.

use outgate_mqtt::packet::{Packet, ReasonCode, Version};

use crate::hub::Running;

#[tokio::test]
async fn a_hub_that_goes_down_sends_its_clients_to_where_it_is_told_to() {
    let running = Running::start_with("server-reference = 'other.example:8883'").await;
    let mut one = running.connected(Version::V5, "one").await;
    let mut old = running.connected(Version::V3_1_1, "old").await;
    running.hub.drain();
    match one.hear().await {
        Some(Packet::Disconnect(why)) => {
            assert_eq!(why.reason, ReasonCode::UseAnotherServer);
            assert_eq!(why.server_reference.as_deref(), Some("other.example:8883"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);
    // Whoever cannot be told is closed.
    assert_eq!(old.hear().await, None);
}

#[tokio::test]
async fn a_hub_that_knows_no_other_says_only_that_it_goes_down() {
    let running = Running::start().await;
    let mut one = running.connected(Version::V5, "one").await;
    running.hub.drain();
    match one.hear().await {
        Some(Packet::Disconnect(why)) => {
            assert_eq!(why.reason, ReasonCode::ServerShuttingDown);
            assert_eq!(why.server_reference, None);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);
}
