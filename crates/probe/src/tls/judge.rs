//! Judging a chain after the handshake: who vouches for it, is it its time, is it for this name.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate;
use crate::{
    ask::{TlsAsk, Trust},
    evidence::{RootSource, Trouble},
    path::{Roots, anchor},
    run::Stop,
};

/// The root sets of a path, ready to verify with.
pub(super) struct Judge {
    sets: Vec<(RootSource, Arc<WebPkiServerVerifier>)>,
    /// Those of the sets that the product trusts.
    counted: Vec<RootSource>,
    anchors: Vec<TrustAnchor<'static>>,
    provider: Arc<CryptoProvider>,
}

/// What is to be said about a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The root sets that vouch for it, dates and name left aside.
    pub(super) trusted_by: Vec<RootSource>,
    /// The first thing that is wrong: trust, then dates, then name. One that only warns comes
    /// after those that fail.
    pub(super) doubt: Option<Stop>,
}

impl Judge {
    pub(super) fn new(
        roots: &Roots,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut sets = Vec::new();
        let mut anchors = Vec::new();
        let mut counted = Vec::new();
        for (source, of_source) in roots.sets() {
            if !of_source.is_empty() {
                sets.push((source, verifier(of_source.to_vec(), provider)?));
                anchors.extend_from_slice(of_source);
                if roots.counts(source) {
                    counted.push(source);
                }
            }
        }
        Ok(Self {
            sets,
            counted,
            anchors,
            provider: provider.clone(),
        })
    }

    /// Judges a presented chain, the server's own certificate first.
    pub(super) fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ask: &TlsAsk,
        now: SystemTime,
    ) -> Judgement {
        let Some((leaf, _)) = chain.split_first() else {
            return Judgement {
                trusted_by: Vec::new(),
                doubt: None,
            };
        };
        let case = Case::new(chain, name, now);
        let results: Vec<_> = self
            .sets
            .iter()
            .map(|(source, set)| (*source, case.trust(set)))
            .collect();
        let trusted_by = results
            .iter()
            .filter(|(_, result)| !matches!(result, Trusted::Never(_)))
            .map(|(source, _)| *source)
            .collect();
        let public_only = match &ask.trust {
            Trust::Any => ask.exempt,
            Trust::Public => true,
            Trust::Vendor | Trust::Pinned(_) => false,
        };
        let not_public = public_only && trusted_by == [RootSource::System];
        let trusted = match &ask.trust {
            Trust::Any | Trust::Public | Trust::Vendor => results
                .into_iter()
                .filter(|(source, _)| self.counted.contains(source))
                .map(|(_, result)| result)
                .reduce(Trusted::better),
            Trust::Pinned(pins) => self.pinned(&case, leaf, pins),
        };
        let trouble = match trusted {
            _ if not_public && ask.exempt => Some(case.not_public()),
            None => Some(match &ask.trust {
                Trust::Any | Trust::Public | Trust::Vendor => case.untrusted(),
                Trust::Pinned(_) => case.no_pin(),
            }),
            Some(Trusted::Never(error)) => Some(case.never(&error)),
            Some(Trusted::AtOtherTimes) => Some(case.wrong_date()),
            Some(Trusted::Now) => None,
        };
        let failure = trouble.or_else(|| case.wrong_name(leaf)).map(Stop::from);
        let warning = || not_public.then(|| Stop::warn(case.not_public()));
        Judgement {
            trusted_by,
            doubt: failure.or_else(warning),
        }
    }

    /// Trust through pinned keys: the server's own, or one that signed the way down to it.
    fn pinned(
        &self,
        case: &Case<'_>,
        leaf: &CertificateDer<'_>,
        pins: &[[u8; 32]],
    ) -> Option<Trusted> {
        let is_pinned = |spki: Option<[u8; 32]>| spki.is_some_and(|spki| pins.contains(&spki));
        if is_pinned(certificate::spki_sha256(leaf)) {
            return Some(if case.leaf_is_current() {
                Trusted::Now
            } else {
                Trusted::AtOtherTimes
            });
        }
        let presented = case.chain.iter().skip(1).filter_map(anchor);
        let pinned: Vec<_> = presented
            .chain(self.anchors.iter().cloned())
            .filter(|anchor| is_pinned(certificate::anchor_spki_sha256(anchor)))
            .collect();
        if pinned.is_empty() {
            return None;
        }
        match case.trust(verifier(pinned, &self.provider).ok()?.as_ref()) {
            Trusted::Never(_) => None,
            trusted @ (Trusted::Now | Trusted::AtOtherTimes) => Some(trusted),
        }
    }
}

/// How far a set of roots vouches for a chain.
enum Trusted {
    Now,
    /// The chain leads to a root, but not at this time.
    AtOtherTimes,
    Never(CertificateError),
}

impl Trusted {
    fn better(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Now, _) => self,
            (_, Self::Now) => other,
            (Self::AtOtherTimes, _) => self,
            (Self::Never(_), Self::AtOtherTimes) => other,
            // One set knows the issuer and still says no: that says more.
            (Self::Never(CertificateError::UnknownIssuer), Self::Never(_)) => other,
            (Self::Never(_), Self::Never(_)) => self,
        }
    }
}

