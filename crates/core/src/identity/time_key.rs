//! The key by which the hub signs what time it is, for devices whose clock is too wrong for
//! certificates.

use std::path::Path;
use std::{fs, io};

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::vault::write_private;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The file in the data folder: the key in PKCS #8.
const FILE: &str = "time.key";
/// The length of a public key, and of a signature, in bytes (RFC 8032 §5.1).
const PUBLIC: usize = 32;
const SIGNATURE: usize = 64;

/// Signs what time it is.
pub struct TimeKey {
    pair: Ed25519KeyPair,
    public: [u8; PUBLIC],
}

impl std::fmt::Debug for TimeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TimeKey")
    }
}

impl TimeKey {
    /// Opens the key in `folder`, or makes it.
    pub(super) fn open(folder: &Path) -> Result<Self, Refusal> {
        let file = folder.join(FILE);
        let bytes = match fs::read(&file) {
            Ok(bytes) => Secret::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(&file)?,
            Err(_) => return Err(Refusal::Internal("time.key cannot be read")),
        };
        let damaged = Refusal::Internal("time.key is damaged: put it back from a backup");
        let Ok(pair) = Ed25519KeyPair::from_pkcs8(bytes.expose()) else {
            return Err(damaged);
        };
        match pair.public_key().as_ref().try_into() {
            Ok(public) => Ok(Self { pair, public }),
            Err(_) => Err(damaged),
        }
    }

    /// The public key (RFC 8032).
    #[must_use]
    pub fn public(&self) -> [u8; PUBLIC] {
        self.public
    }

    /// Signs a text (Ed25519).
    ///
    /// # Errors
    /// The signature is none; that never happens.
    pub fn sign(&self, text: &[u8]) -> Result<[u8; SIGNATURE], Refusal> {
        let signature = self.pair.sign(text);
        let signature = signature.as_ref().try_into();
        signature.map_err(|_| Refusal::Internal("a signature of another length"))
    }
}

fn make(file: &Path) -> Result<Secret, Refusal> {
    let random = ring::rand::SystemRandom::new();
    let made = Ed25519KeyPair::generate_pkcs8(&random)
        .map_err(|_| Refusal::Internal("the system gives no random numbers"))?;
    let secret = Secret::new(made.as_ref().to_vec());
    write_private(file, secret.expose())
        .map_err(|_| Refusal::Internal("time.key cannot be written"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = TimeKey::open(folder.path()).unwrap();
        let again = TimeKey::open(folder.path()).unwrap();
        assert_eq!(made.public(), again.public());
        let file = folder.path().join(FILE);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let signature = again.sign(b"text").unwrap();
        let public = UnparsedPublicKey::new(&ED25519, made.public());
        public.verify(b"text", &signature).unwrap();
        fs::write(&file, b"x").unwrap();
        TimeKey::open(folder.path()).unwrap_err();
    }
}
