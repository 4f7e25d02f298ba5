//! More than a client may send.

use outgate_core::id::DeviceId;
use outgate_mqtt::packet::{Packet, ReasonCode, Version};

use crate::client::{connect, publish};
use crate::hub::Running;
use crate::site::hold_up;

/// As many messages of QoS 1 as a client may have unacknowledged.
const RECEIVE_MAXIMUM: u16 = 64;

#[tokio::test]
async fn who_sends_more_than_the_receive_maximum_is_closed_and_nobody_else() {
    let running = Running::start().await;
    let mut other = running.connected(Version::V5, "other").await;
    let mut one = running.dial(Version::V5).await;
    let token = running.device("one").await;
    let answer = one.connect(connect(Version::V5, "one", &token)).await;
    assert_eq!(answer.receive_maximum.get(), RECEIVE_MAXIMUM);

    let disk = hold_up(running.core()).await;
    for number in 1..=RECEIVE_MAXIMUM + 1 {
        let event = publish("devices/one/events/x", "x", 1, number);
        one.say(Packet::Publish(Box::new(event))).await;
    }
    match one.hear().await {
        Some(Packet::Disconnect(why)) => assert_eq!(why.reason, ReasonCode::ReceiveMaximumExceeded),
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);
    other.ping().await;
    drop(disk);
    running.core().store.barrier().await.unwrap();
    assert_eq!(events(&running, "one").await, usize::from(RECEIVE_MAXIMUM));
}

#[tokio::test]
async fn of_a_client_that_cannot_be_told_no_more_is_read_until_the_disk_has_what_it_sent() {
    let running = Running::start().await;
    let mut other = running.connected(Version::V5, "other").await;
    let mut one = running.connected(Version::V3_1_1, "one").await;
    let disk = hold_up(running.core()).await;
    let many = 1_000;
    for number in 1..=many {
        let event = publish("devices/one/events/x", "x", 1, number);
        one.say(Packet::Publish(Box::new(event))).await;
    }
    other.ping().await;
    drop(disk);
    for number in 1..=many {
        match one.hear().await {
            Some(Packet::PubAck(answer)) => assert_eq!(answer.packet_id.get(), number),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events(&running, "one").await, usize::from(many));
}

#[tokio::test]
async fn events_that_come_too_fast_wait_their_turn_and_all_are_kept() {
    // At once there may be 2,000.
    let running = Running::start_with("[limits]\nevents-a-second = 200").await;
    let mut other = running.connected(Version::V5, "other").await;
    let mut one = running.connected(Version::V5, "one").await;
    let many = 2_200;
    let flood = (0..many).map(|_| publish("devices/one/events/x", "x", 1, 1));
    let flood = one.publish_all(flood);
    let others = async {
        for _ in 0..20 {
            other
                .publish_all([publish("devices/other/events/x", "x", 1, 1)])
                .await;
        }
    };
    tokio::join!(flood, others);
    assert_eq!(events(&running, "one").await, many);
    assert_eq!(events(&running, "other").await, 20);
}

#[tokio::test]
async fn a_packet_beyond_the_stated_size_is_refused_by_its_header_alone() {
    let running = Running::start().await;
    let mut one = running.dial(Version::V5).await;
    let token = running.device("one").await;
    let answer = one.connect(connect(Version::V5, "one", &token)).await;
    let most = answer.maximum_packet_size.unwrap().get();
    assert_eq!(most, 320 * 1024);
    let mut header = vec![0x30];
    let mut left = most;
    while left > 0 {
        let more = if left > 0x7f { 0x80 } else { 0 };
        header.push(u8::try_from(left & 0x7f).unwrap() | more);
        left >>= 7;
    }
    one.say_raw(&header).await;
    match one.hear().await {
        Some(Packet::Disconnect(why)) => assert_eq!(why.reason, ReasonCode::PacketTooLarge),
        other => panic!("{other:?}"),
    }
    assert_eq!(one.hear().await, None);

    let mut old = running.connected(Version::V3_1_1, "old").await;
    old.say_raw(&header).await;
    assert_eq!(old.hear().await, None);
}

#[tokio::test]
async fn who_has_not_proved_who_it_is_may_send_no_large_packet() {
    let running = Running::start().await;
    let mut one = running.dial(Version::V5).await;
    // CONNECT with a remaining length of 65,536.
    one.say_raw(&[0x10, 0x80, 0x80, 0x04]).await;
    assert_eq!(one.hear().await, None);
}

/// How many events of a device are kept.
async fn events(running: &Running, device: &str) -> usize {
    let device: DeviceId = device.parse().unwrap();
    let filter = outgate_core::events::EventFilter {
        scope: outgate_core::identity::Scope::All,
        device: Some(device),
        prefix: None,
    };
    let (mut count, mut after) = (0, 0);
    loop {
        let taken = running.core().events.after(&filter, after, 500).await;
        let taken = taken.unwrap();
        if taken.events.is_empty() {
            return count;
        }
        count += taken.events.len();
        after = taken.next;
    }
}