/// One chain in one situation.
struct Case<'a> {
    chain: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    now: u64,
    /// Validity of each certificate in seconds since 1970.
    windows: Vec<(u64, u64)>,
}

impl<'a> Case<'a> {
    fn new(chain: &'a [CertificateDer<'a>], name: &'a ServerName<'a>, now: SystemTime) -> Self {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Self {
            chain,
            name,
            now,
            windows: chain.iter().map(window).collect(),
        }
    }

    fn trust(&self, set: &WebPkiServerVerifier) -> Trusted {
        let first = match self.verify(set, self.now) {
            Ok(()) => return Trusted::Now,
            Err(error) => error,
        };
        // A date that is wrong hides whether the chain leads to a root, so look at other times.
        let other_times = self.times_of_validity();
        if other_times.iter().any(|at| self.verify(set, *at).is_ok()) {
            Trusted::AtOtherTimes
        } else {
            Trusted::Never(first)
        }
    }

    /// Verifies all but the name.
    fn verify(&self, set: &WebPkiServerVerifier, at: u64) -> Result<(), CertificateError> {
        let Some((leaf, rest)) = self.chain.split_first() else {
            return Err(CertificateError::BadEncoding);
        };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        match set.verify_server_cert(leaf, rest, self.name, &[], at) {
            Ok(_) => Ok(()),
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(rustls::Error::InvalidCertificate(error)) => Err(error),
            Err(_) => Err(CertificateError::BadEncoding),
        }
    }

    /// Moments at which the chain may have been valid: when all certificates were, and the ends of
    /// the server's own.
    fn times_of_validity(&self) -> Vec<u64> {
        let start = self.windows.iter().map(|window| window.0).max();
        let end = self.windows.iter().map(|window| window.1).min();
        let leaf = self.windows.first().map(|window| [window.0, window.1]);
        start
            .into_iter()
            .chain(end)
            .chain(leaf.into_iter().flatten())
            .collect()
    }

    fn leaf_is_current(&self) -> bool {
        self.windows
            .first()
            .is_some_and(|(start, end)| (*start..=*end).contains(&self.now))
    }

    fn untrusted(&self) -> Trouble {
        Trouble::CertificateUntrusted {
            issuer: self.last_issuer(),
        }
    }

    fn not_public(&self) -> Trouble {
        Trouble::CertificateNotPublic {
            issuer: self.last_issuer(),
        }
    }

    fn last_issuer(&self) -> String {
        let last = self.chain.last().map(certificate::evidence);
        last.map(|last| last.issuer).unwrap_or_default()
    }

    fn no_pin(&self) -> Trouble {
        let presented = self
            .chain
            .iter()
            .map(|der| certificate::evidence(der).spki_sha256)
            .filter(|spki| !spki.is_empty());
        Trouble::PinMismatch {
            presented: presented.collect(),
        }
    }

    /// Dates play no part where no time would do: then it is the issuer, unless the certificate
    /// is broken in itself.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest come to an unknown issuer"
    )]
    fn never(&self, error: &CertificateError) -> Trouble {
        match error {
            CertificateError::InvalidPurpose
            | CertificateError::InvalidPurposeContext { .. }
            | CertificateError::UnhandledCriticalExtension
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
                Trouble::CertificateInvalid {
                    why: error.to_string(),
                }
            }
            _ => self.untrusted(),
        }
    }

    fn wrong_date(&self) -> Trouble {
        for (der, (start, end)) in self.chain.iter().zip(&self.windows) {
            let evidence = certificate::evidence(der);
            let subject = evidence.subject;
            match (evidence.not_before, evidence.not_after) {
                (_, Some(not_after)) if self.now > *end => {
                    return Trouble::CertificateExpired { subject, not_after };
                }
                (Some(not_before), _) if self.now < *start => {
                    return Trouble::CertificateNotYetValid {
                        subject,
                        not_before,
                    };
                }
                (_, _) => {}
            }
        }
        Trouble::CertificateInvalid {
            why: "not valid at this time".to_owned(),
        }
    }

    fn wrong_name(&self, leaf: &CertificateDer<'_>) -> Option<Trouble> {
        let fits = ParsedCertificate::try_from(leaf)
            .and_then(|parsed| verify_server_name(&parsed, self.name));
        fits.err().map(|_| Trouble::CertificateWrongName {
            names: certificate::evidence(leaf).names,
        })
    }
}

fn verifier(
    roots: Vec<TrustAnchor<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Box<dyn Error + Send + Sync>> {
    let roots = Arc::new(RootCertStore { roots });
    Ok(WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?)
}

/// When each certificate begins to be valid: at one of these times a chain is that ever is.
pub(super) fn starts(chain: &[CertificateDer<'_>]) -> Vec<SystemTime> {
    let seconds = chain.iter().map(|der| window(der).0);
    let times = seconds.filter_map(|at| {
        let since_1970 = Duration::from_secs(at);
        SystemTime::UNIX_EPOCH.checked_add(since_1970)
    });
    times.collect()
}

fn window(der: &CertificateDer<'_>) -> (u64, u64) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return (0, u64::MAX);
    };
    let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
    let validity = certificate.validity();
    (
        seconds(validity.not_before.timestamp()),
        seconds(validity.not_after.timestamp()),
    )
}

#[cfg(test)]
mod tests;
