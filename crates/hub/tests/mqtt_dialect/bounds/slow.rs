//! A subscriber that does not read.

use bytes::Bytes;
use outgate_mqtt::packet::{Publish, ReasonCode, Version};
use outgate_mqtt::topics::TopicName;

use crate::client::{Client, connect, delivery};
use crate::hub::Running;

/// What waits for a client at the most.
const QUEUE: u32 = 1_000;

/// What is on its way to a client at the most.
const INFLIGHT: u32 = 64;

#[tokio::test]
async fn for_a_subscriber_that_acknowledges_nothing_a_bounded_queue_waits_and_the_newest_go() {
    let running = Running::start().await;
    let mut slow = running.connected(Version::V5, "slow").await;
    slow.subscribe("talk/#", 1).await;
    flooded(&running, slow, &[b'x'; 100]).await;
}

#[tokio::test]
async fn of_a_session_that_is_kept_the_queue_on_the_disk_is_bounded_just_so() {
    let running = Running::start().await;
    let token = running.device("slow").await;
    let mut connect = connect(Version::V5, "slow", &token);
    connect.session_expiry = 3_600;
    let mut slow = running.dial(Version::V5).await;
    slow.connect(connect).await;
    slow.subscribe("talk/#", 1).await;
    flooded(&running, slow, b"x").await;
}

/// Sends far more than `slow` has room for, while it does not read.
async fn flooded(running: &Running, mut slow: Client, filling: &[u8]) {
    let mut quick = running.connected(Version::V5, "quick").await;
    quick.subscribe("talk/#", 1).await;
    let mut one = running.connected(Version::V5, "one").await;
    let many = 1_200;
    for number in 0..many {
        assert_eq!(
            one.publish(numbered(number, filling, 1)).await,
            ReasonCode::Success
        );
        assert_eq!(number_of(&quick.take().await.1), number);
    }
    let dropped = u32::try_from(running.dropped()).unwrap();
    let taken = many - dropped;
    assert!((QUEUE..=QUEUE + INFLIGHT).contains(&taken), "{taken}");
    let mut last = None;
    for _ in 0..taken {
        let number = number_of(&slow.take().await.1);
        assert!(last < Some(number), "{last:?} {number}");
        last = Some(number);
    }
    // It is there as before, now that it reads.
    one.publish(numbered(many, filling, 1)).await;
    assert_eq!(number_of(&slow.take().await.1), many);
}

#[tokio::test]
async fn a_subscriber_that_stops_reading_holds_up_nobody_and_loses_what_has_no_room() {
    let running = Running::start().await;
    let mut slow = running.connected(Version::V3_1_1, "slow").await;
    slow.subscribe("talk/#", 0).await;
    let mut quick = running.connected(Version::V3_1_1, "quick").await;
    quick.subscribe("talk/#", 0).await;
    let mut one = running.connected(Version::V5, "one").await;
    // Far more than the sockets' buffers and the queue take together.
    let (many, filling) = (600, vec![b'x'; 100 * 1024]);
    for number in 0..many {
        one.publish(numbered(number, &filling, 1)).await;
        assert_eq!(number_of(&quick.take().await.1), number);
    }
    let dropped = u32::try_from(running.dropped()).unwrap();
    assert!(dropped > 0);
    let mut last = None;
    for _ in 0..many - dropped {
        let number = number_of(&slow.take().await.1);
        assert!(last < Some(number), "{last:?} {number}");
        last = Some(number);
    }
    one.publish(numbered(many, b"", 1)).await;
    assert_eq!(number_of(&slow.take().await.1), many);
}

fn numbered(number: u32, filling: &[u8], qos: u8) -> Publish {
    let payload = [&number.to_be_bytes(), filling].concat();
    let mut publish = Publish::new(TopicName::new("talk/a").unwrap(), Bytes::from(payload));
    publish.delivery = delivery(qos, 1);
    publish
}

fn number_of(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}
