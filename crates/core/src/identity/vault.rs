//! Secrets that have to be had again: sealed in the store under a key that is not in it.
//!
//! Symmetric keys of devices and fleet keys are needed to check what they sign, so a digest is
//! not enough. They are sealed with ChaCha20-Poly1305 (RFC 8439) under a master key in a file of
//! its own: a copy of the store alone gives none of them away.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

use crate::refusal::Refusal;
use crate::secret::Secret;

/// The file of the master key, in the data folder.
const FILE: &str = "master.key";

/// Bytes of the master key.
const KEY_LENGTH: usize = 32;

/// What keys that are made of the master key have in common.
const DERIVED: &[u8] = b"outgate derived keys";

/// Seals and opens secrets, and makes those that need not be kept.
pub struct Vault {
    key: LessSafeKey,
    source: Prk,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the master key in `folder`, or makes it when `anything_sealed` is false.
    pub(super) fn open(folder: &Path, anything_sealed: bool) -> Result<Self, Refusal> {
        let file = folder.join(FILE);
        let bytes = match fs::read(&file) {
            Ok(bytes) => Secret::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !anything_sealed => {
                let secret = Secret::random(KEY_LENGTH)?;
                write_private(&file, secret.expose())
                    .map_err(|_| Refusal::Internal("the master key cannot be written"))?;
                secret
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Refusal::Internal(
                    "master.key is missing from the data folder, without which the keys in \
                     hub.sqlite cannot be read; put it back from the backup that they came from",
                ));
            }
            Err(_) => return Err(Refusal::Internal("master.key cannot be read")),
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes.expose())
            .map_err(|_| Refusal::Internal("master.key is damaged: it must have 32 bytes"))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            source: Salt::new(HKDF_SHA256, DERIVED).extract(bytes.expose()),
        })
    }

    /// The secret of 32 bytes for the place named `context`, the same each time (RFC 5869). It tells
    /// nothing of that of another place, nor of the master key.
    pub(crate) fn derived(&self, context: &str) -> Result<Secret, Refusal> {
        const FAILED: Refusal = Refusal::Internal("a key could not be derived");
        let info = [context.as_bytes()];
        let derived = self.source.expand(&info, HKDF_SHA256).map_err(|_| FAILED)?;
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        derived.fill(&mut *bytes).map_err(|_| FAILED)?;
        Ok(Secret::new(bytes.to_vec()))
    }

    /// Seals `secret` for the place named `context`: it opens for no other.
    ///
    /// # Errors
    /// [`Refusal::Randomness`].
    pub fn seal(&self, context: &str, secret: &Secret) -> Result<Vec<u8>, Refusal> {
        // 96 random bits: after 2^32 secrets the odds that two share a nonce are still 2^-33.
        let nonce = Secret::random(NONCE_LEN)?;
        let mut sealed = secret.expose().to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::try_assume_unique_for_key(nonce.expose())
                    .map_err(|_| Refusal::Randomness)?,
                Aad::from(context.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| Refusal::Internal("a secret could not be sealed"))?;
        sealed.splice(0..0, nonce.expose().iter().copied());
        Ok(sealed)
    }

    /// Opens what was sealed for `context`.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when it was sealed under another master key or for another place, or
    /// was changed since.
    pub fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<Secret, Refusal> {
        const DAMAGED: Refusal = Refusal::Internal(
            "a sealed secret does not open: hub.sqlite and master.key do not belong together",
        );
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(DAMAGED)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DAMAGED)?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut bytes)
            .map_err(|_| DAMAGED)?;
        Ok(Secret::new(opened.to_vec()))
    }
}

/// Writes a file that only its owner may read, whole or not at all: a crash leaves no half of it.
pub(super) fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut open = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    open.write_all(bytes)?;
    open.sync_all()?;
    fs::rename(&fresh, file)?;
    match file.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_sealed_opens_again_after_a_restart_and_only_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::random(32).unwrap();
        let sealed = Vault::open(folder.path(), false)
            .unwrap()
            .seal("credential/cr-1", &secret)
            .unwrap();
        let again = Vault::open(folder.path(), true).unwrap();
        let opened = again.open_sealed("credential/cr-1", &sealed).unwrap();
        assert!(opened.matches(secret.expose()));
        assert!(again.open_sealed("credential/cr-2", &sealed).is_err());
        assert!(!sealed.windows(32).any(|part| secret.matches(part)));
    }

    #[test]
    fn a_derived_secret_is_the_same_after_a_restart_and_another_in_another_place_or_hub() {
        let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let vault = Vault::open(folder.path(), false).unwrap();
        let secret = vault.derived("a").unwrap();
        let again = Vault::open(folder.path(), false).unwrap();
        assert!(again.derived("a").unwrap().matches(secret.expose()));
        assert!(!vault.derived("b").unwrap().matches(secret.expose()));
        let other = Vault::open(other.path(), false).unwrap();
        assert!(!other.derived("a").unwrap().matches(secret.expose()));
    }

    #[test]
    fn a_changed_or_cut_secret_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path(), false).unwrap();
        let secret = Secret::random(32).unwrap();
        let sealed = vault.seal("a", &secret).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open_sealed("a", &changed).is_err());
            assert!(vault.open_sealed("a", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn a_lost_master_key_is_not_made_anew_over_what_it_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Vault::open(folder.path(), true).unwrap_err();
        assert!(refused.to_string().contains("master.key is missing"));
        assert!(!folder.path().join(FILE).exists());
    }

    #[test]
    fn only_the_owner_may_read_the_master_key() {
        let folder = tempfile::tempdir().unwrap();
        Vault::open(folder.path(), false).unwrap();
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
