//! From the first byte to the end of a login, and how a connection ends.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;

use outgate_mqtt::connection::{ConnectionError, Event, Limits};
use outgate_mqtt::packet::{
    Auth, Authentication, ConnAck, Connect, DecodeError, Disconnect, Packet, ReasonCode, Version,
};

use crate::client::{Client, packet, publish, session, text};
use outgate_mqtt::packet::QoS;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_answer_states_the_connections_limits() {
    let limits = Limits {
        keep_alive: 60,
        ..Limits::default()
    };
    let mut client = Client::new(Version::V5, limits);
    let connect = Connect {
        keep_alive: 600,
        ..Connect::new(Version::V5, text("till-1"))
    };
    let events = client.say(&Packet::Connect(Box::new(connect.clone())));
    assert_eq!(events, [Event::Connect(Box::new(connect))]);
    assert!(!client.connection.wants_input());
    let answer = ConnAck {
        session_present: true,
        ..ConnAck::new(ReasonCode::Success)
    };
    client.connection.accept(session(), answer, client.now);
    let said = client.hear();
    let [Packet::ConnAck(said)] = &said[..] else {
        panic!("{said:?}")
    };
    assert!(said.session_present);
    assert_eq!(said.receive_maximum, NonZeroU16::new(64).unwrap());
    assert_eq!(said.maximum_packet_size.unwrap().get(), 1 << 20);
    assert_eq!(said.topic_alias_maximum, 16);
    assert_eq!(said.server_keep_alive, Some(60));
    assert!(client.wait(89 * SECOND).is_empty());
    assert_eq!(
        client.wait(SECOND),
        [Event::Failed(ConnectionError::KeepAlive)]
    );
    let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::KeepAliveTimeout));
    assert_eq!(client.hear(), [goodbye]);
}

#[test]
fn a_refused_client_is_told_why() {
    for (version, number) in [(Version::V3_1_1, 4), (Version::V5, 0x86)] {
        let mut client = Client::new(version, Limits::default());
        client.say(&Packet::Connect(Box::new(Connect::new(
            version,
            text("till-1"),
        ))));
        client
            .connection
            .refuse(ConnAck::new(ReasonCode::BadUserNameOrPassword));
        assert!(client.connection.is_closed());
        let output = client.connection.take_output(client.now);
        assert_eq!(output[..4], [0x20, output[1], 0, number]);
        assert!(client.connection.take_session().is_none());
    }
}

#[test]
fn a_version_that_is_not_spoken_is_answered_in_its_own_way() {
    for (level, answer) in [(2, &[0x20, 2, 0, 1][..]), (6, &[0x20, 3, 0, 0x84, 0])] {
        let mut client = Client::new(Version::V5, Limits::default());
        let connect = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 0, 0, 0];
        let error = ConnectionError::Decode(DecodeError::Version { level });
        assert_eq!(client.say_bytes(&connect), [Event::Failed(error)]);
        assert_eq!(client.connection.take_output(client.now), answer);
    }
}

#[test]
fn what_is_not_mqtt_gets_no_answer() {
    let mut client = Client::new(Version::V5, Limits::default());
    let events = client.say_bytes(b"GET / HTTP/1.1\r\n\r\n");
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Decode(_))]),
        "{events:?}"
    );
    assert!(client.connection.is_closed() && client.hear().is_empty());
}

#[test]
fn the_first_packet_is_connect_and_there_is_only_one() {
    let mut client = Client::new(Version::V3_1_1, Limits::default());
    let events = client.say(&Packet::PingReq);
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
        "{events:?}"
    );

    let mut client = Client::plain(Version::V5);
    let again = Connect::new(Version::V5, text("till-1"));
    let events = client.say(&Packet::Connect(Box::new(again)));
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
        "{events:?}"
    );
    let goodbye = Packet::Disconnect(Disconnect::new(ReasonCode::ProtocolError));
    assert_eq!(client.hear(), [goodbye]);
}

#[test]
fn a_login_takes_a_bounded_time_and_size() {
    let mut client = Client::new(Version::V5, Limits::default());
    assert!(client.say_bytes(&[0x10, 100, 0]).is_empty());
    assert_eq!(
        client.wait(10 * SECOND),
        [Event::Failed(ConnectionError::LoginTimeout)]
    );

    let mut client = Client::new(Version::V5, Limits::default());
    let too_large = ConnectionError::Decode(DecodeError::TooLarge);
    assert_eq!(
        client.say_bytes(&[0x10, 0x80, 0x80, 0x04]),
        [Event::Failed(too_large)]
    );
}

#[test]
fn client_identifiers_are_as_each_version_wants_them() {
    for (version, clean_start, client_id, is_taken) in [
        (Version::V3_1, true, "", false),
        (Version::V3_1, true, "12345678901234567890123", true),
        (Version::V3_1, true, "123456789012345678901234", false),
        (Version::V3_1_1, false, "", false),
        (Version::V3_1_1, true, "", true),
        (Version::V5, false, "", true),
    ] {
        let mut client = Client::new(version, Limits::default());
        let connect = Connect {
            clean_start,
            ..Connect::new(version, text(client_id))
        };
        let events = client.say(&Packet::Connect(Box::new(connect)));
        assert_eq!(
            matches!(events[..], [Event::Connect(_)]),
            is_taken,
            "{version:?} {client_id}"
        );
        if !is_taken {
            assert_eq!(
                client.connection.take_output(client.now)[..],
                [0x20, 2, 0, 2]
            );
        }
    }
}

