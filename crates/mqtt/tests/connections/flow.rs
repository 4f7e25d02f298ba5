//! Messages of QoS 1 and 2 from the client, and to it.

use outgate_mqtt::connection::{ConnectionError, Delivered, DropReason, Event, Limits, Token};
use outgate_mqtt::packet::{Acknowledgement, Delivery, Packet, Publish, QoS, ReasonCode, Version};
use outgate_mqtt::session::{Session, SessionLimits};

use crate::client::{Client, id, outgoing, packet, publish, session, text};

use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

fn token(events: &[Event]) -> Token {
    let [Event::Publish(incoming)] = events else {
        panic!("{events:?}")
    };
    incoming.token.unwrap()
}

fn ack(packet_id: u16) -> Acknowledgement {
    Acknowledgement::new(id(packet_id), ReasonCode::Success)
}

#[test]
fn acknowledgements_leave_in_the_order_of_arrival() {
    let mut client = Client::plain(Version::V5);
    let first = token(&client.say(&packet(publish(AtLeastOnce, 7, "1"))));
    let second = token(&client.say(&packet(publish(ExactlyOnce, 3, "2"))));
    let third = token(&client.say(&packet(publish(AtLeastOnce, 5, "3"))));
    client
        .connection
        .acknowledge(third, ReasonCode::NotAuthorized, Some(text("no")));
    client
        .connection
        .acknowledge(second, ReasonCode::Success, None);
    assert!(client.hear().is_empty());
    client
        .connection
        .acknowledge(first, ReasonCode::NoMatchingSubscribers, None);
    let refused = Acknowledgement {
        reason_string: Some(text("no")),
        ..ack_with(5, ReasonCode::NotAuthorized)
    };
    assert_eq!(
        client.hear(),
        [
            Packet::PubAck(ack_with(7, ReasonCode::NoMatchingSubscribers)),
            Packet::PubRec(ack(3)),
            Packet::PubAck(refused),
        ]
    );
}

fn ack_with(packet_id: u16, reason: ReasonCode) -> Acknowledgement {
    Acknowledgement::new(id(packet_id), reason)
}

#[test]
fn words_are_for_those_who_want_them() {
    let mut client = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.request_problem_information = false;
    });
    let token = token(&client.say(&packet(publish(AtLeastOnce, 7, "1"))));
    client
        .connection
        .acknowledge(token, ReasonCode::NotAuthorized, Some(text("no")));
    assert_eq!(
        client.hear(),
        [Packet::PubAck(ack_with(7, ReasonCode::NotAuthorized))]
    );

    let mut small = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.maximum_packet_size = std::num::NonZeroU32::new(20);
    });
    small.hear();
    let token = self::token(&small.say(&packet(publish(AtLeastOnce, 7, "1"))));
    let long = text("far more than there is room for");
    small
        .connection
        .acknowledge(token, ReasonCode::NotAuthorized, Some(long));
    assert_eq!(
        small.hear(),
        [Packet::PubAck(ack_with(7, ReasonCode::NotAuthorized))]
    );
}

#[test]
fn a_message_of_qos_2_is_taken_once() {
    let mut client = Client::plain(Version::V3_1_1);
    let first = token(&client.say(&packet(publish(ExactlyOnce, 7, "1"))));
    let repeated = repeated(7);
    assert!(
        client.say(&packet(repeated.clone())).is_empty(),
        "before its answer"
    );
    client
        .connection
        .acknowledge(first, ReasonCode::Success, None);
    assert_eq!(client.hear(), [Packet::PubRec(ack(7))]);
    assert!(
        client.say(&packet(repeated.clone())).is_empty(),
        "after its answer"
    );
    assert_eq!(client.hear(), [Packet::PubRec(ack(7))]);

    let kept = client.connection.take_session().unwrap();
    let mut client = Client::connected(Version::V3_1_1, Limits::default(), kept, |_| {});
    assert!(
        client.say(&packet(repeated)).is_empty(),
        "on the next connection"
    );
    assert_eq!(client.hear(), [Packet::PubRec(ack(7))]);
    let released = Event::Released { packet_id: id(7) };
    assert_eq!(client.say(&Packet::PubRel(ack(7))), [released]);
    assert!(client.hear().is_empty(), "not before it is noted");
    client.connection.complete(id(7));
    assert_eq!(client.hear(), [Packet::PubComp(ack(7))]);
    assert!(client.say(&Packet::PubRel(ack(7))).is_empty());
    assert_eq!(client.hear(), [Packet::PubComp(ack(7))]);
    token(&client.say(&packet(publish(ExactlyOnce, 7, "another"))));
}

