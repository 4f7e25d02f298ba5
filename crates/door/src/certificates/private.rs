//! A private authority: made on the spot, kept on disk, trusted by whoever is given its
//! certificate.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};

use super::names::names_in;
use super::pem::{self, Readers};
use super::validity::Validity;
use super::{CertificateError, Current};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the authority's own certificate lives: longer than the devices that trust it.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long a server's certificate lives.
const LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How far certificates reach back, for clients whose clock is behind.
const BACKDATED: Duration = DAY;

/// An authority in `folder` that signs one certificate, for `names`.
pub(super) struct Private {
    pub(super) folder: PathBuf,
    pub(super) names: Vec<String>,
}

impl Private {
    /// The file of the authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The certificate and its key, made anew when it is time to, or when the one that is there is
    /// not good for all names.
    pub(super) fn current(&self, now: SystemTime) -> Result<Current, CertificateError> {
        let issuer = self.issuer(now)?;
        // One file with both, so that they cannot be of different runs.
        let path = self.folder.join("server.pem");
        if let Ok(current) = Current::read(&path, &path)
            && !current.validity.due(now)
            && self.is_good(&current)
        {
            return Ok(current);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = self.params(now)?.signed_by(&key, &issuer)?;
        let both = zeroize::Zeroizing::new(key.serialize_pem() + &certificate.pem());
        pem::write(&path, both.as_bytes(), Readers::Owner)?;
        Current::read(&path, &path)
    }

    /// The authority, made when it is not there.
    fn issuer(&self, now: SystemTime) -> Result<Issuer<'static, KeyPair>, CertificateError> {
        let (certificate, key) = (self.authority(), self.folder.join("ca.key"));
        if !key.exists() {
            let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
            let secret = zeroize::Zeroizing::new(made.serialize_pem());
            let public = authority_params(&made, now).self_signed(&made)?;
            // The key last: a run that was cut short before leaves none, and starts again.
            pem::write(&certificate, public.pem().as_bytes(), Readers::Everybody)?;
            pem::write(&key, secret.as_bytes(), Readers::Owner)?;
        }
        let chain = pem::chain(&certificate)?;
        let Some(public) = chain.first() else {
            return Err(CertificateError::Unreadable);
        };
        if Validity::of(Some(public))?.ends_within(Duration::ZERO, now) {
            return Err(CertificateError::AuthorityEnded { path: certificate });
        }
        let secret = pem::key(&key)?;
        let key_pair = KeyPair::try_from(&secret)?;
        Ok(Issuer::from_ca_cert_der(public, key_pair)?)
    }

    fn params(&self, now: SystemTime) -> Result<CertificateParams, CertificateError> {
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = common_name("Outgate hub");
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + LIFE).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    /// Whether a certificate is this authority's and for all names.
    fn is_good(&self, current: &Current) -> bool {
        let authority = pem::chain(&self.authority()).ok();
        let Some(authority) = authority.as_ref().and_then(|chain| chain.first()) else {
            return false;
        };
        let parse = |der| x509_parser::parse_x509_certificate(der).ok();
        let (Some((_, authority)), Some((_, own))) = (
            parse(authority),
            current.certificate.cert.first().and_then(|own| parse(own)),
        ) else {
            return false;
        };
        let names = names_in(&own);
        // The authority's name has a part of its key in it, so that no other has it.
        own.issuer() == authority.subject()
            && self
                .names
                .iter()
                .all(|name| names.contains(&name.to_ascii_lowercase()))
    }
}

fn authority_params(key: &KeyPair, now: SystemTime) -> CertificateParams {
    let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key_raw());
    let unique: String = digest.as_ref()[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("Outgate private authority {unique}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + AUTHORITY_LIFE).into();
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_shows_the_same_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let private = private(&folder, &["localhost", "127.0.0.1", "::1"]);
        let first = der(&private, now());
        assert_eq!(der(&private, now() + DAY), first);
    }

    #[test]
    fn a_new_name_makes_a_new_certificate_of_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let first = der(&private(&folder, &["localhost"]), now());
        let authority = std::fs::read(folder.path().join("ca.pem")).unwrap();
        let second = der(&private(&folder, &["localhost", "hub.example"]), now());
        assert_ne!(first, second);
        assert_eq!(
            std::fs::read(folder.path().join("ca.pem")).unwrap(),
            authority
        );
    }

    #[test]
    fn a_certificate_is_made_anew_after_two_thirds_of_its_life() {
        let folder = tempfile::tempdir().unwrap();
        let private = private(&folder, &["localhost"]);
        let first = der(&private, now());
        assert_eq!(der(&private, now() + DAY * 58), first);
        assert_ne!(der(&private, now() + DAY * 60), first);
    }

    #[test]
    fn an_authority_that_was_cut_short_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let private = private(&folder, &["localhost"]);
        std::fs::write(private.authority(), "").unwrap();
        private.current(now()).unwrap();
    }

    #[test]
    fn an_authority_that_has_ended_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let private = private(&folder, &["localhost"]);
        private.current(now()).unwrap();
        let error = private.current(now() + AUTHORITY_LIFE).err().unwrap();
        assert!(matches!(error, CertificateError::AuthorityEnded { .. }));
    }

    #[test]
    fn a_certificate_of_another_authority_is_replaced() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        der(&private(&one, &["localhost"]), now());
        let theirs = der(&private(&other, &["localhost"]), now());
        let file = |folder: &tempfile::TempDir| folder.path().join("server.pem");
        std::fs::copy(file(&other), file(&one)).unwrap();
        assert_ne!(der(&private(&one, &["localhost"]), now()), theirs);
    }

    fn der(private: &Private, now: SystemTime) -> Vec<u8> {
        private.current(now).unwrap().certificate.cert[0].to_vec()
    }

    fn private(folder: &tempfile::TempDir, names: &[&str]) -> Private {
        Private {
            folder: folder.path().to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * 20_000
    }
}
