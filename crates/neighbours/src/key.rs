//! That a device has the private half of the key by which it wants to be known.

use outgate_signed_http::{Signer, VerifyingKey};

use crate::codec::Writer;

/// What the proof is a signature of, so that no other text can be taken for one.
const CONTEXT: &[u8] = b"outgate-neighbours key 1\0";

/// What a device shows the hub to be known to its neighbours by this key: a signature of whom it is
/// for.
pub fn prove_key(site: &str, device: &str, key: &Signer) -> [u8; 64] {
    key.signature_of(&text(site, device))
}

/// Whether whoever made the proof has the private half of `key`, and made it for this device.
pub fn key_is_proved(site: &str, device: &str, key: &VerifyingKey, proof: &[u8]) -> bool {
    key.verifies(&text(site, device), proof)
}

fn text(site: &str, device: &str) -> Vec<u8> {
    let mut to = Writer::default();
    to.plain(CONTEXT);
    to.bytes(site.as_bytes());
    to.bytes(device.as_bytes());
    to.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_key_for_one_device_of_one_site() {
        let key = |seed| Signer::from_seed("", &[seed; 32]).unwrap();
        let (own, other) = (key(1), key(2));
        let proof = prove_key("shop-1", "till-1", &own);
        let proved =
            |site, device, key: &Signer| key_is_proved(site, device, &key.verifying_key(), &proof);
        assert!(proved("shop-1", "till-1", &own));
        assert!(!proved("shop-2", "till-1", &own));
        assert!(!proved("shop-1", "till-2", &own));
        assert!(!proved("shop-1t", "ill-1", &own));
        assert!(!proved("shop-1", "till-1", &other));
    }
}
