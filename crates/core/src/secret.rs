//! What must not be printed, logged or compared in a way that tells.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SecureRandom;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// Bytes nobody may see: wiped when dropped, hidden from `Debug`, compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes `bytes` as a secret.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// `length` random bytes.
    ///
    /// # Errors
    /// [`Refusal::Randomness`] when the system has none.
    pub fn random(length: usize) -> Result<Self, Refusal> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        ring::rand::SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Refusal::Randomness)?;
        Ok(Self(bytes))
    }

    /// The bytes. Whoever asks takes care of where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as base 64 with padding (RFC 4648, section 4), as keys are shown to people.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.0))
    }

    /// The bytes as base 64 for addresses and headers (RFC 4648, section 5), without padding.
    #[must_use]
    pub fn to_base64_url(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(&*self.0))
    }

    /// The secret that `text` is the base 64 of, padded or not made for addresses; `None` when it
    /// is not base 64.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self::new)
    }

    /// Whether both are the same, taking the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }

    /// The SHA-256 of the bytes, under which long random secrets may be kept.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &self.0).as_ref());
        digest
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
