//! What time the hub has, signed: for devices whose clock is too wrong for certificates.
//!
//! Whoever asks gives a nonce, and the answer is signed together with it (Ed25519, RFC 8032), so that
//! no answer of another day can take its place. Signing and verifying are the caller's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Where the hub answers, with the nonce as `?nonce=…` ([`nonce_text`]).
pub const PATH: &str = "/agent/time";
/// Length of a nonce in bytes.
pub const NONCE_LEN: usize = 32;
/// Length of a public key in bytes (RFC 8032 §5.1.5).
pub const KEY_LEN: usize = 32;
/// Length of a signature in bytes (RFC 8032 §5.1.6).
pub const SIGNATURE_LEN: usize = 64;
/// Longest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 1_024;

/// What the signed text begins with, so that nothing else that is signed can be taken for it.
const LABEL: &[u8] = b"outgate signed time 1\n";

/// An answer, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTime {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now_millis: i64,
    /// The nonce that was given, in base 64 for addresses without padding.
    pub nonce: String,
    /// The public key by which it is signed, in base 64 with padding.
    pub key: String,
    /// The signature of [`signed`], in base 64 with padding.
    pub signature: String,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedTime {
    /// It is something else.
    #[error("the answer is no signed time")]
    Other,
    /// It answers another question.
    #[error("the answer is to another question: the nonce is not the one that was given")]
    Nonce,
}

impl SignedTime {
    /// Reads the answer to a question that gave `nonce`; nothing in it is verified but that.
    ///
    /// # Errors
    /// [`NotSignedTime`].
    pub fn read(body: &[u8], nonce: &[u8; NONCE_LEN]) -> Result<Self, NotSignedTime> {
        if body.len() > ANSWER_MAX {
            return Err(NotSignedTime::Other);
        }
        let answer: Self = serde_json::from_slice(body).map_err(|_| NotSignedTime::Other)?;
        if answer.nonce != nonce_text(nonce) {
            return Err(NotSignedTime::Nonce);
        }
        Ok(answer)
    }

    /// The bytes of the signature; `None` when it is none.
    #[must_use]
    pub fn signature(&self) -> Option<[u8; SIGNATURE_LEN]> {
        STANDARD.decode(&self.signature).ok()?.try_into().ok()
    }
}

/// What is signed: the nonce and the time.
#[must_use]
pub fn signed(nonce: &[u8; NONCE_LEN], now_millis: i64) -> Vec<u8> {
    [LABEL, nonce, &now_millis.to_be_bytes()].concat()
}

/// A nonce as it stands in the question's address.
#[must_use]
pub fn nonce_text(nonce: &[u8; NONCE_LEN]) -> String {
    URL_SAFE_NO_PAD.encode(nonce)
}

/// The nonce in a question's address; `None` when it is none.
#[must_use]
pub fn nonce(text: &str) -> Option<[u8; NONCE_LEN]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A public key as people hand it on: base 64 with padding.
#[must_use]
pub fn key_text(key: &[u8; KEY_LEN]) -> String {
    STANDARD.encode(key)
}

/// The public key in a text; `None` when it is none.
#[must_use]
pub fn key(text: &str) -> Option<[u8; KEY_LEN]> {
    STANDARD.decode(text.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(nonce: &[u8; NONCE_LEN]) -> SignedTime {
        SignedTime {
            now_millis: 1_800_000_000_000,
            nonce: nonce_text(nonce),
            key: key_text(&[7; KEY_LEN]),
            signature: STANDARD.encode([9; SIGNATURE_LEN]),
        }
    }

    #[test]
    fn an_answer_counts_for_the_question_that_gave_its_nonce_and_for_no_other() {
        let body = serde_json::to_vec(&answer(&[1; NONCE_LEN])).unwrap();
        assert!(body.len() <= ANSWER_MAX);
        let read = SignedTime::read(&body, &[1; NONCE_LEN]).unwrap();
        assert_eq!(read.signature(), Some([9; SIGNATURE_LEN]));
        let other = SignedTime::read(&body, &[2; NONCE_LEN]);
        assert_eq!(other, Err(NotSignedTime::Nonce));
    }

    #[test]
    fn every_bit_of_nonce_and_time_is_signed() {
        let text = signed(&[1; NONCE_LEN], 256);
        assert_eq!(
            text,
            [LABEL, &[1; NONCE_LEN], &[0, 0, 0, 0, 0, 0, 1, 0]].concat()
        );
    }

    #[test]
    fn what_is_too_long_or_something_else_is_none() {
        for body in [&b""[..], b"{}", b"<html>", &[b' '; ANSWER_MAX + 1]] {
            let read = SignedTime::read(body, &[1; NONCE_LEN]);
            assert_eq!(read, Err(NotSignedTime::Other));
        }
        let mut short = answer(&[1; NONCE_LEN]);
        short.signature.truncate(8);
        assert_eq!(short.signature(), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = SignedTime::read(&body, &[1; NONCE_LEN]);
        }

        #[test]
        fn nonces_and_keys_come_back_from_their_texts(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(nonce(&nonce_text(&bytes)), Some(bytes));
            prop_assert_eq!(key(&key_text(&bytes)), Some(bytes));
        }
    }
}
