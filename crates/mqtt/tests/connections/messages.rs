//! What becomes of messages: aliases, sizes, expiry.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::Bytes;

use outgate_mqtt::connection::{ConnectionError, Delivered, DropReason, Event, Limits};
use outgate_mqtt::packet::{
    DecodeError, Disconnect, Packet, Publish, PublishProperties, QoS, ReasonCode, Version,
};
use outgate_mqtt::topics::TopicName;

use crate::client::{Client, outgoing, outgoing_with, packet, publish, session};

use QoS::{AtLeastOnce, AtMostOnce};

fn aliased(topic: Option<&str>, alias: u16) -> Packet {
    packet(Publish {
        topic: topic.map(|topic| TopicName::new(topic).unwrap()),
        topic_alias: NonZeroU16::new(alias),
        ..publish(AtMostOnce, 1, "x")
    })
}

fn topics(events: &[Event]) -> Vec<String> {
    let topic = |event: &Event| {
        let Event::Publish(incoming) = event else {
            panic!("{event:?}")
        };
        incoming.topic.as_str().to_owned()
    };
    events.iter().map(topic).collect()
}

#[test]
fn an_alias_stands_for_the_topic_it_last_came_with() {
    let mut client = Client::plain(Version::V5);
    assert_eq!(topics(&client.say(&aliased(Some("a"), 3))), ["a"]);
    assert_eq!(topics(&client.say(&aliased(None, 3))), ["a"]);
    assert_eq!(topics(&client.say(&aliased(Some("b"), 3))), ["b"]);
    assert_eq!(topics(&client.say(&aliased(None, 3))), ["b"]);
    let events = client.say(&aliased(None, 2));
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
        "{events:?}"
    );

    let mut client = Client::plain(Version::V5);
    let events = client.say(&aliased(Some("a"), 17));
    assert_eq!(events, [Event::Failed(ConnectionError::TopicAlias)]);
    let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::TopicAliasInvalid));
    assert_eq!(client.hear(), [goodbye]);
}

#[test]
fn a_topic_is_said_in_full_once() {
    let mut client = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.topic_alias_maximum = 1;
    });
    let now = client.now;
    for key in 0..2 {
        client
            .connection
            .deliver(outgoing(key, AtMostOnce, "x", now), now);
    }
    let heard = client.hear();
    let [Packet::Publish(first), Packet::Publish(second)] = &heard[..] else {
        panic!()
    };
    assert_eq!(first.topic_alias, NonZeroU16::new(1));
    assert_eq!(first.topic.as_ref().unwrap().as_str(), "a/b");
    assert_eq!(second.topic_alias, NonZeroU16::new(1));
    assert_eq!(second.topic, None);
}

#[test]
fn what_is_too_large_for_the_client_is_not_sent() {
    let mut client = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.maximum_packet_size = NonZeroU32::new(30);
    });
    let now = client.now;
    let long = "x".repeat(30);
    let dropped = client
        .connection
        .deliver(outgoing(0, AtMostOnce, &long, now), now);
    assert_eq!(dropped, Delivered::Dropped(DropReason::TooLarge));
    client
        .connection
        .deliver(outgoing(1, AtLeastOnce, &long, now), now);
    client
        .connection
        .deliver(outgoing(2, AtLeastOnce, "short", now), now);
    assert_eq!(
        client.events(),
        [Event::Dropped {
            key: 1,
            why: DropReason::TooLarge
        }]
    );
    assert_eq!(client.hear().len(), 1);
}

#[test]
fn what_is_too_large_for_the_server_ends_the_connection() {
    let limits = Limits {
        packet_size: 20,
        ..Limits::default()
    };
    let mut client = Client::connected(Version::V5, limits, session(), |_| {});
    let long = Publish {
        payload: Bytes::from(vec![0; 20]),
        ..publish(AtMostOnce, 1, "")
    };
    let too_large = ConnectionError::Decode(DecodeError::TooLarge);
    assert_eq!(client.say(&packet(long)), [Event::Failed(too_large)]);
    let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::PacketTooLarge));
    assert_eq!(client.hear(), [goodbye]);
}

#[test]
fn a_message_expires_while_it_waits() {
    let limits = Limits {
        outgoing: 1,
        ..Limits::default()
    };
    let mut client = Client::connected(Version::V5, limits, session(), |_| {});
    let now = client.now;
    let expiring = |seconds| PublishProperties {
        message_expiry: Some(seconds),
        ..PublishProperties::default()
    };
    for (key, seconds) in [(0, 60), (1, 5), (2, 60)] {
        let outgoing = outgoing_with(key, AtLeastOnce, "x", &expiring(seconds), now);
        client.connection.deliver(outgoing, now);
    }
    assert_eq!(expiries(&client.hear()), [Some(60)]);
    client.wait(Duration::from_millis(9_500));
    let settled = Event::Settled {
        key: 0,
        reason: ReasonCode::Success,
    };
    let answer =
        outgate_mqtt::packet::Acknowledgement::new(crate::client::id(1), ReasonCode::Success);
    let dropped = Event::Dropped {
        key: 1,
        why: DropReason::Expired,
    };
    assert_eq!(client.say(&Packet::PubAck(answer)), [settled, dropped]);
    assert_eq!(expiries(&client.hear()), [Some(51)]);
}

fn expiries(packets: &[Packet]) -> Vec<Option<u32>> {
    let expiry = |packet: &Packet| {
        let Packet::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        publish.properties.message_expiry
    };
    packets.iter().map(expiry).collect()
}
