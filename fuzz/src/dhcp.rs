//! Anybody on the local network can answer a DHCP question with anything.

use std::net::Ipv4Addr;

use outgate_wire::dhcp::{ADDRESSES_MAX, Kind, Question};

/// The question that the corpus answers.
const QUESTION: Question = Question {
    kind: Kind::Inform(Ipv4Addr::new(10, 77, 0, 1)),
    id: 0x0102_0304,
    hardware: [2, 0, 0, 0, 0, 7],
};

/// Reads `data` as an answer, as it is and behind a head that answers the question.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or more addresses than its bound.
pub fn dhcp_reply(data: &[u8]) {
    check(data);
    let mut answer = QUESTION.encode();
    answer[0] = 2;
    answer.truncate(240);
    // An answer whose options go on in the fields of file and name (RFC 2132 section 9.3).
    answer.extend([53, 1, 5, 52, 1, 3]);
    answer.extend_from_slice(data);
    let fields = data.len().min(192);
    answer[44..44 + fields].copy_from_slice(&data[..fields]);
    check(&answer);
}

fn check(data: &[u8]) {
    // The other end reads questions from anybody, too.
    if let Ok(question) = Question::decode(data) {
        assert_eq!(
            Question::decode(&question.encode()),
            Ok(question),
            "a question is not what it is read as"
        );
    }
    if let Ok(reply) = QUESTION.read(data) {
        let settings = reply.settings;
        for addresses in [
            settings.routers,
            settings.name_servers,
            settings.time_servers,
        ] {
            assert!(addresses.len() <= ADDRESSES_MAX, "more than the bound");
        }
    }
}
