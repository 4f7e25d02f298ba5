//! Who may vouch for servers: three sets of roots, kept apart so that evidence can say which.

use rustls::pki_types::{
    CertificateDer, TrustAnchor,
    pem::{self, PemObject},
};
use webpki_roots::TLS_SERVER_ROOTS;

use crate::evidence::RootSource;

/// Most certificates taken from one text of the caller.
const GIVEN_MAX: usize = 1024;
/// Most certificates taken from the machine's store.
const SYSTEM_MAX: usize = 4096;

/// Three sets of trust anchors.
#[derive(Clone)]
pub struct Roots {
    mozilla: Vec<TrustAnchor<'static>>,
    system: Vec<TrustAnchor<'static>>,
    given: Vec<TrustAnchor<'static>>,
    counted: Counted,
}

/// Which sets of roots the product trusts. The others are evidence: they tell a public authority
/// from a private one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counted {
    /// All of them.
    #[default]
    All,
    /// Mozilla's list, and what the caller gave.
    Mozilla,
    /// The machine's own store, and what the caller gave.
    System,
    /// What the caller gave, and nothing else.
    Given,
}

impl Counted {
    fn counts(self, source: RootSource) -> bool {
        match source {
            RootSource::Given => true,
            RootSource::Mozilla => matches!(self, Self::All | Self::Mozilla),
            RootSource::System => matches!(self, Self::All | Self::System),
        }
    }
}

impl Roots {
    /// Mozilla's list alone.
    pub fn mozilla() -> Self {
        Self {
            mozilla: TLS_SERVER_ROOTS.to_vec(),
            system: Vec::new(),
            given: Vec::new(),
            counted: Counted::All,
        }
    }

    /// Mozilla's list and the machine's own store. What the machine cannot read is left out: a
    /// store may hold files of any age and kind.
    pub fn with_system() -> Self {
        let store = rustls_native_certs::load_native_certs().certs;
        let system = store.iter().take(SYSTEM_MAX).filter_map(anchor).collect();
        Self {
            system,
            ..Self::mozilla()
        }
    }

    /// The same sets, of which these count.
    pub fn counting(self, counted: Counted) -> Self {
        Self { counted, ..self }
    }

    /// Whether the product trusts what this set vouches for.
    pub(crate) fn counts(&self, source: RootSource) -> bool {
        self.counted.counts(source)
    }

    /// Adds the certificates of a PEM text, at least one and at most 1,024.
    pub fn give_pem(mut self, pem: &[u8]) -> Result<Self, RootsError> {
        add_pem(&mut self.given, pem)?;
        Ok(self)
    }

    /// Adds the certificates of a PEM text, at least one and at most 1,024, as if they stood in
    /// the machine's own store: for a product whose store is elsewhere, and for tests.
    pub fn system_pem(mut self, pem: &[u8]) -> Result<Self, RootsError> {
        add_pem(&mut self.system, pem)?;
        Ok(self)
    }

    /// Each set with its name.
    pub(crate) fn sets(&self) -> [(RootSource, &[TrustAnchor<'static>]); 3] {
        [
            (RootSource::Mozilla, &self.mozilla),
            (RootSource::System, &self.system),
            (RootSource::Given, &self.given),
        ]
    }
}

/// Why roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The text is not PEM.
    #[error("failed to read the certificates as PEM")]
    Pem {
        /// Why.
        source: pem::Error,
    },
    /// A PEM block named CERTIFICATE is none.
    #[error("a certificate cannot be used as a root")]
    Certificate,
    /// There is no certificate in the text.
    #[error("the text holds no PEM block named CERTIFICATE")]
    Empty,
    /// More than 1,024 certificates.
    #[error("more than {GIVEN_MAX} certificates")]
    TooMany,
}

fn add_pem(set: &mut Vec<TrustAnchor<'static>>, pem: &[u8]) -> Result<(), RootsError> {
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|source| RootsError::Pem { source })?;
        set.push(anchor(&certificate).ok_or(RootsError::Certificate)?);
        added += 1;
        if added > GIVEN_MAX {
            return Err(RootsError::TooMany);
        }
    }
    if added == 0 {
        return Err(RootsError::Empty);
    }
    Ok(())
}

/// The trust anchor in a certificate.
pub(crate) fn anchor(certificate: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    let mut store = rustls::RootCertStore::empty();
    store.add(certificate.clone().into_owned()).ok()?;
    store.roots.pop()
}
