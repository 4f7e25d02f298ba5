//! Anybody on the local network can answer a DHCPv6 question with anything.

use outgate_wire::dhcp6::{ENTRIES_MAX, Question};

/// The question that the corpus answers.
const QUESTION: Question = Question {
    id: [1, 2, 3],
    hardware: [2, 0, 0, 0, 0, 7],
};

/// Reads `data` as an answer, as it is and behind a head and a server that answer the question.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or more entries than its bound.
pub fn dhcp6_reply(data: &[u8]) {
    check(data);
    let mut answer = vec![7, 1, 2, 3, 0, 2, 0, 1, 9];
    answer.extend_from_slice(data);
    check(&answer);
}

fn check(data: &[u8]) {
    if let Ok(reply) = QUESTION.read(data) {
        assert!(!reply.server.is_empty(), "a server that is nobody");
        let settings = reply.settings;
        for entries in [settings.name_servers, settings.time_servers] {
            assert!(entries.len() <= ENTRIES_MAX, "more than the bound");
        }
        for entries in [settings.domains, settings.time_server_names] {
            assert!(entries.len() <= ENTRIES_MAX, "more than the bound");
        }
    }
}
