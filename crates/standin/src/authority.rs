//! A certificate authority made on the spot, kept in memory, gone with the process.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its making, and how long after, a certificate of the authority itself is valid.
const AUTHORITY_DAYS: u32 = 365;

/// A root and an intermediate authority with ECDSA P-256 keys.
pub struct Authority {
    root_pem: String,
    root: CertificateDer<'static>,
    intermediate_pem: String,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority that has been valid for a year at `now`, and will be for another.
    ///
    /// # Errors
    /// A key cannot be made or a certificate not signed.
    pub fn new(now: SystemTime) -> Result<Self, AuthorityError> {
        Self::named("Outgate stand-in", now)
    }

    /// The same under another name, which a client sees as the issuer: `name` with " root" and
    /// " intermediate" added.
    ///
    /// # Errors
    /// A key cannot be made or a certificate not signed.
    pub fn named(name: &str, now: SystemTime) -> Result<Self, AuthorityError> {
        let sign = |source| AuthorityError::Sign { source };
        let validity = Validity {
            from: now - DAY * AUTHORITY_DAYS,
            until: now + DAY * AUTHORITY_DAYS,
        };

        let root_key = new_key()?;
        let root_params = authority_params(&format!("{name} root"), validity, 1);
        let root = root_params.self_signed(&root_key).map_err(sign)?;
        let root_issuer = Issuer::new(root_params, root_key);

        let key = new_key()?;
        let params = authority_params(&format!("{name} intermediate"), validity, 0);
        let intermediate = params.signed_by(&key, &root_issuer).map_err(sign)?;

        Ok(Self {
            root_pem: root.pem(),
            root: root.der().clone(),
            intermediate_pem: intermediate.pem(),
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The root certificate in PEM: what a client has to trust.
    pub fn pem(&self) -> String {
        self.root_pem.clone()
    }

    /// The root certificate in DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// Issues a server certificate for DNS names (`*.x` too) and IP addresses.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, a key cannot be made, or signing fails.
    pub fn issue(&self, names: &[String], validity: Validity) -> Result<Identity, AuthorityError> {
        let name = "Outgate stand-in server";
        self.issue_for(name, names, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// Issues a client certificate, for [`Stage::https_mutual`](crate::Stage::https_mutual).
    ///
    /// # Errors
    /// The name cannot stand in a certificate, a key cannot be made, or signing fails.
    pub fn issue_client(&self, name: &str, validity: Validity) -> Result<Identity, AuthorityError> {
        let names = [name.to_owned()];
        self.issue_for(name, &names, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue_for(
        &self,
        common: &str,
        names: &[String],
        purpose: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Result<Identity, AuthorityError> {
        let mut params =
            CertificateParams::new(names).map_err(|source| AuthorityError::Name { source })?;
        params.distinguished_name = common_name(common);
        params.not_before = validity.from.into();
        params.not_after = validity.until.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;

        let key = new_key()?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(|source| AuthorityError::Sign { source })?;
        Ok(Identity {
            names: names.to_vec(),
            chain: vec![leaf.der().clone(), self.intermediate.clone()],
            chain_pem: leaf.pem() + &self.intermediate_pem,
            key,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment of validity.
    pub from: SystemTime,
    /// Last moment of validity.
    pub until: SystemTime,
}

impl Validity {
    /// From two days before `now` to 30 days after it.
    pub fn around(now: SystemTime) -> Self {
        Self {
            from: now - 2 * DAY,
            until: now + 30 * DAY,
        }
    }

    /// Ended a day before `now`.
    pub fn expired(now: SystemTime) -> Self {
        Self {
            from: now - 30 * DAY,
            until: now - DAY,
        }
    }

    /// Starts a day after `now`.
    pub fn not_yet(now: SystemTime) -> Self {
        Self {
            from: now + DAY,
            until: now + 30 * DAY,
        }
    }
}

/// A server's or client's certificate, the intermediate above it, and the private key.
pub struct Identity {
    names: Vec<String>,
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: KeyPair,
}

impl Identity {
    /// The names and addresses in the certificate.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Leaf first, then the intermediate.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The chain in PEM, leaf first, as other servers want it in a file.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The private key in PEM (PKCS #8), for handing to another server on this machine.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Leaves the intermediate out, as a badly set up server does.
    #[must_use]
    pub(crate) fn leaf_only(mut self) -> Self {
        self.chain.truncate(1);
        self
    }

    /// What rustls signs handshakes with.
    pub(crate) fn certified(&self) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let key = rustls::crypto::ring::sign::any_ecdsa_type(&key)
            .map_err(|source| AuthorityError::Load { source })?;
        Ok(Arc::new(CertifiedKey::new(self.chain.clone(), key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// No key pair.
    #[error("failed to make a key pair")]
    Key {
        /// Why.
        source: rcgen::Error,
    },
    /// A name is neither an IP address nor an ASCII DNS name.
    #[error("failed to put a name into a certificate")]
    Name {
        /// Why.
        source: rcgen::Error,
    },
    /// Signing failed.
    #[error("failed to sign a certificate")]
    Sign {
        /// Why.
        source: rcgen::Error,
    },
    /// The TLS library does not take the key.
    #[error("failed to load a private key")]
    Load {
        /// Why.
        source: rustls::Error,
    },
}

fn new_key() -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|source| AuthorityError::Key { source })
}

/// `below`: how many further authorities may stand between this one and a server.
fn authority_params(name: &str, validity: Validity, below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.not_before = validity.from.into();
    params.not_after = validity.until.into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_tells_no_key() {
        let now = SystemTime::now();
        let authority = Authority::new(now).unwrap();
        let identity = authority
            .issue(&["a.example".into()], Validity::around(now))
            .unwrap();
        assert_eq!(format!("{authority:?}"), "Authority { .. }");
        assert_eq!(
            format!("{identity:?}"),
            r#"Identity { names: ["a.example"], .. }"#
        );
    }

    #[test]
    fn a_name_outside_ascii_is_refused() {
        let authority = Authority::new(SystemTime::now()).unwrap();
        let issued = authority.issue(&["ä.example".into()], Validity::around(SystemTime::now()));
        assert!(matches!(issued, Err(AuthorityError::Name { .. })));
    }
}
