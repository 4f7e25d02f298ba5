//! Bytes written by hand after the standard's text, and the verdict on them.

use bytes::BytesMut;

use outgate_mqtt::packet::{DecodeError, Decoder, Packet, Peer, ReasonCode, Version, decode};

use ReasonCode::{
    MalformedPacket, ProtocolError, TopicAliasInvalid, TopicFilterInvalid, TopicNameInvalid,
    UnsupportedProtocolVersion,
};
use Version::{V3_1, V3_1_1, V5};

/// What is read, by which version, and the reason code that it is refused with.
const REFUSED: &[(&str, Version, &[u8], ReasonCode)] = &[
    ("a packet of type 0", V5, &[0x00, 0], MalformedPacket),
    ("AUTH in 3.1.1", V3_1_1, &[0xF0, 0], MalformedPacket),
    ("a flag on PINGREQ", V5, &[0xC1, 0], MalformedPacket),
    (
        "PINGREQ with a body",
        V3_1_1,
        &[0xC0, 1, 0],
        MalformedPacket,
    ),
    (
        "SUBSCRIBE without its flag",
        V5,
        &[0x80, 6, 0, 1, 0, 1, b'a', 0],
        MalformedPacket,
    ),
    (
        "PUBREL without its flag",
        V3_1_1,
        &[0x60, 2, 0, 1],
        MalformedPacket,
    ),
    (
        "a length of five bytes",
        V5,
        &[0x30, 0xFF, 0xFF, 0xFF, 0xFF],
        MalformedPacket,
    ),
    (
        "a length longer than needed",
        V5,
        &[0xC0, 0x80, 0x00],
        MalformedPacket,
    ),
    (
        "QoS 3",
        V3_1_1,
        &[0x36, 5, 0, 1, b'a', 0, 1],
        MalformedPacket,
    ),
    (
        "a repetition of QoS 0",
        V3_1_1,
        &[0x38, 3, 0, 1, b'a'],
        MalformedPacket,
    ),
    (
        "packet identifier 0",
        V3_1_1,
        &[0x32, 5, 0, 1, b'a', 0, 0],
        ProtocolError,
    ),
    (
        "packet identifier 0 of PUBACK",
        V5,
        &[0x40, 2, 0, 0],
        ProtocolError,
    ),
    (
        "# in a topic",
        V3_1_1,
        &[0x30, 5, 0, 3, b'a', b'/', b'#'],
        TopicNameInvalid,
    ),
    (
        "+ in a topic",
        V3_1_1,
        &[0x30, 3, 0, 1, b'+'],
        TopicNameInvalid,
    ),
    (
        "U+0000 in a topic",
        V3_1_1,
        &[0x30, 4, 0, 2, b'a', 0],
        MalformedPacket,
    ),
    (
        "a surrogate",
        V5,
        &[0x30, 6, 0, 3, 0xED, 0xA0, 0x80, 0],
        MalformedPacket,
    ),
    ("an empty topic", V3_1_1, &[0x30, 2, 0, 0], ProtocolError),
    (
        "no topic and no alias",
        V5,
        &[0x30, 3, 0, 0, 0],
        ProtocolError,
    ),
    (
        "alias 0",
        V5,
        &[0x30, 6, 0, 0, 3, 0x23, 0, 0],
        TopicAliasInvalid,
    ),
    (
        "a subscription identifier",
        V5,
        &[0x30, 6, 0, 1, b'a', 2, 0x0B, 1],
        ProtocolError,
    ),
    (
        "two expiries",
        V5,
        &[0x30, 14, 0, 1, b'a', 10, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1],
        ProtocolError,
    ),
    (
        "a property of CONNECT",
        V5,
        &[0x30, 7, 0, 1, b'a', 3, 0x21, 0, 1],
        MalformedPacket,
    ),
    (
        "property 0x7F",
        V5,
        &[0x30, 6, 0, 1, b'a', 2, 0x7F, 1],
        MalformedPacket,
    ),
    (
        "a property beyond the end",
        V5,
        &[0x30, 6, 0, 1, b'a', 2, 0x26, 0],
        MalformedPacket,
    ),
    (
        "properties beyond the end",
        V5,
        &[0x30, 4, 0, 1, b'a', 9],
        MalformedPacket,
    ),
    (
        "payload format 2",
        V5,
        &[0x30, 6, 0, 1, b'a', 2, 1, 2],
        ProtocolError,
    ),
    (
        "a# as filter",
        V3_1_1,
        &[0x82, 7, 0, 1, 0, 2, b'a', b'#', 0],
        TopicFilterInvalid,
    ),
    (
        "#/a as filter",
        V3_1_1,
        &[0x82, 8, 0, 1, 0, 3, b'#', b'/', b'a', 0],
        TopicFilterInvalid,
    ),
    (
        "+a as filter",
        V3_1_1,
        &[0x82, 7, 0, 1, 0, 2, b'+', b'a', 0],
        TopicFilterInvalid,
    ),
    (
        "an empty filter",
        V3_1_1,
        &[0x82, 5, 0, 1, 0, 0, 0],
        ProtocolError,
    ),
    (
        "a subscription of QoS 3",
        V3_1_1,
        &[0x82, 6, 0, 1, 0, 1, b'a', 3],
        ProtocolError,
    ),
    (
        "options of 5.0 in 3.1.1",
        V3_1_1,
        &[0x82, 6, 0, 1, 0, 1, b'a', 4],
        MalformedPacket,
    ),
    (
        "a reserved option",
        V5,
        &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x40],
        MalformedPacket,
    ),
    (
        "retain handling 3",
        V5,
        &[0x82, 7, 0, 1, 0, 0, 1, b'a', 0x30],
        ProtocolError,
    ),
    ("no filter", V3_1_1, &[0x82, 2, 0, 1], ProtocolError),
    (
        "nothing to unsubscribe",
        V3_1_1,
        &[0xA2, 2, 0, 1],
        ProtocolError,
    ),
    (
        "subscription identifier 0",
        V5,
        &[0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, b'a', 0],
        ProtocolError,
    ),
    (
        "a CONNACK from a client",
        V5,
        &[0x20, 3, 0, 0, 0],
        ProtocolError,
    ),
    (
        "a PINGRESP from a client",
        V3_1_1,
        &[0xD0, 0],
        ProtocolError,
    ),
    (
        "a SUBACK from a client",
        V3_1_1,
        &[0x90, 3, 0, 1, 0],
        ProtocolError,
    ),
    (
        "a reason of another packet",
        V5,
        &[0x40, 3, 0, 1, 0x92],
        ProtocolError,
    ),
    ("no such reason", V5, &[0xE0, 1, 0x03], ProtocolError),
    (
        "a body of DISCONNECT in 3.1.1",
        V3_1_1,
        &[0xE0, 1, 0],
        MalformedPacket,
    ),
    (
        "bytes after PUBACK",
        V3_1_1,
        &[0x40, 3, 0, 1, 0],
        MalformedPacket,
    ),
    (
        "MQTT 6",
        V5,
        b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00",
        UnsupportedProtocolVersion,
    ),
    (
        "MQXX",
        V5,
        b"\x10\x0c\x00\x04MQXX\x04\x02\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "a reserved flag",
        V5,
        b"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "will QoS 3",
        V5,
        b"\x10\x11\x00\x04MQTT\x04\x1e\x00\x00\x00\x00\x00\x01a\x00\x00",
        MalformedPacket,
    ),
    (
        "will QoS 3 in 5.0",
        V5,
        b"\x10\x13\x00\x04MQTT\x05\x1e\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x00",
        MalformedPacket,
    ),
    (
        "will QoS without will",
        V5,
        b"\x10\x0c\x00\x04MQTT\x04\x08\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "password without name",
        V5,
        b"\x10\x0e\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "bytes after CONNECT",
        V5,
        b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "receive maximum 0",
        V5,
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00",
        ProtocolError,
    ),
    (
        "packet size 0",
        V5,
        b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x00",
        ProtocolError,
    ),
    (
        "data without method",
        V5,
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x16\x00\x00\x00\x00",
        ProtocolError,
    ),
    (
        "a long length in CONNECT",
        V5,
        b"\x10\x8d\x00\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00",
        MalformedPacket,
    ),
    (
        "a shared filter without one",
        V5,
        b"\x82\x0e\x00\x01\x00\x00\x08$share/g\x00",
        ProtocolError,
    ),
    (
        "no local, shared",
        V5,
        b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04",
        ProtocolError,
    ),
];

