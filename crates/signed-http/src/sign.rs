//! Keys, and signing with them.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::base::{BaseError, signature_base};
use crate::component::Component;
use crate::message::Message;
use crate::signature::{Parameters, SIGNATURE, SIGNATURE_INPUT, key_of};

/// The algorithm's name in HTTP's registry (RFC 9421 §6.2.2).
pub(crate) const ALGORITHM: &str = "ed25519";

/// Why bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no Ed25519 key: expected {0}")]
pub struct KeyError(&'static str);

/// Why a message was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// What is to be covered is not there.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A label, a name of a key, a nonce or a tag with letters that the field cannot hold.
    #[error("`{0}` cannot stand in the fields of a signature")]
    Text(String),
}

/// What is covered, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Cover<'a> {
    /// The signature's name in its fields.
    pub label: &'a str,
    /// What it covers, in this order.
    pub components: &'a [Component],
    /// What it is for.
    pub tag: &'a str,
    /// When it is made.
    pub created: SystemTime,
    /// From when on it counts no more; never, where it is not said.
    pub expires: Option<SystemTime>,
    /// What is used once only; left out where it is not said.
    pub nonce: Option<&'a str>,
}

/// The two fields of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// `Signature-Input`.
    pub input: HeaderValue,
    /// `Signature`.
    pub signature: HeaderValue,
}

impl Signed {
    /// Adds the two fields to those of the message.
    pub fn put(self, fields: &mut HeaderMap) {
        fields.append(SIGNATURE_INPUT, self.input);
        fields.append(SIGNATURE, self.signature);
    }
}

/// A private key and its name. It does not print its key.
pub struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// From the 32 bytes of a private key (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError`] for another length.
    pub fn from_seed(name: &str, seed: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        let pair = pair.map_err(|_| KeyError("32 bytes of a private key"))?;
        Ok(Self {
            name: name.to_owned(),
            pair,
        })
    }

    /// From a key in PKCS #8, with or without its public half (RFC 8410, RFC 5958).
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn from_pkcs8(name: &str, key: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key);
        let pair = pair.map_err(|_| KeyError("a private key in PKCS #8"))?;
        Ok(Self {
            name: name.to_owned(),
            pair,
        })
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        VerifyingKey(key)
    }

    /// The signature of bytes (RFC 8032 §5.1.6) that are no HTTP message. They are to begin with what
    /// they are for, so that none can be taken for another, nor for the base of a message, which
    /// begins with a quotation mark.
    pub fn signature_of(&self, bytes: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        for (to, from) in signature.iter_mut().zip(self.pair.sign(bytes).as_ref()) {
            *to = *from;
        }
        signature
    }

    /// Signs what is covered of a message. `alg` stays out: the key says it, and a message must not
    /// choose (RFC 9421 §3.2).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, message: &Message<'_>, cover: &Cover<'_>) -> Result<Signed, SignError> {
        let texts = [Some(self.name.as_str()), Some(cover.tag), cover.nonce];
        for text in texts.into_iter().flatten() {
            if sfv::StringRef::from_str(text).is_err() {
                return Err(SignError::Text(text.to_owned()));
            }
        }
        let label = key_of(cover.label).ok_or_else(|| SignError::Text(cover.label.to_owned()))?;
        let mut parameters = Parameters::default().with_time("created", cover.created);
        if let Some(expires) = cover.expires {
            parameters = parameters.with_time("expires", expires);
        }
        if let Some(nonce) = cover.nonce {
            parameters = parameters.with_text("nonce", nonce);
        }
        parameters = parameters
            .with_text("keyid", &self.name)
            .with_text("tag", cover.tag);
        let base = signature_base(message, cover.components, &parameters)?;
        let list = parameters.serialized(cover.components);
        let encoded = STANDARD.encode(self.signature_of(base.as_bytes()));
        let value = |text: String| HeaderValue::from_str(&text).map_err(|_| SignError::Text(text));
        Ok(Signed {
            input: value(format!("{}={list}", label.as_str()))?,
            signature: value(format!("{}=:{encoded}:", label.as_str()))?,
        })
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// From its 32 bytes (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = bytes.try_into();
        bytes
            .map(Self)
            .map_err(|_| KeyError("32 bytes of a public key"))
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the signature is of these bytes, by this key (RFC 8032 §5.1.7).
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        key.verify(bytes, signature).is_ok()
    }
}
