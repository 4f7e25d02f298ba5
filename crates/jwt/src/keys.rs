//! Sets of public keys (RFC 7517), as issuers publish them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::strict;

/// The most bytes of a key set.
pub const MAX_KEY_SET: usize = 256 * 1024;

/// The most keys of a set that are looked at.
pub const MAX_KEYS: usize = 64;

/// The most bytes of a key's name.
pub(crate) const MAX_KEY_NAME: usize = 256;

/// The public keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// Why a text is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It has more than [`MAX_KEY_SET`] bytes, or more than [`MAX_KEYS`] keys.
    #[error("the key set is too large")]
    TooLarge,
    /// It is no object with `keys`, or has a name twice.
    #[error("this is no key set (RFC 7517 §5)")]
    Malformed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    name: Option<String>,
    /// What it says that it is for, if it does.
    only_for: Option<String>,
    public: Public,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Public {
    /// An uncompressed point (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl KeySet {
    /// Reads a set. Keys of other kinds are passed over (RFC 7517 §5), among them all shared and
    /// private ones.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn read(bytes: &[u8]) -> Result<Self, KeySetError> {
        if bytes.len() > MAX_KEY_SET {
            return Err(KeySetError::TooLarge);
        }
        let set = strict::object(bytes).ok_or(KeySetError::Malformed)?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(KeySetError::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooLarge);
        }
        let keys = keys.iter().filter_map(Value::as_object);
        Ok(Self(keys.filter_map(Key::read).collect()))
    }

    /// How many keys of it can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none can be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys by which a token of that algorithm may be signed: those of that name; where none is
    /// said the only one of its kind.
    pub(crate) fn for_token<'a>(
        &'a self,
        algorithm: Algorithm,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        let fits = move |key: &&Key| {
            let is_meant = name.is_none() || key.name.as_deref() == name;
            is_meant && key.is_for(algorithm)
        };
        let ambiguous = name.is_none() && self.0.iter().filter(fits).count() > 1;
        self.0.iter().filter(fits).filter(move |_| !ambiguous)
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name| key.get(name).and_then(Value::as_str);
        let bytes = |name| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        // A private key in public is nobody's proof any more.
        if key.contains_key("d") || text("use").is_some_and(|it| it != "sig") {
            return None;
        }
        let operations = key.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|all| !all.iter().any(|one| one == "verify")) {
            return None;
        }
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
        };
        let public = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => Public::P256(point(32)?),
            ("EC", Some("P-384")) => Public::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x").filter(|key| key.len() == 32)?),
            ("RSA", _) => Public::Rsa {
                modulus: bytes("n")?,
                exponent: bytes("e")?,
            },
            _ => return None,
        };
        let name = text("kid").filter(|name| name.len() <= MAX_KEY_NAME);
        Some(Self {
            name: name.map(str::to_owned),
            only_for: text("alg").map(str::to_owned),
            public,
        })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let meant = self.only_for.as_deref();
        let is_its_kind = match (&self.public, algorithm) {
            (Public::P256(_), Algorithm::Es256)
            | (Public::P384(_), Algorithm::Es384)
            | (Public::Ed25519(_), Algorithm::EdDsa)
            | (Public::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256) => true,
            (Public::P256(_) | Public::P384(_) | Public::Ed25519(_) | Public::Rsa { .. }, _) => {
                false
            }
        };
        is_its_kind && meant.is_none_or(|meant| meant == algorithm.as_str())
    }

    pub(crate) fn has_signed(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::P256(key) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
                key.verify(text, signature).is_ok()
            }
            Public::P384(key) => {
                let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key);
                key.verify(text, signature).is_ok()
            }
            Public::Ed25519(key) => {
                let key = UnparsedPublicKey::new(&ED25519, key);
                key.verify(text, signature).is_ok()
            }
            Public::Rsa { modulus, exponent } => {
                let by = match algorithm {
                    Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    Algorithm::Rs256 | Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => {
                        &RSA_PKCS1_2048_8192_SHA256
                    }
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(by, text, signature).is_ok()
            }
        }
    }
}
