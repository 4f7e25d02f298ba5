//! What a proxy script answers.

use outgate_pac::{ANSWER_HOPS_MAX, HopKind, ScriptError, hops};

/// A login that nothing said of an answer may hold.
const SECRET: &str = "pl4nted";

/// Reads the bytes as a script's answer, and as the rest of one with a login.
///
/// # Panics
///
/// When a promise of the crate is broken: more hops than said, or none; a proxy without a place, or
/// with one that holds more than a place; an error that steers a terminal or tells a login.
pub fn proxy_script_answer(data: &[u8]) {
    let answer = String::from_utf8_lossy(data);
    match hops(Some(&answer)) {
        Ok(hops) => {
            assert!((1..=ANSWER_HOPS_MAX).contains(&hops.len()), "{hops:?}");
            for hop in hops {
                let is_direct = hop.kind == HopKind::Direct;
                assert_eq!(hop.place.is_empty(), is_direct, "{hop:?}");
                let apart = |letter: char| letter.is_whitespace() || letter == ';';
                assert!(!hop.place.contains(apart), "{hop:?}");
            }
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
    let with_login = format!("PROXI user:{SECRET}@{answer}");
    if let Err(error @ ScriptError::Answer { .. }) = hops(Some(&with_login)) {
        let told = error.to_string().matches(SECRET).count();
        // What steers a terminal is left out, so that letters stand together that did not.
        let answer = answer.replace(char::is_control, "");
        assert!(told <= answer.matches(SECRET).count(), "{error}");
    }
}