/// More than any packet of this file takes.
const MAX: usize = 1024;

fn read(version: Version, bytes: &[u8]) -> Result<Option<Packet>, DecodeError> {
    decode(&mut BytesMut::from(bytes), version, MAX)
}

#[test]
fn what_the_standard_forbids_is_refused_with_its_reason() {
    for (what, version, bytes, reason) in REFUSED {
        let read = read(*version, bytes);
        assert_eq!(read.map_err(DecodeError::reason), Err(*reason), "{what}");
    }
}

#[test]
fn what_the_standard_allows_is_read() {
    for (what, version, bytes) in [
        (
            "a length longer than needed in 3.1.1",
            V3_1_1,
            &[0xC0, 0x80, 0x00][..],
        ),
        (
            "a repeated SUBSCRIBE in 3.1",
            V3_1,
            &[0x8A, 6, 0, 1, 0, 1, b'a', 0],
        ),
        (
            "an alias without a topic",
            V5,
            &[0x30, 6, 0, 0, 3, 0x23, 0, 1],
        ),
        (
            "two user properties",
            V5,
            b"\x30\x12\0\x01a\x0e\x26\0\x01k\0\x01v\x26\0\x01k\0\x01v",
        ),
        ("DISCONNECT with its length only", V5, &[0xE0, 0]),
        ("DISCONNECT with no properties", V5, &[0xE0, 2, 4, 0]),
        ("PUBACK with its reason only", V5, &[0x40, 3, 0, 1, 0x10]),
        ("AUTH with its length only", V5, &[0xF0, 0]),
        (
            "CONNECT of 3.1",
            V5,
            b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a",
        ),
        (
            "a password alone in 5.0",
            V3_1_1,
            b"\x10\x10\x00\x04MQTT\x05\x42\x00\x00\x00\x00\x00\x00\x01p",
        ),
    ] {
        assert!(
            matches!(read(version, bytes), Ok(Some(_))),
            "{what}: {:?}",
            read(version, bytes)
        );
    }
}

