//! The first words of an SSH server.

use outgate_wire::ssh::{GREETING_MAX, Identification};

/// Reads `data` as what a server says first, whole and in part.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an end to the waiting that does not
/// come, or words that mean something else once more has come.
pub fn ssh_identification(data: &[u8]) {
    let whole = Identification::read(data);
    if data.len() >= GREETING_MAX {
        assert_ne!(whole, Ok(None), "waits for more than is read");
    }
    let half = Identification::read(&data[..data.len() / 2]);
    if !matches!(half, Ok(None)) {
        assert_eq!(half, whole, "more words change the first");
    }
}
