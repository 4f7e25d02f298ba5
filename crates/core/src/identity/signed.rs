//! What a device's symmetric key has signed: a proof that does not show the key, and has an end of
//! its own.

use ring::hmac;

use super::authenticate::{by_name, ended};
use super::credential::keys_that_hold;
use super::{Identified, Identity};
use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// What begins a text that a proof is looked up by, so that it is no token.
const SIGNED: &[u8] = b"device signed ";

impl Identity {
    /// Makes out `device` by a text that one of its keys has signed: HMAC-SHA256. What is made out
    /// holds no longer than `until`.
    pub(super) async fn by_signed(
        &self,
        device: &DeviceId,
        text: &[u8],
        signature: &[u8],
        until: Timestamp,
    ) -> Result<Identified, Refusal> {
        let now = self.clock.now();
        if ended(Some(until), now) {
            return Err(Refusal::Unauthenticated);
        }
        let digest = digest(device, text, signature, until);
        if let Some(identified) = self.cache.by_token(&digest)
            && !ended(identified.expires, now)
        {
            return Ok(identified);
        }
        let read = self.cache.generation();
        let (device, vault) = (device.clone(), self.vault.clone());
        let (text, signature) = (text.to_vec(), signature.to_vec());
        let identified = self
            .store
            .read_first(move |connection| {
                for (id, key) in keys_that_hold(connection, &vault, &device, now)? {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
                    if hmac::verify(&key, &text, &signature).is_ok() {
                        let held = by_name(connection, &id)?.ok_or(Refusal::Unauthenticated)?;
                        let mut identified = held.judge(now)?;
                        let end = identified.expires.map_or(until, |end| end.min(until));
                        identified.expires = Some(end);
                        return Ok(identified);
                    }
                }
                Err(Refusal::Unauthenticated)
            })
            .await?;
        self.cache.remember_token(read, digest, &identified);
        Ok(identified)
    }
}

/// Under which a proof is remembered: of everything that was said, each part with its length.
fn digest(device: &DeviceId, text: &[u8], signature: &[u8], until: Timestamp) -> [u8; 32] {
    let mut said = SIGNED.to_vec();
    said.extend(until.as_millis().to_be_bytes());
    for part in [device.as_str().as_bytes(), text, signature] {
        said.extend(part.len().to_be_bytes());
        said.extend(part);
    }
    Secret::new(said).digest()
}
