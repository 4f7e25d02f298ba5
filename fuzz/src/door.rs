//! What comes first on a connection through the door, before anything is agreed on.

use outgate_door::{Sniffed, offers_extended_master_secret, sniff};

/// How many bytes always say what is spoken.
const ENOUGH: usize = 24;

/// Reads `data` as the first bytes of a connection, as they would come in, and as the records of
/// a TLS client's hello.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more bytes wanted than the stated
/// bound, or an answer that changes when more bytes come.
pub fn door_first_bytes(data: &[u8]) {
    let mut before = Sniffed::Undecided;
    for length in 0..=data.len().min(2 * ENOUGH) {
        let now = sniff(&data[..length]);
        assert!(
            before == Sniffed::Undecided || now == before,
            "{length} bytes say {now:?}, fewer said {before:?}"
        );
        assert!(
            length < ENOUGH || now != Sniffed::Undecided,
            "{length} bytes are not enough"
        );
        before = now;
    }
    if offers_extended_master_secret(data) {
        let longer = [data, b"\x17\x03\x03\0\x01x"].concat();
        assert!(
            offers_extended_master_secret(&longer),
            "a record after the hello changes it"
        );
    }
}
