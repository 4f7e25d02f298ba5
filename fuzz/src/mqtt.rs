//! Anybody can send bytes to the port on which MQTT is spoken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate_mqtt::connection::{Connection, Event, Limits};
use outgate_mqtt::packet::{
    ConnAck, Decoder, Packet, Peer, ReasonCode, SubAck, UnsubAck, Version, encode,
};
use outgate_mqtt::session::{Session, SessionLimits};

/// The largest packet that is read; libFuzzer's inputs are shorter.
const MAX: usize = 1 << 16;

/// How much a connection may answer to so few bytes: each packet of two bytes may be answered with
/// one of four, and each filter of three with a code.
const ANSWERS_MAX: usize = 64;

/// Reads `data` as packets of each version, from a client and from a server.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a packet that reads differently
/// once it is written again.
pub fn mqtt_packet(data: &[u8]) {
    for version in [Version::V3_1, Version::V3_1_1, Version::V5] {
        for from in [Peer::Client, Peer::Server] {
            let decoder = Decoder {
                version,
                max_size: MAX,
                from,
            };
            let mut buffer = data.into();
            while let Ok(Some(packet)) = decoder.decode(&mut buffer) {
                check_again(&decoder, &packet);
            }
        }
    }
}

fn check_again(decoder: &Decoder, packet: &Packet) {
    let mut written = bytes::BytesMut::new();
    let result = encode(packet, decoder.version, &mut written);
    assert_eq!(result, Ok(()), "{packet:?} was read");
    let read = decoder.decode(&mut written);
    assert_eq!(
        read.as_ref(),
        Ok(&Some(packet.clone())),
        "read again after writing"
    );
}

/// Hands `data` to a connection, in pieces as its own bytes say, and answers what it asks.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more output than the stated bound,
/// or an event after the end.
pub fn mqtt_connection(data: &[u8]) {
    let now = start();
    let limits = Limits {
        output: 4096,
        ..Limits::default()
    };
    let mut connection = Connection::new(Arc::new(limits), now);
    for piece in data.chunks(usize::from(data.first().copied().unwrap_or(1)).max(1)) {
        connection.handle_bytes(piece, now);
        while let Some(event) = connection.poll_event(now) {
            let is_end = matches!(event, Event::Failed(_) | Event::Disconnect(_));
            answer(&mut connection, event, now);
            assert_eq!(connection.is_closed(), is_end, "the end is told, once");
        }
        let written = connection.take_output(now).len();
        assert!(
            written <= 4096 + ANSWERS_MAX * (data.len() + 8),
            "{written} bytes of output"
        );
    }
    connection.handle_timeout(now + Duration::from_secs(1 << 20));
    assert!(
        connection
            .poll_event(now)
            .is_none_or(|event| matches!(event, Event::Failed(_)))
    );
}

fn answer(connection: &mut Connection, event: Event, now: Instant) {
    match event {
        Event::Connect(_) => {
            let session = Session::new(SessionLimits::default());
            connection.accept(session, ConnAck::new(ReasonCode::Success), now);
        }
        Event::Publish(incoming) => {
            if let Some(token) = incoming.token {
                connection.acknowledge(token, ReasonCode::Success, None);
            }
        }
        Event::Subscribe(subscribe) => connection.answer_subscribe(SubAck {
            packet_id: subscribe.packet_id,
            reasons: vec![ReasonCode::Success; subscribe.filters.len()],
            reason_string: None,
            user_properties: Vec::new(),
        }),
        Event::Unsubscribe(unsubscribe) => connection.answer_unsubscribe(UnsubAck {
            packet_id: unsubscribe.packet_id,
            reasons: vec![ReasonCode::Success; unsubscribe.filters.len()],
            reason_string: None,
            user_properties: Vec::new(),
        }),
        Event::Received { packet_id, .. } => connection.release(packet_id),
        Event::Released { packet_id } => connection.complete(packet_id),
        Event::Auth(_)
        | Event::Settled { .. }
        | Event::Dropped { .. }
        | Event::Disconnect(_)
        | Event::Failed(_) => {}
    }
}

/// A moment. The connection has no other clock than this.
fn start() -> Instant {
    Instant::now()
}
