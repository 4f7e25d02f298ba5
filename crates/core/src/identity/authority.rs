//! The hub's own authority for devices: signs certificates for keys that never leave them.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::request::Request;
use super::vault::write_private;
use crate::clock::Timestamp;
use crate::id::DeviceId;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// The file of the authority's key, in the data folder.
const KEY_FILE: &str = "devices-ca.key";

/// The file of its certificate.
const CERTIFICATE_FILE: &str = "devices-ca.pem";

/// How long the authority lasts: ten years of 365 days. It is not renewed by itself.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The file of the key until the certificate is there too.
const UNFINISHED_FILE: &str = "devices-ca.unfinished";

/// How long a device's certificate lasts if nobody says otherwise.
pub const DEFAULT_CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 86_400);

/// The longest that a device's certificate lasts.
pub const MAX_CERTIFICATE_LIFE: Duration = Duration::from_secs(366 * 86_400);

/// The shortest that a device's certificate lasts.
pub const MIN_CERTIFICATE_LIFE: Duration = Duration::from_secs(3_600);

/// How far certificates begin in the past, for devices whose clock is slow.
const BACK_DATED: Duration = Duration::from_secs(3_600);

/// Bytes of a serial number, the most that RFC 5280 (section 4.1.2.2) allows being 20.
const SERIAL_LENGTH: usize = 16;

/// The hub's own authority for devices.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    expires: Timestamp,
}

/// A certificate that was signed.
pub(super) struct Signed {
    pub(super) der: Vec<u8>,
    /// Its own certificate and the authority's, in PEM.
    pub(super) chain: String,
    pub(super) expires: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority in `folder`, or makes it.
    pub(super) fn open(folder: &Path, now: Timestamp) -> Result<Self, Refusal> {
        let (key, certificate) = (folder.join(KEY_FILE), folder.join(CERTIFICATE_FILE));
        let unfinished = folder.join(UNFINISHED_FILE);
        // A certificate whose key is gone is somebody's mistake, unless it was being made when the
        // hub was killed.
        if !exists(&key)? && (exists(&unfinished)? || !exists(&certificate)?) {
            let (key_pem, certificate_pem) = make(now)?;
            write_private(&unfinished, key_pem.expose())
                .and_then(|()| write_private(&certificate, certificate_pem.as_bytes()))
                .and_then(|()| fs::rename(&unfinished, &key))
                .and_then(|()| fs::File::open(folder)?.sync_all())
                .map_err(|_| Refusal::Internal("the devices' authority cannot be written"))?;
        }
        let key = Secret::new(fs::read(&key).map_err(|_| UNREADABLE)?);
        let pem = fs::read_to_string(&certificate).map_err(|_| UNREADABLE)?;
        Self::read(&key, pem)
    }

    fn read(key: &Secret, pem: String) -> Result<Self, Refusal> {
        let key = str::from_utf8(key.expose()).map_err(|_| UNREADABLE)?;
        let key = KeyPair::from_pem(key).map_err(|_| UNREADABLE)?;
        let block = super::pem::one(&pem, &["CERTIFICATE"]).map_err(|_| UNREADABLE)?;
        let (_, certificate) = X509Certificate::from_der(&block).map_err(|_| UNREADABLE)?;
        let public = certificate.public_key().subject_public_key.as_ref();
        if public != key.public_key_raw() {
            return Err(Refusal::Internal(
                "devices-ca.key and devices-ca.pem do not belong together",
            ));
        }
        let ends = certificate.validity().not_after.timestamp();
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&pem, key).map_err(|_| UNREADABLE)?,
            expires: Timestamp::from_millis(ends.saturating_mul(1_000)),
            pem,
        })
    }

    /// Its certificate in PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate for the key of `request`, good for `device` as a TLS client and nothing
    /// else, from an hour ago until `lasts` from now.
    pub(super) fn sign(
        &self,
        device: &DeviceId,
        request: &Request,
        lasts: Duration,
        now: Timestamp,
    ) -> Result<Signed, Refusal> {
        if !(MIN_CERTIFICATE_LIFE..=MAX_CERTIFICATE_LIFE).contains(&lasts) {
            return Err(Refusal::invalid("lasts", "an hour to 366 days"));
        }
        let expires = whole_seconds(now.after(lasts)).min(self.expires);
        if expires <= now {
            return Err(Refusal::Internal(
                "the devices' authority has ended; remove devices-ca.key and devices-ca.pem from \
                 the data folder and start again to have a new one made",
            ));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = named(device.as_str());
        params.not_before = whole_seconds(now.before(BACK_DATED)).date();
        params.not_after = expires.date();
        params.serial_number = Some(serial()?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params
            .signed_by(request.key(), &self.issuer)
            .map_err(|_| Refusal::Internal("a certificate could not be signed"))?;
        Ok(Signed {
            der: signed.der().to_vec(),
            chain: format!("{}{}", signed.pem(), self.pem),
            expires,
        })
    }
}

const UNREADABLE: Refusal =
    Refusal::Internal("devices-ca.key or devices-ca.pem in the data folder cannot be read");

fn exists(file: &Path) -> Result<bool, Refusal> {
    match fs::metadata(file) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(_) => Err(UNREADABLE),
    }
}

