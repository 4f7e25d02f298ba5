#![cfg(test)]

use proptest::prelude::*;

use super::*;

fn result(operation: u8, code: u8, diagnostic: &str) -> Vec<u8> {
    let result = [
        element(tag::ENUMERATED, &[code]),
        element(tag::OCTETS, b""),
        element(tag::OCTETS, diagnostic.as_bytes()),
    ];
    message(1, &element(operation, &result.concat()))
}

#[test]
fn start_tls_is_asked_for_as_openldap_asks() {
    // ldapsearch -ZZ: 30 1d 02 01 01 77 18 80 16 "1.3.6.1.4.1.1466.20037".
    let mut expected = vec![0x30, 0x1d, 0x02, 0x01, 0x01, 0x77, 0x18, 0x80, 0x16];
    expected.extend(START_TLS.as_bytes());
    assert_eq!(start_tls(1), expected);
    let request = Request::read(&root_dse_search(2)).unwrap().unwrap();
    assert_eq!((request.0, request.1), (2, Request::Search));
    assert_eq!(Request::read(&unbind(3)), Ok(Some((3, Request::Unbind, 7))));
    assert_eq!(unbind(3), [0x30, 0x05, 0x02, 0x01, 0x03, 0x42, 0x00]);
}

#[test]
fn an_entry_and_its_end_are_read_one_after_the_other() {
    let long = "x".repeat(300);
    let bytes = root_dse(1, &[("supportedLDAPVersion", &["3", &long])]);
    let (first, length) = Message::read(&bytes).unwrap().unwrap();
    let attribute = Attribute {
        name: "supportedLDAPVersion".to_owned(),
        values: vec!["3".to_owned(), long],
    };
    assert_eq!(first.said, Said::Entry(vec![attribute]));
    let (second, rest) = Message::read(&bytes[length..]).unwrap().unwrap();
    let diagnostic = String::new();
    assert_eq!(
        second.said,
        Said::Done(Outcome {
            code: 0,
            diagnostic
        })
    );
    assert_eq!(length + rest, bytes.len());
}

#[test]
fn a_message_is_waited_for_until_it_is_whole() {
    let bytes = result(tag::EXTENDED_RESPONSE, 52, "TLS is not set up");
    for end in 0..bytes.len() {
        assert_eq!(Message::read(&bytes[..end]), Ok(None), "{end}");
    }
    let (message, _) = Message::read(&bytes).unwrap().unwrap();
    let Said::Extended(outcome) = message.said else {
        panic!("{message:?}")
    };
    assert_eq!(code_name(outcome.code), "unavailable");
    assert_eq!(outcome.diagnostic, "TLS is not set up");
}

#[test]
fn what_is_not_ldap_is_told_at_its_first_bytes() {
    for (bytes, error) in [
        (
            &b"HTTP/1.1 400"[..],
            LdapError::Tag {
                found: b'H',
                expected: 0x30,
            },
        ),
        (b"\x30\x80", LdapError::Length),
        (b"\x30\x85\0\0\0\0\0", LdapError::Length),
        (b"\x30\x84\xff\xff\xff\xff", LdapError::TooLong),
        (b"\x30\x00", LdapError::Short),
        (b"\x30\x02\x02\x05", LdapError::Length),
        (b"\x30\x04\x02\x00\x65\x00", LdapError::Number),
        (
            b"\x31",
            LdapError::Tag {
                found: 0x31,
                expected: 0x30,
            },
        ),
    ] {
        assert_eq!(Message::read(bytes), Err(error), "{bytes:x?}");
    }
}

#[test]
fn more_values_than_the_bound_are_left_out() {
    let bytes = root_dse(1, &[("supportedExtension", &["1.2.3"; VALUES_MAX + 9])]);
    let (message, _) = Message::read(&bytes).unwrap().unwrap();
    let Said::Entry(attributes) = message.said else {
        panic!("{message:?}")
    };
    assert_eq!(attributes[0].values.len(), VALUES_MAX);
}

proptest! {
    #[test]
    fn no_bytes_panic_and_more_bytes_change_nothing(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        more in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let read = Message::read(&bytes);
        if matches!(read, Ok(Some(_))) {
            let longer = [bytes, more].concat();
            prop_assert_eq!(Message::read(&longer), read);
        }
    }

    #[test]
    fn a_damaged_answer_never_panics(at in 0..60_usize, byte: u8) {
        let mut bytes = root_dse(1, &[("vendorName", &["OpenLDAP", "somebody else"])]);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Message::read(&bytes);
    }

    #[test]
    fn an_outcome_comes_back(code in 0_u8..0x80, diagnostic in ".{0,300}") {
        let bytes = result(tag::DONE, code, &diagnostic);
        let (message, length) = Message::read(&bytes).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        let code = i64::from(code);
        prop_assert_eq!(message.said, Said::Done(Outcome { code, diagnostic }));
    }
}
