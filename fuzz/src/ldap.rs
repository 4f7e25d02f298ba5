//! What a directory answers to somebody who has not logged in.

use outgate_wire::ldap::{MESSAGE_MAX, Message, Said, VALUES_MAX};

/// Reads `data` as messages, one after the other.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a message that takes no bytes or
/// more than came, one that reads differently with more behind it, or a bound that does not hold.
pub fn ldap_message(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((message, length))) = Message::read(rest) {
        assert!(0 < length && length <= rest.len() && length <= MESSAGE_MAX);
        let alone = Message::read(&rest[..length]);
        assert_eq!(alone, Ok(Some((message.clone(), length))));
        if let Said::Entry(attributes) = message.said {
            assert!(attributes.iter().all(|it| it.values.len() <= VALUES_MAX));
        }
        rest = &rest[length..];
    }
    if rest.len() >= MESSAGE_MAX + 6 {
        assert_ne!(Message::read(rest), Ok(None), "waits for more than is read");
    }
}
