//! Tokens that clients show, as a back end has signed them or whoever else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outgate_wire::jwt::{MAX_TOKEN, looks_like, read};

/// Reads the bytes as a token and all that it says, at a time that its first bytes give.
///
/// # Panics
///
/// When a promise of the reader is broken: what is signed is not what came, a token is taken that
/// is too long or does not look like one, or it says a user without a name.
pub fn jwt(data: &[u8]) {
    let (now, text) = data.split_first_chunk().unwrap_or((&[0; 8], data));
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let Some(token) = read(text) else {
        return;
    };
    assert!(text.len() <= MAX_TOKEN && looks_like(text));
    let signature = URL_SAFE_NO_PAD.encode(&token.signature);
    assert_eq!(format!("{}.{signature}", token.signed), text);
    let Some(claims) = token.claims(i64::from_be_bytes(*now)) else {
        return;
    };
    assert!(claims.user().is_none_or(|user| !user.is_empty()));
    assert!(claims.told().iter().all(|told| told.contains(": ")));
    assert!(claims.audiences().count() <= text.len());
}
