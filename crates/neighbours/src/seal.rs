//! What a member has for the hub, handed on by another: sealed under a secret that only the two of
//! them share, so that whoever hands it on can neither read it nor make it up, and signed by the
//! member's key.

use std::fmt;

use outgate_signed_http::{Signer, VerifyingKey};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};

use crate::codec::Writer;

/// Bytes of the secret.
pub const SEAL_BYTES: usize = 32;
/// Random bytes for each sealing, of which no two are the same.
pub const SEAL_NONCE_BYTES: usize = NONCE_LEN;

/// What is sealed, so that one cannot be taken for the other.
const ASKED: &[u8] = b"outgate-neighbours relay 1\0";
const ANSWERED: &[u8] = b"outgate-neighbours relayed 1\0";

/// The secret that a member shares with the hub. It does not print.
pub struct Seal {
    key: LessSafeKey,
    member: Vec<u8>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Of a member of a site; nothing where the secret has not [`SEAL_BYTES`].
    pub fn new(site: &str, member: &str, secret: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret).ok()?;
        let mut to = Writer::default();
        to.bytes(site.as_bytes());
        to.bytes(member.as_bytes());
        Some(Self {
            key: LessSafeKey::new(key),
            member: to.into_bytes(),
        })
    }

    /// What the member says.
    pub fn ask(&self, nonce: [u8; SEAL_NONCE_BYTES], said: &[u8]) -> Option<Vec<u8>> {
        self.seal(nonce, &[ASKED, &self.member].concat(), said)
    }

    /// What the member has said, if it has.
    pub fn asked(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(&[ASKED, &self.member].concat(), sealed)
    }

    /// What the hub answers to what was `asked`, as it was sealed.
    pub fn answer(
        &self,
        nonce: [u8; SEAL_NONCE_BYTES],
        asked: &[u8],
        said: &[u8],
    ) -> Option<Vec<u8>> {
        self.seal(nonce, &self.answering(asked), said)
    }

    /// What the hub has answered to what was `asked`, if it has.
    pub fn answered(&self, asked: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(&self.answering(asked), sealed)
    }

    fn answering(&self, asked: &[u8]) -> Vec<u8> {
        [ANSWERED, &self.member, digest(&SHA256, asked).as_ref()].concat()
    }

    fn seal(&self, nonce: [u8; SEAL_NONCE_BYTES], of: &[u8], said: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = said.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        let key = &self.key;
        key.seal_in_place_append_tag(unique, Aad::from(of), &mut sealed)
            .ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, of: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<SEAL_NONCE_BYTES>()?;
        let mut bytes = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(of), &mut bytes);
        opened.ok().map(|opened| opened.to_vec())
    }
}

/// A member's signature of what it has sealed.
pub fn sign_relayed(sealed: &[u8], key: &Signer) -> [u8; 64] {
    key.signature_of(&[ASKED, sealed].concat())
}

/// Whether a member of this key has sealed it.
pub fn relayed_is_by(sealed: &[u8], key: &VerifyingKey, signature: &[u8]) -> bool {
    key.verifies(&[ASKED, sealed].concat(), signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(site: &str, member: &str, secret: u8) -> Seal {
        Seal::new(site, member, &[secret; SEAL_BYTES]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_member_and_secret_only_and_unchanged() {
        let sealed = seal("shop", "till-1", 1).ask([7; 12], b"sold").unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"sold"));
        let asked = |site, member, secret| seal(site, member, secret).asked(&sealed);
        assert_eq!(asked("shop", "till-1", 1).unwrap(), b"sold");
        assert_eq!(asked("shop", "till-2", 1), None);
        assert_eq!(asked("bar", "till-1", 1), None);
        assert_eq!(asked("shop", "till-1", 2), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal("shop", "till-1", 1).asked(&changed), None);
            assert_eq!(seal("shop", "till-1", 1).asked(&sealed[..at]), None);
        }
    }

    #[test]
    fn an_answer_is_to_one_question_and_no_question_itself() {
        let seal = seal("shop", "till-1", 1);
        let [one, other] = [b"1", b"2"].map(|said| seal.ask([said[0]; 12], said).unwrap());
        let answer = seal.answer([9; 12], &one, b"kept").unwrap();
        assert_eq!(seal.answered(&one, &answer).unwrap(), b"kept");
        assert_eq!(seal.answered(&other, &answer), None);
        assert_eq!(seal.asked(&answer), None);
        assert_eq!(seal.answered(&one, &one), None);
    }

    #[test]
    fn a_signature_is_of_one_key_and_what_was_sealed() {
        let key = |seed| Signer::from_seed("", &[seed; 32]).unwrap();
        let signature = sign_relayed(b"sealed", &key(1));
        assert!(relayed_is_by(
            b"sealed",
            &key(1).verifying_key(),
            &signature
        ));
        assert!(!relayed_is_by(
            b"sealed!",
            &key(1).verifying_key(),
            &signature
        ));
        assert!(!relayed_is_by(
            b"sealed",
            &key(2).verifying_key(),
            &signature
        ));
    }
}
