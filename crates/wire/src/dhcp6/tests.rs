#![cfg(test)]

use proptest::prelude::*;

use super::*;

const QUESTION: Question = Question {
    id: [1, 2, 3],
    hardware: [2, 0, 0, 0, 0, 7],
};

/// A reply of server `9` with these options.
fn reply(options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut reply = vec![REPLY, 1, 2, 3];
    put(&mut reply, option::SERVER, &[9]);
    for (number, content) in options {
        put(&mut reply, *number, content);
    }
    reply
}

#[test]
fn a_question_is_as_the_standard_draws_it() {
    let question = QUESTION.encode();
    assert_eq!(question.len(), QUESTION_LEN);
    let client = [0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 7];
    assert_eq!(question[..4], [11, 1, 2, 3]);
    assert_eq!(question[4..18], client);
    assert_eq!(question[18..24], [0, 8, 0, 2, 0, 0]);
    assert_eq!(question[24..30], [0, 6, 0, 12, 0, 23]);
}

#[test]
fn every_setting_is_read() {
    let address = |last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last);
    let octets = |last| address(last).octets();
    let both = [octets(1), octets(2)].concat();
    let mut ntp = Vec::new();
    put(&mut ntp, option::NTP_ADDRESS, &octets(3));
    put(&mut ntp, 2, &octets(99));
    put(&mut ntp, option::NTP_NAME, b"\x04time\x04test\0");
    let bytes = reply(&[
        (option::CLIENT, &QUESTION.identifier()),
        (option::STATUS, &SUCCESS),
        (option::NAME_SERVERS, &both),
        (option::DOMAINS, b"\x01a\x04test\0\x04site\x04test"),
        (option::SNTP_SERVERS, &octets(4)),
        (option::NTP_SERVER, &ntp),
        (999, b"whatever"),
    ]);
    let read = QUESTION.read(&bytes).unwrap();
    let expected = Settings {
        name_servers: vec![address(1), address(2)],
        domains: vec!["a.test".to_owned(), "site.test".to_owned()],
        time_servers: vec![address(4), address(3)],
        time_server_names: vec!["time.test".to_owned()],
    };
    assert_eq!((read.server, read.settings), (vec![9], expected));
}

#[test]
fn what_does_not_answer_is_refused() {
    let good = reply(&[]);
    assert!(QUESTION.read(&good).is_ok());
    assert_eq!(QUESTION.read(&good[..3]), Err(Dhcp6Error::TooShort));
    assert_eq!(QUESTION.read(&good[..7]), Err(Dhcp6Error::Cut));
    assert_eq!(QUESTION.read(&good[..4]), Err(Dhcp6Error::NotAReply));
    assert_eq!(
        QUESTION.read(&QUESTION.encode()),
        Err(Dhcp6Error::NotAReply)
    );
    let mut other = good;
    other[2] = 9;
    assert_eq!(QUESTION.read(&other), Err(Dhcp6Error::Another));
    for (number, content, error) in [
        (option::CLIENT, &[0, 3, 0, 1][..], Dhcp6Error::Another),
        (option::STATUS, &[0, 1], Dhcp6Error::NotAReply),
        (option::STATUS, &[], Dhcp6Error::NotAReply),
        (option::DOMAINS, b"\x05a", Dhcp6Error::Cut),
        (option::NTP_SERVER, &[0, 1, 0], Dhcp6Error::Cut),
    ] {
        let bytes = reply(&[(number, content)]);
        assert_eq!(QUESTION.read(&bytes), Err(error), "{number}");
    }
    let pointer = [&[192_u8][..], &[b'a'; 192]].concat();
    let bytes = reply(&[(option::DOMAINS, &pointer)]);
    assert_eq!(QUESTION.read(&bytes), Err(Dhcp6Error::Cut));
}

proptest! {
    #[test]
    fn no_options_panic_and_the_bounds_hold(
        number in prop_oneof![Just(23_u16), Just(24), Just(31), Just(56), any::<u16>()],
        content in proptest::collection::vec(any::<u8>(), 0..400),
        rest in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = [reply(&[(number, &content)]), rest.clone()].concat();
        if let Ok(Reply { server, settings }) = QUESTION.read(&bytes) {
            prop_assert!((1..=IDENTIFIER_MAX).contains(&server.len()));
            prop_assert!(settings.name_servers.len() <= ENTRIES_MAX);
            prop_assert!(settings.domains.len() <= ENTRIES_MAX);
            prop_assert!(settings.time_servers.len() <= ENTRIES_MAX);
            prop_assert!(settings.time_server_names.len() <= ENTRIES_MAX);
        }
        let _ = QUESTION.read(&rest);
    }
}