fn repeated(packet_id: u16) -> Publish {
    let delivery = Delivery::ExactlyOnce {
        packet_id: id(packet_id),
        duplicate: true,
    };
    Publish {
        delivery,
        ..publish(ExactlyOnce, packet_id, "1")
    }
}

#[test]
fn a_message_that_was_refused_may_come_again() {
    let mut client = Client::plain(Version::V5);
    let first = token(&client.say(&packet(publish(ExactlyOnce, 7, "1"))));
    client
        .connection
        .acknowledge(first, ReasonCode::QuotaExceeded, None);
    assert_eq!(
        client.hear(),
        [Packet::PubRec(ack_with(7, ReasonCode::QuotaExceeded))]
    );
    token(&client.say(&packet(publish(ExactlyOnce, 7, "1"))));
    let unknown = client.say(&Packet::PubRel(ack(8)));
    assert!(unknown.is_empty());
    let answer = ack_with(8, ReasonCode::PacketIdentifierNotFound);
    assert_eq!(client.hear(), [Packet::PubComp(answer)]);
}

#[test]
fn no_more_messages_come_at_once_than_the_receive_maximum() {
    let limits = Limits {
        incoming: 2,
        ..Limits::default()
    };
    let mut client = Client::connected(Version::V5, limits, session(), |_| {});
    let first = token(&client.say(&packet(publish(ExactlyOnce, 1, "1"))));
    client
        .connection
        .acknowledge(first, ReasonCode::Success, None);
    token(&client.say(&packet(publish(AtLeastOnce, 2, "2"))));
    assert!(matches!(
        client.say(&packet(publish(AtMostOnce, 9, "0")))[..],
        [Event::Publish(_)]
    ));
    let events = client.say(&packet(publish(AtLeastOnce, 3, "3")));
    assert_eq!(events, [Event::Failed(ConnectionError::ReceiveMaximum)]);

    let mut older = Client::connected(Version::V3_1_1, limits, session(), |_| {});
    let first = token(&older.say(&packet(publish(AtLeastOnce, 1, "1"))));
    token(&older.say(&packet(publish(AtLeastOnce, 2, "2"))));
    assert!(!older.connection.wants_input());
    assert!(older.say(&packet(publish(AtLeastOnce, 3, "3"))).is_empty());
    older
        .connection
        .acknowledge(first, ReasonCode::Success, None);
    assert!(older.connection.wants_input());
    token(&older.events());
}

#[test]
fn no_more_messages_go_out_at_once_than_the_client_takes() {
    let mut client = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.receive_maximum = std::num::NonZeroU16::new(2).unwrap();
    });
    let now = client.now;
    for key in 0..3 {
        let delivered = client
            .connection
            .deliver(outgoing(key, AtLeastOnce, "x", now), now);
        assert_eq!(
            delivered,
            if key < 2 {
                Delivered::Sent
            } else {
                Delivered::Queued
            }
        );
    }
    assert_eq!(packet_ids(&client.hear()), [1, 2]);
    let settled = |key| Event::Settled {
        key,
        reason: ReasonCode::Success,
    };
    assert_eq!(client.say(&Packet::PubAck(ack(2))), [settled(1)]);
    assert_eq!(packet_ids(&client.hear()), [3]);
    assert_eq!(client.say(&Packet::PubAck(ack(1))), [settled(0)]);
    assert!(client.say(&Packet::PubAck(ack(1))).is_empty());
}

fn packet_ids(packets: &[Packet]) -> Vec<u16> {
    let id = |packet: &Packet| {
        let Packet::Publish(publish) = packet else {
            panic!("{packet:?}")
        };
        publish.delivery.packet_id().unwrap().get()
    };
    packets.iter().map(id).collect()
}