/// Makes a key and a certificate for it, both in PEM.
fn make(now: Timestamp) -> Result<(Secret, String), Refusal> {
    const FAILED: Refusal = Refusal::Internal("the devices' authority could not be made");
    let key = KeyPair::generate().map_err(|_| FAILED)?;
    let serial = serial()?;
    // Two hubs' authorities must not have the same name: chains are looked for by it.
    let name: String = serial
        .to_bytes()
        .iter()
        .take(4)
        .fold("Outgate devices ".to_owned(), |name, byte| {
            format!("{name}{byte:02x}")
        });
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&name);
    params.not_before = whole_seconds(now.before(BACK_DATED)).date();
    params.not_after = whole_seconds(now.after(AUTHORITY_LIFE)).date();
    params.serial_number = Some(serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(|_| FAILED)?;
    Ok((
        Secret::new(key.serialize_pem().into_bytes()),
        certificate.pem(),
    ))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A random serial number, positive and not zero.
fn serial() -> Result<SerialNumber, Refusal> {
    let random = Secret::random(SERIAL_LENGTH)?;
    let mut bytes = random.expose().to_vec();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from(bytes))
}

/// Certificates know no fractions of a second.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_authority_is_the_same_after_a_restart_and_its_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), now()).unwrap();
        let later = now().after(Duration::from_secs(86_400));
        let second = Authority::open(folder.path(), later).unwrap();
        assert_eq!(first.pem(), second.pem());
        let key = fs::metadata(folder.path().join(KEY_FILE)).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn half_an_authority_is_not_taken_for_one() {
        for lost in [KEY_FILE, CERTIFICATE_FILE] {
            let folder = tempfile::tempdir().unwrap();
            Authority::open(folder.path(), now()).unwrap();
            fs::remove_file(folder.path().join(lost)).unwrap();
            assert!(Authority::open(folder.path(), now()).is_err(), "{lost}");
        }
    }

    #[test]
    fn an_authority_that_a_killed_hub_had_only_begun_is_made_anew() {
        for there in [&[][..], &[CERTIFICATE_FILE]] {
            let folder = tempfile::tempdir().unwrap();
            for file in there.iter().chain(&[UNFINISHED_FILE]) {
                fs::write(folder.path().join(file), "begun").unwrap();
            }
            let made = Authority::open(folder.path(), now()).unwrap();
            let again = Authority::open(folder.path(), now()).unwrap();
            assert_eq!(made.pem(), again.pem());
            assert!(!folder.path().join(UNFINISHED_FILE).exists());
        }
    }

    #[test]
    fn another_hubs_key_does_not_fit() {
        let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        Authority::open(one.path(), now()).unwrap();
        Authority::open(two.path(), now()).unwrap();
        fs::copy(one.path().join(KEY_FILE), two.path().join(KEY_FILE)).unwrap();
        let refused = Authority::open(two.path(), now()).unwrap_err();
        assert!(refused.to_string().contains("do not belong together"));
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(1_790_000_000_123)
    }
}
