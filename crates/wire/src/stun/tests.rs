#![cfg(test)]

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

/// RFC 5769 §2: the transaction of all its samples.
const SAMPLE_ID: TransactionId = TransactionId([
    0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
]);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

/// RFC 5769 §2.1.
fn sample_request() -> Vec<u8> {
    bytes(
        "00010058 2112a442 b7e7a701 bc34d686 fa87dfae
         80220010 5354554e 20746573 7420636c 69656e74
         00240004 6e0001ff 80290008 932ff9b1 51263b36
         00060009 6576746a 3a683676 59202020
         00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
         80280004 e57a3bcf",
    )
}

/// RFC 5769 §2.2.
fn sample_v4() -> Vec<u8> {
    bytes(
        "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200008 0001a147 e112a643
         00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
         80280004 c07d4c96",
    )
}

/// RFC 5769 §2.3.
fn sample_v6() -> Vec<u8> {
    bytes(
        "01010048 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
         00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
         80280004 c8fb0b4c",
    )
}

#[test]
fn the_answers_of_rfc_5769_are_read() {
    for (sample, reflexive) in [
        (sample_v4(), "192.0.2.1:32853"),
        (sample_v6(), "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let message = Message::read(&sample).unwrap();
        assert_eq!((message.class, message.id), (Class::Success, SAMPLE_ID));
        assert_eq!(message.reflexive, Some(reflexive.parse().unwrap()));
        assert_eq!(message.software.as_deref(), Some("test vector"));
        assert!(message.unknown.is_empty());
    }
}

#[test]
fn the_request_of_rfc_5769_is_read_and_what_of_it_is_not_known_is_listed() {
    let message = Message::read(&sample_request()).unwrap();
    assert_eq!((message.class, message.id), (Class::Request, SAMPLE_ID));
    assert_eq!(message.software.as_deref(), Some("STUN test client"));
    assert_eq!(message.unknown, [0x0024], "PRIORITY is one of ICE");
}

#[test]
fn a_flipped_bit_breaks_the_fingerprint() {
    let mut sample = sample_v4();
    sample[26] ^= 1;
    assert_eq!(Message::read(&sample), Err(ReadError::WrongFingerprint));
}

#[test]
fn what_follows_a_fingerprint_is_refused() {
    let mut sample = sample_v4();
    sample.extend([0x80, 0x22, 0, 0]);
    sample[3] += 4;
    assert_eq!(Message::read(&sample), Err(ReadError::WrongFingerprint));
}

#[test]
fn what_is_no_binding_is_told_apart() {
    assert_eq!(
        Message::read(b"SIP/2.0 200 OK\r\n\r\n...."),
        Err(ReadError::NotStun)
    );
    let mut allocate = binding_request(SAMPLE_ID, None);
    allocate[1] = 3;
    assert_eq!(
        Message::read(&allocate),
        Err(ReadError::NotBinding { kind: 3 })
    );
    let mut short = sample_v4();
    short.truncate(60);
    assert_eq!(
        Message::read(&short),
        Err(ReadError::WrongLength { told: 80, came: 60 })
    );
    let mut huge = binding_request(SAMPLE_ID, None);
    huge[2] = 0xff;
    assert_eq!(
        Message::length(huge.first_chunk().unwrap()),
        Err(ReadError::TooLong { length: 0xff14 })
    );
}

#[test]
fn an_error_is_read_with_its_words_and_without_control_characters() {
    let error = ErrorCode {
        code: 420,
        reason: "Unknown\u{7} Attribute".to_owned(),
    };
    let unknown = vec![0x0003];
    let answer = write_answer(SAMPLE_ID, &Answer::Error { error, unknown });
    let message = Message::read(&answer).unwrap();
    assert_eq!(message.class, Class::Error);
    let error = message.error.unwrap();
    assert_eq!(
        (error.code, error.reason.as_str()),
        (420, "Unknown Attribute")
    );
}

#[test]
fn of_an_attribute_that_comes_twice_the_first_counts() {
    let mut message = binding_request(
        SAMPLE_ID,
        Some(Change {
            address: true,
            port: false,
        }),
    );
    message.extend([0, 3, 0, 4, 0, 0, 0, 2]);
    message[3] += 8;
    let change = Message::read(&message).unwrap().change;
    assert!(change.address && !change.port);
}

#[test]
fn a_mapping_is_told_by_who_sees_another() {
    let [one, two, three] = [1, 2, 3].map(|port| SocketAddr::from(([198, 51, 100, 1], port)));
    assert_eq!(mapping(one, one, one), Behaviour::EndpointIndependent);
    assert_eq!(mapping(one, two, two), Behaviour::AddressDependent);
    assert_eq!(mapping(one, two, three), Behaviour::AddressAndPortDependent);
    assert_eq!(mapping(one, one, three), Behaviour::AddressAndPortDependent);
}

#[test]
fn a_filter_is_told_by_who_comes_through() {
    assert_eq!(filtering(true, true), Behaviour::EndpointIndependent);
    assert_eq!(filtering(true, false), Behaviour::EndpointIndependent);
    assert_eq!(filtering(false, true), Behaviour::AddressDependent);
    assert_eq!(filtering(false, false), Behaviour::AddressAndPortDependent);
}

#[test]
fn a_server_cannot_send_us_knocking_anywhere() {
    let check = |server: &str, other: &str| {
        usable_other_address(server.parse().unwrap(), other.parse().unwrap())
    };
    let server = "198.51.100.10:3478";
    assert_eq!(check(server, "198.51.100.11:3479"), Ok(()));
    assert_eq!(check("127.0.0.1:3478", "127.0.0.2:3479"), Ok(()));
    for (other, error) in [
        ("[2001:db8::1]:3479", OtherAddressError::OtherFamily),
        ("198.51.100.10:3479", OtherAddressError::NotOther),
        ("198.51.100.11:3478", OtherAddressError::NotOther),
        ("198.51.100.11:0", OtherAddressError::NotOther),
        ("224.0.0.251:5353", OtherAddressError::NotAHost),
        ("255.255.255.255:9", OtherAddressError::NotAHost),
        ("0.0.0.0:3479", OtherAddressError::NotAHost),
        ("127.0.0.1:53", OtherAddressError::Local),
        ("192.168.1.1:161", OtherAddressError::Local),
        ("100.64.0.1:161", OtherAddressError::Local),
        ("169.254.169.254:80", OtherAddressError::Local),
    ] {
        assert_eq!(check(server, other), Err(error), "{other}");
    }
    let server = "[2001:db8::1]:3478";
    for other in [
        "[::1]:1",
        "[fe80::1]:1",
        "[fd00::1]:1",
        "[::ffff:10.0.0.1]:1",
    ] {
        assert_eq!(
            check(server, other),
            Err(OtherAddressError::Local),
            "{other}"
        );
    }
}

proptest! {
    #[test]
    fn an_answer_comes_back(
        id: [u8; 12],
        reflexive: SocketAddr,
        origin: Option<SocketAddr>,
        other: Option<SocketAddr>,
    ) {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip(), address.port());
        let (reflexive, origin, other) =
            (plain(reflexive), origin.map(plain), other.map(plain));
        let id = TransactionId(id);
        let answer = Answer::Success { reflexive, response_origin: origin, other_address: other };
        let bytes = write_answer(id, &answer);
        prop_assert_eq!(Message::length(bytes.first_chunk().unwrap()), Ok(bytes.len()));
        let message = Message::read(&bytes).unwrap();
        prop_assert_eq!((message.class, message.id), (Class::Success, id));
        prop_assert_eq!(message.reflexive, Some(reflexive));
        prop_assert_eq!(message.response_origin, origin);
        prop_assert_eq!(message.other_address, other);
    }

    #[test]
    fn a_request_comes_back_and_is_no_longer_than_promised(
        id: [u8; 12], address: bool, port: bool,
    ) {
        let change = Change { address, port };
        let bytes = binding_request(TransactionId(id), Some(change));
        prop_assert!(bytes.len() <= REQUEST_MAX);
        let message = Message::read(&bytes).unwrap();
        prop_assert_eq!((message.class, message.change), (Class::Request, change));
    }

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), whole: bool) {
        if whole && bytes.len() >= HEADER_LEN {
            let length = u8::try_from(bytes.len() - HEADER_LEN).unwrap_or(0) & 0xfc;
            bytes.truncate(HEADER_LEN + usize::from(length));
            bytes[..8].copy_from_slice(&[1, 1, 0, length, 0x21, 0x12, 0xa4, 0x42]);
        }
        let _ = Message::read(&bytes);
    }
}
