//! Whoever is asked how he sees a connection may answer anything.

use outgate_wire::whoami::{ANSWER_MAX, HEADERS_MAX, Whoami};

/// Reads `data` as the answer of `/whoami`.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer beyond its bounds, or one
/// that is another when it is read again.
pub fn whoami_answer(data: &[u8]) {
    let Ok(answer) = Whoami::read(data) else {
        return;
    };
    assert!(data.len() <= ANSWER_MAX && answer.http.headers.len() <= HEADERS_MAX);
    if let Ok(again) = serde_json::to_vec(&answer) {
        assert!(again.len() > ANSWER_MAX || Whoami::read(&again) == Ok(answer));
    }
}
