//! What must not be guessed, or must not happen everywhere at the same time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Error;

/// Random bytes of a name that is used once.
const NONCE_BYTES: usize = 18;

/// A text never used before: 24 characters of base 64 for addresses.
pub(crate) fn nonce() -> Result<String, Error> {
    let mut bytes = [0; NONCE_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Randomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A wait of half of `most` to the whole of it, so that many who wait do not come back together.
pub(crate) fn jittered(most: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without randomness the whole wait is right too.
    let part = SystemRandom::new()
        .fill(&mut byte)
        .map_or(u32::from(u8::MAX), |()| u32::from(byte[0]));
    most / 2 + (most / 2) * part / u32::from(u8::MAX)
}