#[test]
fn what_comes_before_the_decision_waits_for_it() {
    let mut client = Client::new(Version::V3_1_1, Limits::default());
    let connect = Connect::new(Version::V3_1_1, text("till-1"));
    client.say(&Packet::Connect(Box::new(connect)));
    assert!(
        client
            .say(&packet(publish(QoS::AtMostOnce, 1, "early")))
            .is_empty()
    );
    client
        .connection
        .accept(session(), ConnAck::new(ReasonCode::Success), client.now);
    assert!(matches!(client.events()[..], [Event::Publish(_)]));
}

#[test]
fn only_what_comes_in_keeps_a_connection_alive() {
    let mut client = Client::connected(Version::V3_1_1, Limits::default(), session(), |connect| {
        connect.keep_alive = 10;
    });
    assert!(client.wait(14 * SECOND).is_empty());
    client.say(&Packet::PingReq);
    assert_eq!(client.hear(), [Packet::PingResp]);
    assert!(client.wait(14 * SECOND).is_empty());
    // Half a packet is no sign of life, and neither is what the server sends.
    client.say_bytes(&[0x30, 0x7F, 0]);
    client.connection.deliver(
        crate::client::outgoing(1, QoS::AtMostOnce, "x", client.now),
        client.now,
    );
    assert_eq!(
        client.wait(SECOND),
        [Event::Failed(ConnectionError::KeepAlive)]
    );
    assert!(client.connection.take_session().is_some());

    let mut quiet = Client::plain(Version::V3_1_1);
    assert_eq!(quiet.connection.poll_timeout(), None);
    assert!(quiet.wait(1_000_000 * SECOND).is_empty());
}

#[test]
fn a_large_packet_on_a_slow_line_keeps_a_connection_alive() {
    let mut client = Client::connected(Version::V3_1_1, Limits::default(), session(), |connect| {
        connect.keep_alive = 10;
    });
    client.say_bytes(&[0x30, 0x80, 0x80, 0x04, 0, 1, b'a']);
    for _ in 0..8 {
        client.say_bytes(&[0; 1024]);
        assert!(client.wait(14 * SECOND).is_empty());
    }
}

#[test]
fn enhanced_authentication_takes_as_many_steps_as_it_wants() {
    let mut client = Client::new(Version::V5, Limits::default());
    let method = |data: &'static str| {
        Some(Authentication {
            method: text("SCRAM-SHA-256"),
            data: Some(Bytes::from_static(data.as_bytes())),
        })
    };
    let step = |reason, data| Auth {
        reason,
        authentication: method(data),
        reason_string: None,
        user_properties: Vec::new(),
    };
    let mut connect = Connect::new(Version::V5, text("till-1"));
    connect.authentication = method("first");
    client.say(&Packet::Connect(Box::new(connect)));
    client
        .connection
        .challenge(Some(Bytes::from_static(b"server-first")));
    let challenge = step(ReasonCode::ContinueAuthentication, "server-first");
    assert_eq!(client.hear(), [Packet::Auth(Box::new(challenge))]);
    let last = Box::new(step(ReasonCode::ContinueAuthentication, "last"));
    assert_eq!(client.say(&Packet::Auth(last.clone())), [Event::Auth(last)]);
    client
        .connection
        .accept(session(), ConnAck::new(ReasonCode::Success), client.now);
    assert!(matches!(client.hear()[..], [Packet::ConnAck(_)]));

    let again = Box::new(step(ReasonCode::ReAuthenticate, "again"));
    assert_eq!(
        client.say(&Packet::Auth(again.clone())),
        [Event::Auth(again)]
    );
    client
        .connection
        .continue_authentication(step(ReasonCode::Success, "done"));
    assert!(matches!(client.hear()[..], [Packet::Auth(_)]));

    let mut other = step(ReasonCode::ReAuthenticate, "again");
    other.authentication.as_mut().unwrap().method = text("PLAIN");
    let events = client.say(&Packet::Auth(Box::new(other)));
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
        "{events:?}"
    );
}

#[test]
fn a_session_cannot_be_made_to_last_at_its_end() {
    let goodbye = Disconnect {
        session_expiry: Some(60),
        ..Disconnect::new(ReasonCode::Success)
    };
    let goodbye = Packet::Disconnect(goodbye);
    let mut client = Client::plain(Version::V5);
    let events = client.say(&goodbye);
    assert!(
        matches!(events[..], [Event::Failed(ConnectionError::Unexpected(_))]),
        "{events:?}"
    );

    let mut client = Client::connected(Version::V5, Limits::default(), session(), |connect| {
        connect.session_expiry = 1;
    });
    assert!(matches!(client.say(&goodbye)[..], [Event::Disconnect(_)]));
    assert!(client.connection.is_closed());
}

#[test]
fn an_idle_connection_is_small() {
    let client = Client::plain(Version::V5);
    let own = size_of_val(&client.connection);
    assert!(own <= 176, "{own} bytes");
}
