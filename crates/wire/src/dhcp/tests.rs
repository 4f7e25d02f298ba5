#![cfg(test)]

use proptest::prelude::*;

use super::*;

const QUESTION: Question = Question {
    kind: Kind::Inform(Ipv4Addr::new(10, 77, 0, 1)),
    id: 0x0102_0304,
    hardware: [2, 0, 0, 0, 0, 7],
};

/// A reply with these options.
fn reply(options: &[u8]) -> Vec<u8> {
    let mut reply = QUESTION.encode();
    reply[0] = 2;
    reply.truncate(OPTIONS_AT);
    reply.extend(options);
    reply
}

#[test]
fn a_question_is_as_the_standard_draws_it() {
    let inform = QUESTION.encode();
    assert_eq!(inform.len(), 300);
    assert_eq!(inform[..12], [1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
    assert_eq!(inform[12..16], [10, 77, 0, 1]);
    assert_eq!(inform[28..34], QUESTION.hardware);
    assert_eq!(inform[236..243], [99, 130, 83, 99, 53, 1, 8]);
    let discover = Question {
        kind: Kind::Discover,
        ..QUESTION
    };
    let discover = discover.encode();
    assert_eq!(discover[10..16], [0x80, 0, 0, 0, 0, 0]);
    assert_eq!(discover[240..243], [53, 1, 1]);
}

#[test]
fn every_setting_is_read() {
    let mut options = vec![53, 1, 5, 54, 4, 10, 0, 0, 1, 0, 0];
    options.extend([3, 4, 10, 0, 0, 1, 6, 8, 10, 0, 0, 2, 10, 0, 0, 3]);
    options.extend(b"\x0f\x06t.test\x33\x04\0\0\x0e\x10");
    options.extend([42, 4, 10, 0, 0, 4, 43, 3, 1, 1, 9, 99, 2, 7, 7]);
    options.extend(b"\x42\x05prov\0\x43\x04file\xfc\x0dhttp://w/wpad\xff");
    // What stands behind the end does not count.
    options.extend([3, 4, 9, 9, 9, 9]);
    let read = QUESTION.read(&reply(&options)).unwrap();
    assert_eq!(read.server, Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(read.answer, Answer::Acknowledgement);
    let address = |last| Ipv4Addr::new(10, 0, 0, last);
    let expected = Settings {
        routers: vec![address(1)],
        name_servers: vec![address(2), address(3)],
        domain: Some("t.test".to_owned()),
        lease_seconds: Some(3600),
        time_servers: vec![address(4)],
        vendor: Some(vec![1, 1, 9]),
        tftp_server: Some("prov".to_owned()),
        boot_file: Some("file".to_owned()),
        proxy_script: Some("http://w/wpad".to_owned()),
    };
    assert_eq!(read.settings, expected);
}

#[test]
fn options_in_parts_and_in_other_fields_are_put_together() {
    let mut bytes = reply(b"\x35\x01\x02\x34\x01\x03\xfc\x03htt\xfc\x02p:\xff");
    bytes[NAME][..7].copy_from_slice(b"\x42\x03pbx\xff\0");
    bytes[FILE][..8].copy_from_slice(b"\xfc\x03//w\xff\0\0");
    let settings = QUESTION.read(&bytes).unwrap().settings;
    assert_eq!(settings.proxy_script.as_deref(), Some("http://w"));
    assert_eq!(settings.tftp_server.as_deref(), Some("pbx"));
    assert_eq!(settings.boot_file, None);
    let mut bytes = reply(&[53, 1, 2, 255]);
    bytes[FILE][..3].copy_from_slice(b"pxe");
    let settings = QUESTION.read(&bytes).unwrap().settings;
    assert_eq!(settings.boot_file.as_deref(), Some("pxe"));
}

#[test]
fn what_does_not_answer_is_refused() {
    let good = reply(&[53, 1, 5, 255]);
    assert!(QUESTION.read(&good).is_ok());
    assert_eq!(QUESTION.read(&good[..239]), Err(DhcpError::TooShort));
    assert_eq!(QUESTION.read(&QUESTION.encode()), Err(DhcpError::NotAReply));
    // A refusal, and no kind at all.
    assert_eq!(
        QUESTION.read(&reply(&[53, 1, 6])),
        Err(DhcpError::NotAReply)
    );
    assert_eq!(QUESTION.read(&reply(&[])), Err(DhcpError::NotAReply));
    for cut in [&[53][..], &[53, 2, 5], &[53, 1, 5, 42, 200, 1]] {
        assert_eq!(QUESTION.read(&reply(cut)), Err(DhcpError::Cut), "{cut:?}");
    }
    for at in [4, 30] {
        let mut other = good.clone();
        other[at] ^= 1;
        assert_eq!(QUESTION.read(&other), Err(DhcpError::Another));
    }
    let mut no_cookie = good;
    no_cookie[236] = 0;
    assert_eq!(QUESTION.read(&no_cookie), Err(DhcpError::NotAReply));
}

#[test]
fn a_server_reads_both_questions_and_nothing_else() {
    let discover = Question {
        kind: Kind::Discover,
        ..QUESTION
    };
    for question in [QUESTION, discover] {
        assert_eq!(Question::decode(&question.encode()), Ok(question));
    }
    let refused = |at: usize, byte| {
        let mut other = QUESTION.encode();
        other[at] = byte;
        Question::decode(&other)
    };
    // An answer, another network than Ethernet, no options, a request for an address.
    for (at, byte) in [(0, 2), (1, 6), (2, 8), (236, 0), (242, 3)] {
        assert_eq!(refused(at, byte), Err(DhcpError::NotAQuestion), "{at}");
    }
    assert_eq!(
        Question::decode(&QUESTION.encode()[..239]),
        Err(DhcpError::TooShort)
    );
}

#[test]
fn what_is_too_long_for_one_option_comes_in_parts_and_is_put_together() {
    let reply = Reply {
        answer: Answer::Offer,
        server: Ipv4Addr::UNSPECIFIED,
        settings: Settings {
            proxy_script: Some("x".repeat(600)),
            ..Settings::default()
        },
    };
    let bytes = reply.encode(&QUESTION, Ipv4Addr::new(10, 0, 0, 9));
    assert_eq!(bytes[16..20], [10, 0, 0, 9]);
    assert_eq!(QUESTION.read(&bytes), Ok(reply));
}

proptest! {
    #[test]
    fn what_a_server_tells_is_what_is_read(
        offer: bool,
        server: [u8; 4],
        lease_seconds: Option<u32>,
        lists in proptest::collection::vec(proptest::collection::vec(any::<[u8; 4]>(), 0..8), 3),
        vendor in proptest::collection::vec(any::<u8>(), 1..300),
        texts in proptest::collection::vec(proptest::option::of("[a-z:/.]{1,300}"), 4),
    ) {
        let list = |at: usize| lists[at].iter().copied().map(Ipv4Addr::from).collect();
        let reply = Reply {
            answer: if offer { Answer::Offer } else { Answer::Acknowledgement },
            server: server.into(),
            settings: Settings {
                routers: list(0),
                name_servers: list(1),
                domain: texts[0].clone(),
                lease_seconds,
                time_servers: list(2),
                vendor: Some(vendor),
                tftp_server: texts[1].clone(),
                boot_file: texts[2].clone(),
                proxy_script: texts[3].clone(),
            },
        };
        let bytes = reply.encode(&QUESTION, Ipv4Addr::new(10, 0, 0, 9));
        prop_assert_eq!(QUESTION.read(&bytes), Ok(reply));
    }

    #[test]
    fn no_bytes_panic_a_server(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Question::decode(&bytes);
    }

    #[test]
    fn no_options_panic_and_the_bounds_hold(
        options in proptest::collection::vec(any::<u8>(), 0..400),
        fields in proptest::collection::vec(any::<u8>(), 192),
        overload in 0_u8..4,
    ) {
        let head = [&[53, 1, 5, 52, 1, overload][..], &options].concat();
        let mut bytes = reply(&head);
        bytes[44..236].copy_from_slice(&fields);
        if let Ok(read) = QUESTION.read(&bytes) {
            prop_assert!(read.settings.routers.len() <= ADDRESSES_MAX);
        }
        let _ = QUESTION.read(&options);
    }

    #[test]
    fn addresses_come_back(octets in proptest::collection::vec(any::<[u8; 4]>(), 0..20)) {
        let content = octets.concat();
        let length = u8::try_from(content.len()).unwrap();
        let options = [&[53, 1, 5, 42, length][..], &content].concat();
        let read = QUESTION.read(&reply(&options)).unwrap().settings.time_servers;
        let expected: Vec<_> = octets.into_iter().take(8).map(Ipv4Addr::from).collect();
        prop_assert_eq!(read, expected);
    }
}
