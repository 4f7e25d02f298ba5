//! The first words of an XMPP server.

use outgate_wire::xmpp::{First, OPENING_MAX, Opening, TlsAnswer};

/// Reads `data` as the beginning of a stream and as an answer to the wish for TLS.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an end to the waiting that does not
/// come, words that read differently by themselves, or a bound that does not hold.
pub fn xmpp_opening(data: &[u8]) {
    let opening = Opening::read(data);
    if let Ok(Some((opening, length))) = &opening {
        assert!(*length <= data.len());
        let alone = Opening::read(&data[..*length]);
        assert_eq!(alone, Ok(Some((opening.clone(), *length))));
        if let First::Features(features) = &opening.first {
            assert!(features.mechanisms.len() <= 32);
        }
    }
    let answer = TlsAnswer::read(data);
    if let Ok(Some((answer, length))) = answer {
        let alone = TlsAnswer::read(&data[..length]);
        assert_eq!(alone, Ok(Some((answer, length))));
    }
    if data.len() >= OPENING_MAX {
        assert_ne!(opening, Ok(None), "waits for more than is read");
        assert_ne!(answer, Ok(None), "waits for more than is read");
    }
}
