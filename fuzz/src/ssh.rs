//! The first words and packets of an SSH server, and public keys.

use outgate_wire::ssh::{GREETING_MAX, Identification, PACKET_MAX, Packet, PublicKey};

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

/// Reads `data` as the packets that an SSH server sends first, one after the other.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an end to the waiting that does not
/// come, a packet of no or too many bytes, or one that means something else once more has come.
pub fn ssh_packet(data: &[u8]) {
    let mut rest = data;
    loop {
        let whole = Packet::read(rest);
        let half = Packet::read(&rest[..rest.len() / 2]);
        if !matches!(half, Ok(None)) {
            assert_eq!(half, whole, "more bytes change the first packet");
        }
        let Ok(Some((_, used))) = whole else {
            let waits = matches!(whole, Ok(None));
            assert!(
                !waits || rest.len() < PACKET_MAX,
                "waits for more than is read"
            );
            return;
        };
        assert!((1..=rest.len().min(PACKET_MAX)).contains(&used));
        rest = &rest[used..];
    }
}

/// Reads `data` as a line that holds a public key.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a key that is another one, or none,
/// once it is written.
pub fn ssh_key(data: &[u8]) {
    let Ok(line) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = PublicKey::read(line) {
        let written = key.to_string();
        assert!(!written.contains(char::is_control), "more than a line");
        assert_eq!(PublicKey::read(&written), Ok(key), "not what was written");
    }
}
