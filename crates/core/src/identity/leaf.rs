//! What a device's certificate says of itself, before anybody believes it.

use rcgen::{PublicKeyData as _, SubjectPublicKeyInfo};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::cache::Digest;
use crate::clock::Timestamp;
use crate::id::DeviceId;

/// The most bytes of one certificate of a chain.
pub(super) const MAX_CERTIFICATE: usize = 16_384;

/// The most other names of a certificate that are looked at.
const MAX_NAMES: usize = 16;

/// The most characters of a subject that are kept.
const MAX_SUBJECT: usize = 200;

/// What a certificate says of itself.
#[derive(Debug)]
pub(super) struct Leaf {
    /// SHA-256 over its DER.
    pub(super) thumbprint: Digest,
    /// Its subject, for people.
    pub(super) subject: String,
    /// Which devices it may be of: its common name first, then its other DNS names.
    pub(super) names: Vec<DeviceId>,
    /// Its key: the whole subjectPublicKeyInfo in DER.
    spki: Vec<u8>,
    not_before: Timestamp,
    /// Until when it is valid.
    pub(super) not_after: Timestamp,
}

impl Leaf {
    /// Reads a certificate; `None` when it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        if der.len() > MAX_CERTIFICATE {
            return None;
        }
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let validity = certificate.validity();
        Some(Self {
            thumbprint: thumbprint(der),
            subject: subject(&certificate),
            names: names(&certificate),
            spki: certificate.public_key().raw.to_vec(),
            not_before: Timestamp::from_millis(
                validity.not_before.timestamp().saturating_mul(1_000),
            ),
            not_after: Timestamp::from_millis(validity.not_after.timestamp().saturating_mul(1_000)),
        })
    }

    /// Whether it is for this key.
    pub(super) fn is_for(&self, key: &SubjectPublicKeyInfo) -> bool {
        key.subject_public_key_info() == self.spki
    }

    /// Whether it is valid at `now`, by its own dates.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// SHA-256 over a certificate's DER.
pub(super) fn thumbprint(der: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, der).as_ref());
    digest
}

/// The subject of a certificate, for people.
pub(super) fn subject(certificate: &X509Certificate<'_>) -> String {
    let text = certificate.subject().to_string();
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SUBJECT)
        .collect()
}

fn names(certificate: &X509Certificate<'_>) -> Vec<DeviceId> {
    let common = certificate
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let dns = alternative
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        });
    common
        .chain(dns)
        .take(MAX_NAMES)
        .filter_map(|name| name.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    proptest! {
        #[test]
        fn changed_certificates_are_read_or_not_but_never_a_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let good = certificate();
            let mut bad = good.clone();
            for (at, to) in changes {
                bad[at.index(good.len())] = to;
            }
            Leaf::read(&bad);
            prop_assert!(Leaf::read(&good[..cut.index(good.len())]).is_none());
        }

        #[test]
        fn any_bytes_are_a_certificate_or_not_but_never_a_panic(bytes: Vec<u8>) {
            Leaf::read(&bytes);
        }
    }

    #[test]
    fn names_that_no_device_can_have_are_passed_over() {
        let leaf = Leaf::read(&certificate()).unwrap();
        let names: Vec<_> = leaf.names.iter().map(DeviceId::as_str).collect();
        assert_eq!(names, ["till-1", "till-1.shop.example"]);
    }

    fn certificate() -> Vec<u8> {
        let names = vec!["till-1.shop.example".to_owned(), "*.example".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "till-1");
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }
}
