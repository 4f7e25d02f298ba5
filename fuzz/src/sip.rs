//! Anybody can send SIP to the port from which we asked, or to an echo.

use std::net::SocketAddr;

use outgate_wire::sip::{FIELDS_MAX, HEAD_MAX, Head, echo, echoed, rewritten};

/// Reads `data` as a message, and echoes it.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a head beyond its limits, an echo
/// that is longer than what it answers, or one that another echo would answer.
pub fn sip_message(data: &[u8]) {
    let from = SocketAddr::from(([198, 51, 100, 1], 61234));
    if let Ok(Some(head)) = Head::read(data) {
        assert!(head.length <= data.len().min(HEAD_MAX));
        assert!(head.fields.len() <= FIELDS_MAX);
        let _ = head.via();
        let _ = head.content_length();
        let _ = rewritten(data, &data[head.length..]);
    }
    let Some(answer) = echo(data, from) else {
        return;
    };
    assert!(answer.len() <= data.len(), "the echo amplifies");
    assert_eq!(echo(&answer, from), None, "two echoes would never end");
    if let Ok(Some(head)) = Head::read(&answer) {
        let _ = echoed(&head, &answer[head.length..]);
    }
}
