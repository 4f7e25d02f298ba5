//! Anybody can send a datagram to the port from which we asked a STUN server, or to a STUN server.

use outgate_wire::stun::{
    Answer, Change, HEADER_LEN, MESSAGE_MAX, Message, binding_request, write_answer,
};

/// Reads `data` as a message, and answers it as a server would.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a message longer than is read, or
/// one that does not come back when it is written again.
pub fn stun_message(data: &[u8]) {
    if let Some(header) = data.first_chunk::<HEADER_LEN>() {
        let length = Message::length(header);
        assert!(length.is_err() || length.is_ok_and(|length| length <= MESSAGE_MAX));
    }
    let Ok(message) = Message::read(data) else {
        return;
    };
    assert!(data.len() <= MESSAGE_MAX, "{} bytes were read", data.len());
    assert!(message.unknown.len() <= 16);
    if message.change != Change::default() {
        let again = Message::read(&binding_request(message.id, Some(message.change)));
        assert_eq!(again.map(|again| again.change), Ok(message.change));
    }
    if let Some(reflexive) = message.reflexive {
        let answer = write_answer(
            message.id,
            &Answer::Success {
                reflexive,
                response_origin: message.response_origin,
                other_address: message.other_address,
            },
        );
        let again = Message::read(&answer).map(|again| (again.reflexive, again.other_address));
        assert_eq!(again, Ok((Some(reflexive), message.other_address)));
    }
}
