//! Certificates of users' keys, as OpenSSH has them (`PROTOCOL.certkeys` of its sources): who signs
//! says for which account, from when and until when a key counts.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{ED25519, PublicKey, put};

/// A certificate of a user's, and not of a host's.
const USER: u32 = 1;

/// What whoever holds it may do beside having programs run, in the order that is demanded. A server
/// can allow less.
const EXTENSIONS: &[&str] = &["permit-port-forwarding", "permit-pty"];

/// What a certificate says.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The key that counts.
    pub key: &'a PublicKey,
    /// Its number; what is revoked can be named by it.
    pub serial: u64,
    /// Whom it is of, as a server writes into its log.
    pub id: &'a str,
    /// The account that it counts for.
    pub account: &'a str,
    /// When it counts, in seconds since 1970-01-01T00:00:00Z.
    pub valid: &'a Range<u64>,
    /// 32 random bytes, so that nobody knows beforehand what is signed.
    pub nonce: &'a [u8; 32],
}

impl Certificate<'_> {
    /// The line that is kept beside the key, as `ssh` reads it. `sign` gives the signature by
    /// `authority`, a key of Ed25519.
    ///
    /// # Errors
    /// As `sign`.
    pub fn signed<E>(
        &self,
        authority: &PublicKey,
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], E>,
    ) -> Result<String, E> {
        let algorithm = self.key.algorithm();
        // Of those that have a maker's suffix it comes after.
        let stem = algorithm.strip_suffix("@openssh.com").unwrap_or(algorithm);
        let algorithm = format!("{stem}-cert-v01@openssh.com");
        let mut bytes = Vec::new();
        put(&mut bytes, algorithm.as_bytes());
        put(&mut bytes, self.nonce);
        bytes.extend(self.key.values());
        bytes.extend(self.serial.to_be_bytes());
        bytes.extend(USER.to_be_bytes());
        put(&mut bytes, self.id.as_bytes());
        put(&mut bytes, &listed(&[self.account]));
        bytes.extend(self.valid.start.to_be_bytes());
        bytes.extend(self.valid.end.to_be_bytes());
        let (critical, reserved) = (&[], &[]);
        put(&mut bytes, critical);
        // Each has a value, which is empty.
        let extensions = EXTENSIONS.iter().flat_map(|name| [*name, ""]);
        put(&mut bytes, &listed(&extensions.collect::<Vec<_>>()));
        put(&mut bytes, reserved);
        put(&mut bytes, authority.bytes());
        let signature = sign(&bytes)?;
        let mut signed = Vec::new();
        put(&mut signed, ED25519.as_bytes());
        put(&mut signed, &signature);
        put(&mut bytes, &signed);
        Ok(format!("{algorithm} {}", STANDARD.encode(bytes)))
    }
}

fn listed(texts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        put(&mut bytes, text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_the_key_with_what_is_said_of_it_and_the_signature_over_all_that() {
        let (key, authority) = (PublicKey::ed25519(&[7; 32]), PublicKey::ed25519(&[9; 32]));
        let certificate = Certificate {
            key: &key,
            serial: 0x0102,
            id: "anna",
            account: "technician",
            valid: &(10..20),
            nonce: &[5; 32],
        };
        let mut said = Vec::new();
        let line = certificate.signed(&authority, |bytes| {
            said = bytes.to_vec();
            Ok::<_, ()>([3; 64])
        });
        let line = line.unwrap();
        let (algorithm, text) = line.split_once(' ').unwrap();
        assert_eq!(algorithm, "ssh-ed25519-cert-v01@openssh.com");
        let bytes = STANDARD.decode(text).unwrap();
        let signature = bytes.strip_prefix(said.as_slice()).unwrap();
        assert_eq!(&signature[..8], &[0, 0, 0, 83, 0, 0, 0, 11]);
        assert!(signature.ends_with(&[3; 64]));
        assert!(said.ends_with(authority.bytes()));
    }
}
