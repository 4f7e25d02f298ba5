//! Whatever listens on a port can answer our hello with anything.

use outgate_wire::tls_hello::{ANSWER_MAX, ServerFirst};

/// How many beginnings of an answer are read, as they would come in from the network.
const BEGINNINGS: usize = 128;

/// Reads `data` as the first record of a TLS server, whole and as it comes in byte by byte.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, more bytes wanted than the stated
/// bound, or an answer that changes when more bytes come.
pub fn tls_server_record(data: &[u8]) {
    let whole = ServerFirst::read(data);
    if whole == Ok(None) {
        assert!(
            data.len() < ANSWER_MAX,
            "{} bytes are not enough",
            data.len()
        );
    }
    for length in 0..data.len().min(BEGINNINGS) {
        match ServerFirst::read(&data[..length]) {
            Ok(None) => {}
            settled => assert_eq!(settled, whole, "the first {length} bytes settled it"),
        }
    }
}