#[test]
fn a_packet_that_is_too_large_is_refused_by_its_first_bytes() {
    let limited = |max_size| Decoder {
        version: V5,
        max_size,
        from: Peer::Client,
    };
    let mut start = BytesMut::from(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F][..]);
    assert_eq!(limited(MAX).decode(&mut start), Err(DecodeError::TooLarge));
    let whole = [0x30, 5, 0, 1, b'a', 0, 0];
    assert!(
        limited(7)
            .decode(&mut BytesMut::from(&whole[..]))
            .unwrap()
            .is_some()
    );
    let beginning = &mut BytesMut::from(&whole[..2]);
    assert_eq!(limited(6).decode(beginning), Err(DecodeError::TooLarge));
}

#[test]
fn a_packet_is_read_once_it_is_whole_and_the_rest_stays() {
    let bytes = b"\x30\x07\0\x01a\0abc\xC0\0";
    for length in 0..9 {
        assert_eq!(read(V5, &bytes[..length]), Ok(None), "{length}");
    }
    let mut buffer = BytesMut::from(&bytes[..]);
    let Ok(Some(Packet::Publish(publish))) = decode(&mut buffer, V5, MAX) else {
        panic!("no PUBLISH")
    };
    assert_eq!(&publish.payload[..], b"abc");
    assert_eq!(decode(&mut buffer, V5, MAX), Ok(Some(Packet::PingReq)));
    assert!(buffer.is_empty());
}

#[test]
fn passwords_are_not_shown() {
    let connect = read(V5, b"\x10\x12\0\x04MQTT\x04\xc2\0\0\0\0\0\x01u\0\x01Z");
    let shown = format!("{:?}", connect.unwrap().unwrap());
    assert!(
        shown.contains("\"u\"") && !shown.contains('Z') && !shown.contains("90"),
        "{shown}"
    );
}
