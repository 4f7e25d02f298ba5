//! Certificate requests (PKCS #10, RFC 2986). Only their key is taken: what a device may be
//! called and its certificate be used for is ours to say.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::pem;
use crate::refusal::Refusal;

/// The fewest bits of an RSA key.
const MIN_RSA_BITS: usize = 2_048;

/// The most bits of an RSA key: verifying with a larger one costs too much.
const MAX_RSA_BITS: usize = 8_192;

/// A request whose sender has the key.
pub(super) struct Request(SubjectPublicKeyInfo);

impl Request {
    /// Reads a request and verifies that it is signed with the key that it is for.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
        let der = pem::one(text, &LABELS)?;
        let bad = |why: &str| Refusal::invalid("request", why);
        let (rest, request) = X509CertificationRequest::from_der(&der)
            .map_err(|_| bad("a certificate request (PKCS #10)"))?;
        if !rest.is_empty() {
            return Err(bad("nothing after the certificate request"));
        }
        let key = &request.certification_request_info.subject_pki;
        let parsed = key.parsed().map_err(|_| bad("a key that can be read"))?;
        if let PublicKey::RSA(rsa) = parsed
            && !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&rsa.key_size())
        {
            return Err(bad("an RSA key of 2048 to 8192 bits"));
        }
        let key = SubjectPublicKeyInfo::from_der(key.raw)
            .map_err(|_| bad("a key on P-256 or P-384, Ed25519, or RSA"))?;
        let signature = &request.signature_algorithm.algorithm;
        if *signature == OID_PKCS1_SHA1WITHRSA || *signature == OID_SHA1_WITH_RSA {
            return Err(bad("signed with SHA-256 or better"));
        }
        request
            .verify_signature()
            .map_err(|_| bad("signed with the key that it is for"))?;
        Ok(Self(key))
    }

    /// The key that the certificate is to be for.
    pub(super) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn keys_of_the_usual_kinds_are_taken() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &PKCS_ECDSA_P384_SHA384,
            &PKCS_ED25519,
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let request = Request::read(&request_of(&key)).unwrap();
            let taken = rcgen::PublicKeyData::der_bytes(request.key());
            assert_eq!(taken, key.public_key_raw());
        }
    }

    #[test]
    fn a_request_for_somebody_elses_key_is_refused() {
        let der = der_of(&KeyPair::generate().unwrap());
        let theirs = KeyPair::generate().unwrap();
        let key = KeyPair::generate().unwrap();
        let der_mine = der_of(&key);
        let at = der_mine
            .windows(65)
            .position(|part| part == key.public_key_raw())
            .unwrap();
        let mut forged = der_mine;
        forged[at..at + 65].copy_from_slice(theirs.public_key_raw());
        let refused = Request::read(&pem_of(&forged)).err().unwrap();
        assert!(refused.to_string().contains("signed with the key"));
        assert!(Request::read(&pem_of(&der)).is_ok());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let good = request_of(&KeyPair::generate().unwrap());
        let twice = format!("{good}{good}");
        for text in ["", "hello", certificate, &twice, &"A".repeat(1_000_000)] {
            assert!(Request::read(text).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_changed_request_gives_no_other_key_and_never_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let key = KeyPair::generate().unwrap();
            let good = der_of(&key);
            let mut bad = good.clone();
            for (at, to) in changes {
                bad[at.index(good.len())] = to;
            }
            if let Ok(request) = Request::read(&pem_of(&bad)) {
                let taken = rcgen::PublicKeyData::der_bytes(request.key());
                prop_assert_eq!(taken, key.public_key_raw());
            }
            prop_assert!(Request::read(&pem_of(&good[..cut.index(good.len())])).is_err());
        }
    }

    fn request_of(key: &KeyPair) -> String {
        let params = CertificateParams::default();
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    fn der_of(key: &KeyPair) -> Vec<u8> {
        let params = CertificateParams::default();
        params.serialize_request(key).unwrap().der().to_vec()
    }

    fn pem_of(der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
