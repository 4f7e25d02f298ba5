//! What a certificate says, for people.

use ring::digest::{SHA256, digest};
use rustls::pki_types::{CertificateDer, TrustAnchor};
use time::{OffsetDateTime, UtcOffset};
use x509_parser::{
    prelude::{FromDer, GeneralName, X509Certificate},
    public_key::PublicKey,
    time::ASN1Time,
};

use crate::{evidence::CertificateEvidence, text::cut};

/// Most names of one certificate that are kept.
const NAMES_MAX: usize = 64;
/// Longest text taken out of a certificate, in characters.
const TEXT_MAX: usize = 512;

/// Everything worth reporting. A certificate that cannot be read has only its fingerprint.
pub(super) fn evidence(der: &CertificateDer<'_>) -> CertificateEvidence {
    let sha256 = hex(digest(&SHA256, der).as_ref());
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return CertificateEvidence {
            subject: "unreadable".to_owned(),
            issuer: "unreadable".to_owned(),
            names: Vec::new(),
            not_before: None,
            not_after: None,
            serial: String::new(),
            sha256,
            spki_sha256: String::new(),
        };
    };
    let validity = certificate.validity();
    CertificateEvidence {
        subject: cut(&certificate.subject().to_string(), TEXT_MAX),
        issuer: cut(&certificate.issuer().to_string(), TEXT_MAX),
        names: names(&certificate),
        not_before: utc(validity.not_before),
        not_after: utc(validity.not_after),
        serial: hex(certificate.raw_serial()),
        sha256,
        spki_sha256: hex(digest(&SHA256, certificate.public_key().raw).as_ref()),
    }
}

/// A moment as RFC 3339 can write it (years 0 to 9999, no offset of a day or more).
fn utc(time: ASN1Time) -> Option<OffsetDateTime> {
    let utc = time.to_datetime().checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&utc.year()).then_some(utc)
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469 §2.4).
pub(super) fn spki_sha256(der: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    digest(&SHA256, certificate.public_key().raw)
        .as_ref()
        .try_into()
        .ok()
}

/// The length of the certificate's key, if it is an RSA key, in bits.
pub(super) fn rsa_bits(der: &CertificateDer<'_>) -> Option<usize> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    if let PublicKey::RSA(key) = certificate.public_key().parsed().ok()? {
        Some(key.key_size())
    } else {
        None
    }
}

/// SHA-256 as [`spki_sha256`] gives it for a trust anchor, which keeps the key information without its outer DER header.
pub(super) fn anchor_spki_sha256(anchor: &TrustAnchor<'_>) -> Option<[u8; 32]> {
    let content = anchor.subject_public_key_info.as_ref();
    let mut spki = vec![0x30];
    match u16::try_from(content.len()).ok()?.to_be_bytes() {
        [0, length] if length < 0x80 => spki.push(length),
        [0, length] => spki.extend([0x81, length]),
        [high, low] => spki.extend([0x82, high, low]),
    }
    spki.extend(content);
    digest(&SHA256, &spki).as_ref().try_into().ok()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the subject alternative name extension (RFC 5280 §4.2.1.6).
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other kinds of names name no server"
)]
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(cut(name, TEXT_MAX)),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
    names.take(NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_certificate_has_no_dates_rather_than_wrong_ones() {
        let seen = evidence(&CertificateDer::from(&b"\x30\x03abc"[..]));
        assert_eq!((seen.not_before, seen.not_after), (None, None));
        assert_eq!(seen.sha256.len(), 64);
        let json = serde_json::to_value(seen).unwrap();
        assert!(json["not_after"].is_null(), "{json}");
    }

    #[test]
    fn dates_that_no_report_can_show_are_left_out() {
        let time = |text: &str| {
            let mut der = vec![0x18, u8::try_from(text.len()).unwrap()];
            der.extend(text.bytes());
            ASN1Time::from_der(&der)
                .ok()
                .and_then(|(_, time)| utc(time))
        };
        assert!(time("99991231235959Z").is_some());
        for text in ["99991231235959-0100", "00000101000000+0100"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
