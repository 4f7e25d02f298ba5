//! Public keys: of those who sign artifacts, and of devices that ask to be let in.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The most bytes of a key's text.
const MAX_PEM: usize = 16 * 1024;

/// What a block of PEM that holds a public key is called (RFC 7468 §13).
const LABEL: &str = "PUBLIC KEY";

/// A public key with which signatures are verified: RSA of 2,048 bits or more (PKCS #1 v1.5 with
/// SHA-256), ECDSA over P-256 with SHA-256, or Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    kind: Kind,
    /// The key itself, as the algorithm has it.
    bits: Vec<u8>,
    /// SHA-256 of its SPKI in DER.
    thumbprint: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    EcdsaP256,
    Ed25519,
}

/// Why a text is no key of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no PEM, or another kind of PEM than a public key.
    #[error("this is no public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    NotPem,
    /// What is in it is no SPKI.
    #[error("the public key cannot be read")]
    Malformed,
    /// Of an algorithm that Mender does not use, or too short.
    #[error("the key is none of RSA with 2,048 bits or more, ECDSA over P-256, and Ed25519")]
    Unsupported,
}

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not one by this key")]
pub struct SignatureRefused;

/// The fewest bits of an RSA key.
const LEAST_RSA_BITS: usize = 2_048;

impl VerifyingKey {
    /// Reads a key (RFC 7468 §13, RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_PEM {
            return Err(KeyError::NotPem);
        }
        let pem = Pem::iter_from_buffer(text.as_bytes()).next();
        match pem {
            Some(Ok(pem)) if pem.label == LABEL => Self::from_spki(&pem.contents),
            Some(Ok(_) | Err(_)) | None => Err(KeyError::NotPem),
        }
    }

    /// Reads a key in DER.
    ///
    /// # Errors
    /// [`KeyError`], but for [`KeyError::NotPem`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Malformed)?;
        if !rest.is_empty() {
            return Err(KeyError::Malformed);
        }
        let kind = kind_of(&spki)?;
        let thumbprint = digest(&SHA256, der)
            .as_ref()
            .try_into()
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            kind,
            bits: spki.subject_public_key.data.to_vec(),
            thumbprint,
        })
    }

    /// SHA-256 of the key's SPKI: its name among others.
    #[must_use]
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Whether `signature` is one of `message` by this key. Signatures of ECDSA come in DER from
    /// devices, and as two numbers of 32 bytes from `mender-artifact`; both are taken.
    ///
    /// # Errors
    /// [`SignatureRefused`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.kind {
            Kind::Rsa => &[&RSA_PKCS1_2048_8192_SHA256],
            Kind::EcdsaP256 => &[&ECDSA_P256_SHA256_FIXED, &ECDSA_P256_SHA256_ASN1],
            Kind::Ed25519 => &[&ED25519],
        };
        let holds = algorithms.iter().any(|algorithm| {
            let key = UnparsedPublicKey::new(*algorithm, &self.bits);
            key.verify(message, signature).is_ok()
        });
        holds.then_some(()).ok_or(SignatureRefused)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.kind)?;
        self.thumbprint
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn kind_of(spki: &SubjectPublicKeyInfo<'_>) -> Result<Kind, KeyError> {
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let parsed = spki.parsed().map_err(|_| KeyError::Malformed)?;
        return match parsed.key_size() {
            LEAST_RSA_BITS.. => Ok(Kind::Rsa),
            _ => Err(KeyError::Unsupported),
        };
    }
    if *algorithm == OID_SIG_ED25519 {
        return Ok(Kind::Ed25519);
    }
    let curve = spki.algorithm.parameters.as_ref();
    let curve = curve.and_then(|curve| curve.as_oid().ok());
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256) {
        Ok(Kind::EcdsaP256)
    } else {
        Err(KeyError::Unsupported)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SigningKey as _,
    };

    use super::*;

    #[test]
    fn a_key_of_each_kind_verifies_what_it_signed_and_nothing_else() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let pair = KeyPair::generate_for(algorithm).unwrap();
            let key = VerifyingKey::from_pem(&pair.public_key_pem()).unwrap();
            let signature = pair.sign(b"manifest").unwrap();
            assert_eq!(key.verify(b"manifest", &signature), Ok(()));
            assert_eq!(key.verify(b"Manifest", &signature), Err(SignatureRefused));
            assert_eq!(key.verify(b"manifest", &[0; 64]), Err(SignatureRefused));
        }
    }

    #[test]
    fn a_private_key_a_certificate_and_nonsense_are_no_keys() {
        let pair = KeyPair::generate().unwrap();
        let refused = |text: &str| VerifyingKey::from_pem(text).unwrap_err();
        assert_eq!(refused(&pair.serialize_pem()), KeyError::NotPem);
        assert_eq!(refused("nonsense"), KeyError::NotPem);
        assert_eq!(refused(""), KeyError::NotPem);
        let cut = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
        assert_eq!(refused(cut), KeyError::Malformed);
    }

    #[test]
    fn a_curve_that_mender_does_not_use_is_refused() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let refused = VerifyingKey::from_pem(&pair.public_key_pem()).unwrap_err();
        assert_eq!(refused, KeyError::Unsupported);
    }

    #[test]
    fn a_key_followed_by_more_is_refused() {
        let pair = KeyPair::generate().unwrap();
        let pem = Pem::iter_from_buffer(pair.public_key_pem().as_bytes())
            .next()
            .unwrap()
            .unwrap();
        let mut der = pem.contents;
        assert!(VerifyingKey::from_spki(&der).is_ok());
        der.push(0);
        assert_eq!(VerifyingKey::from_spki(&der), Err(KeyError::Malformed));
    }
}