#[test]
fn what_is_not_settled_is_sent_again_in_order() {
    for version in [Version::V3_1_1, Version::V5] {
        let mut client = Client::connected(version, Limits::default(), session(), |_| {});
        let now = client.now;
        for (key, qos) in [
            (0, AtLeastOnce),
            (1, ExactlyOnce),
            (2, ExactlyOnce),
            (3, AtLeastOnce),
        ] {
            client.connection.deliver(outgoing(key, qos, "x", now), now);
        }
        assert_eq!(packet_ids(&client.hear()), [1, 2, 3, 4]);
        let received = Event::Received {
            key: 1,
            packet_id: id(2),
        };
        assert_eq!(client.say(&Packet::PubRec(ack(2))), [received]);
        assert!(client.hear().is_empty(), "not before it is noted");
        client.connection.release(id(2));
        assert_eq!(client.hear(), [Packet::PubRel(ack(2))]);

        let kept = client.connection.take_session().unwrap();
        let kept = Session::restore(kept.to_record(), SessionLimits::default());
        let mut client = Client::new(
            version,
            Limits {
                outgoing: 2,
                ..Limits::default()
            },
        );
        login(&mut client, version, kept);
        let heard = client.hear();
        let [
            Packet::ConnAck(_),
            Packet::Publish(first),
            Packet::PubRel(second),
        ] = &heard[..]
        else {
            panic!("{heard:?}")
        };
        assert!(first.delivery.is_duplicate());
        assert_eq!(second.packet_id, id(2));
        let settled = |key| Event::Settled {
            key,
            reason: ReasonCode::Success,
        };
        assert_eq!(client.say(&Packet::PubComp(ack(2))), [settled(1)]);
        assert_eq!(client.say(&Packet::PubAck(ack(1))), [settled(0)]);
        assert_eq!(packet_ids(&client.hear()), [3, 4]);
    }
}

fn login(client: &mut Client, version: Version, session: Session) {
    use outgate_mqtt::packet::{ConnAck, Connect};
    client.say(&Packet::Connect(Box::new(Connect::new(
        version,
        text("till-1"),
    ))));
    client
        .connection
        .accept(session, ConnAck::new(ReasonCode::Success), client.now);
}

#[test]
fn a_refused_message_is_not_sent_again() {
    let mut client = Client::plain(Version::V5);
    let now = client.now;
    client
        .connection
        .deliver(outgoing(0, ExactlyOnce, "x", now), now);
    client
        .connection
        .deliver(outgoing(1, AtLeastOnce, "x", now), now);
    let no = |packet_id| ack_with(packet_id, ReasonCode::NotAuthorized);
    let settled = |key| Event::Settled {
        key,
        reason: ReasonCode::NotAuthorized,
    };
    assert_eq!(client.say(&Packet::PubRec(no(1))), [settled(0)]);
    assert_eq!(client.say(&Packet::PubAck(no(2))), [settled(1)]);
    assert_eq!(client.connection.session().unwrap().queued(), 0);
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_ends_the_connection() {
    for wrong in [Packet::PubComp(ack(1)), Packet::PubAck(ack(1))] {
        let mut client = Client::plain(Version::V5);
        let now = client.now;
        client
            .connection
            .deliver(outgoing(0, ExactlyOnce, "x", now), now);
        let events = client.say(&wrong);
        assert!(
            matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
            "{events:?}"
        );
        assert_eq!(client.connection.take_session().unwrap().queued(), 1);
    }
}

#[test]
fn a_slow_reader_loses_qos_0_and_keeps_the_rest() {
    let limits = Limits {
        output: 100,
        ..Limits::default()
    };
    let mut client = Client::connected(Version::V5, limits, session(), |_| {});
    let now = client.now;
    let long = "x".repeat(100);
    let mut deliver = |key, qos| {
        client
            .connection
            .deliver(outgoing(key, qos, &long, now), now)
    };
    assert_eq!(deliver(0, AtMostOnce), Delivered::Sent);
    assert_eq!(deliver(1, AtMostOnce), Delivered::Dropped(DropReason::Slow));
    assert_eq!(deliver(2, AtLeastOnce), Delivered::Queued);
    assert_eq!(deliver(3, AtLeastOnce), Delivered::Queued);
    assert_eq!(client.hear().len(), 3);
}

#[test]
fn answers_do_not_pile_up_for_who_does_not_read() {
    let limits = Limits {
        output: 100,
        ..Limits::default()
    };
    let mut client = Client::connected(Version::V3_1_1, limits, session(), |connect| {
        connect.keep_alive = 10;
    });
    client.say_bytes(&[0xC0, 0].repeat(1000));
    assert_eq!(client.connection.output_len(), 100);
    assert!(!client.connection.wants_input());
    assert_eq!(client.hear().len(), 50);
    client.events();
    assert_eq!(client.connection.output_len(), 100);
    let silent = client.wait(std::time::Duration::from_secs(15));
    assert_eq!(silent, [Event::Failed(ConnectionError::KeepAlive)]);
}
