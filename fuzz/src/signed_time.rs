//! Whoever takes a hub's place may answer anything when it is asked what time it is.

use outgate_wire::signed_time::{ANSWER_MAX, NONCE_LEN, SignedTime, nonce, nonce_text};

/// What was given with the question.
const NONCE: [u8; NONCE_LEN] = [1; NONCE_LEN];

/// Reads `data` as the answer of `/agent/time`, and as a nonce of a question.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, an answer beyond its bounds or to
/// another question, or one that is another when it is read again.
pub fn signed_time(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(given) = nonce(text)
    {
        assert_eq!(nonce_text(&given), text);
    }
    let Ok(answer) = SignedTime::read(data, &NONCE) else {
        return;
    };
    assert!(data.len() <= ANSWER_MAX && answer.nonce == nonce_text(&NONCE));
    let _ = answer.signature();
    if let Ok(again) = serde_json::to_vec(&answer) {
        assert!(again.len() > ANSWER_MAX || SignedTime::read(&again, &NONCE) == Ok(answer));
    }
}
