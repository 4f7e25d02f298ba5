//! Tokens of other issuers, and the key sets by which they are verified.

use outgate_jwt::issuer::keys_of;
use outgate_jwt::{Algorithm, Demands, KeySet, MAX_KEY_SET, MAX_KEYS, MAX_TOKEN, object, verify};

/// Reads the bytes as a key set, as an object, as an issuer's description, and as a token, at a time
/// that its first bytes give: the token by the keys of a set that stands before its first zero byte.
///
/// # Panics
///
/// When a promise of the readers is broken: a set is taken that is too large, keys are to be fetched
/// otherwise than by HTTPS, or a token is taken that does not say what it must.
pub fn jwt_verify(data: &[u8]) {
    let (now, rest) = data.split_first_chunk().unwrap_or((&[0; 8], data));
    let (set, token) = match rest.iter().position(|byte| *byte == 0) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (&[][..], rest),
    };
    let _ = object(rest);
    let found = keys_of("https://i", rest);
    assert!(found.is_none_or(|address| address.starts_with("https://")));
    let keys = match KeySet::read(set) {
        Ok(keys) => {
            assert!(set.len() <= MAX_KEY_SET && keys.len() <= MAX_KEYS);
            keys
        }
        Err(_) => KeySet::default(),
    };
    let Ok(token) = std::str::from_utf8(token) else {
        return;
    };
    let demands = Demands {
        issuer: "i",
        audiences: &["a"],
        algorithms: &Algorithm::ALL,
        kinds: &["JWT"],
        unnamed_kind: true,
        leeway: 60,
        longest: 3_600,
    };
    let taken = verify(token, &keys, &demands, i64::from_be_bytes(*now));
    if let Ok(claims) = taken {
        assert!(token.len() <= MAX_TOKEN);
        assert_eq!(claims.text("iss"), Some("i"));
        assert!(claims.text("sub").is_some());
    }
}
