//! TLS inspection: whether somebody on the way opens TLS and closes it again, decided from signals
//! that do not depend on each other.
//!
//! One certificate says little: a vendor may have an authority of its own. So issuers are compared
//! over all names: whom a maker's own name gives away, or who vouches for several names that have
//! nothing to do with each other, and is known to no public list. Names of lanes on which the
//! vendor's own authority is expected do not count among them, and neither do hosts of the local
//! network: both have private authorities by right.
//!
//! Where a server tells how it sees a connection, both ends of it are compared, and that proves one
//! or the other whoever issued the certificate.

use std::collections::{BTreeMap, BTreeSet};

use outgate_probe::{
    Attempt, ExpectedTrust, Finding, RootSource, TlsEnds, TlsEvidence, Trouble, is_local,
};

use crate::judge::Judged;

/// What makers' issuers are called: `part of the issuer;maker;source`, a line each.
const MAKERS: &str = include_str!("inspection/makers.csv");
/// Names that one issuer must vouch for before their number alone tells.
const NAMES_THAT_TELL: usize = 2;

/// Who opens TLS on the way, and for which names nobody does.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    issuers: BTreeSet<String>,
    exempt: BTreeSet<String>,
    /// Issuers of certificates on connections of which both ends are the same.
    whole: BTreeSet<String>,
}

/// One issuer, over all names.
#[derive(Default)]
struct Issuer {
    /// Names for which a private authority is not to be expected.
    names: BTreeSet<String>,
    /// Whether a lane named whom it trusts: a public authority, a key, or the vendor's.
    trust_named: bool,
    /// Whether the far end was seen to have another TLS connection: that proves it.
    opens: bool,
    /// Whether the far end was seen to have the same one: that proves the contrary.
    whole: bool,
}

impl Issuer {
    /// Whether this issuer's certificates are those of somebody who inspects.
    fn inspects(&self, name: &str) -> bool {
        let likely =
            self.names.len() >= NAMES_THAT_TELL || (self.trust_named && maker(name).is_some());
        self.opens || (likely && !self.whole)
    }
}

impl Inspection {
    pub(crate) fn of(lanes: &[Judged]) -> Self {
        let mut issuers: BTreeMap<String, Issuer> = BTreeMap::new();
        let mut public = BTreeSet::new();
        for (ask, finding) in lanes.iter().flat_map(|judged| &judged.probes) {
            for attempt in &finding.attempts {
                let Some(tls) = &attempt.tls else { continue };
                let (Some(issuer), host) = (issuer(tls), ask.host.to_string()) else {
                    continue;
                };
                if tls.trusted_by.contains(&RootSource::Mozilla) {
                    public.insert(host);
                    continue;
                }
                let known = issuers.entry(issuer.to_owned()).or_default();
                match attempt.whoami.as_ref().map(|seen| seen.ends) {
                    Some(TlsEnds::Different) => known.opens = true,
                    Some(TlsEnds::Same) => {
                        known.whole = true;
                        public.insert(host);
                        continue;
                    }
                    Some(TlsEnds::NotKnown) | None => {}
                }
                if !tls.trusted_by.contains(&RootSource::Given) {
                    known.trust_named |= tls.expected != ExpectedTrust::Any;
                    if private_is_odd(attempt, tls) {
                        known.names.insert(host);
                    }
                }
            }
        }
        let whole = issuers
            .iter()
            .filter(|(_, issuer)| issuer.whole && !issuer.opens);
        let whole = whole.map(|(name, _)| name.clone()).collect();
        let issuers: BTreeSet<String> = issuers
            .into_iter()
            .filter(|(name, issuer)| issuer.inspects(name))
            .map(|(name, _)| name)
            .collect();
        let exempt = if issuers.is_empty() {
            BTreeSet::new()
        } else {
            public
        };
        Self {
            issuers,
            exempt,
            whole,
        }
    }

    /// Who inspects, where this is what the trouble comes from.
    pub(crate) fn behind(&self, trouble: &Trouble, finding: &Finding) -> Option<String> {
        let is_about_trust = is_about_authority(trouble)
            || matches!(
                trouble,
                Trouble::TlsOpened { .. } | Trouble::PinMismatch { .. }
            )
            || (opened(finding) && is_about_certificate(trouble));
        let known = issuers_of(finding).find(|issuer| self.issuers.contains(*issuer))?;
        is_about_trust.then(|| known.to_owned())
    }

    /// The authority of a certificate that nobody put there on the way, where this is what the
    /// trouble comes from.
    pub(crate) fn private(&self, trouble: &Trouble, finding: &Finding) -> Option<String> {
        let known = issuers_of(finding).find(|issuer| self.whole.contains(*issuer))?;
        is_about_authority(trouble).then(|| known.to_owned())
    }

    /// Names whose certificates are public all the same, or that are seen to be whole: they are
    /// exempt from the inspection.
    pub(crate) fn exempt(&self) -> &BTreeSet<String> {
        &self.exempt
    }
}

/// Who opens TLS on the way, where the issuer's name gives him away by itself: the maker of the
/// device or program. Without other names to compare with, another issuer says nothing.
#[must_use]
pub fn inspector(trouble: &Trouble) -> Option<&'static str> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "these two are all that is about a certificate's authority"
    )]
    match trouble {
        Trouble::CertificateUntrusted { issuer } | Trouble::CertificateNotPublic { issuer } => {
            maker(issuer)
        }
        _ => None,
    }
}

/// Whose device has an issuer of this name.
pub(crate) fn maker(issuer: &str) -> Option<&'static str> {
    let issuer = issuer.to_lowercase();
    let mut rows = MAKERS.lines().filter_map(row);
    rows.find_map(|[part, maker, _]| issuer.contains(part).then_some(maker))
}

fn row(line: &'static str) -> Option<[&'static str; 3]> {
    let mut fields = line.splitn(3, ';').map(str::trim);
    let row = [fields.next()?, fields.next()?, fields.next()?];
    (!line.starts_with('#')).then_some(row)
}

/// Whether the far end of an attempt sees another TLS connection.
fn opened(finding: &Finding) -> bool {
    let mut seen = finding.attempts.iter().filter_map(|it| it.whoami.as_ref());
    seen.any(|seen| seen.ends == TlsEnds::Different)
}

/// Whether something else is wrong with a certificate than its authority.
fn is_about_certificate(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::CertificateWrongName { .. }
            | Trouble::CertificateInvalid { .. }
            | Trouble::CertificateExpired { .. }
            | Trouble::CertificateNotYetValid { .. }
    )
}

fn is_about_authority(trouble: &Trouble) -> bool {
    matches!(
        trouble,
        Trouble::CertificateUntrusted { .. } | Trouble::CertificateNotPublic { .. }
    )
}

/// The issuers that the attempts of a finding met.
fn issuers_of(finding: &Finding) -> impl Iterator<Item = &str> {
    let chains = finding.attempts.iter().filter_map(|it| it.tls.as_ref());
    chains.filter_map(issuer)
}

/// The issuer of the last certificate that was presented.
fn issuer(tls: &TlsEvidence) -> Option<&str> {
    tls.chain.last().map(|last| last.issuer.as_str())
}

/// Whether it would be odd if a private authority had vouched for the far end.
fn private_is_odd(attempt: &Attempt, tls: &TlsEvidence) -> bool {
    match tls.expected {
        ExpectedTrust::Public | ExpectedTrust::Pinned => true,
        ExpectedTrust::Vendor => false,
        ExpectedTrust::Any => attempt.proxy.is_some() || !is_local(attempt.address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_whole_and_finds_its_maker() {
        let lines = MAKERS.lines().filter(|line| !line.starts_with('#'));
        let rows: Vec<_> = lines.map(|line| row(line).unwrap()).collect();
        let makers: BTreeSet<_> = rows.iter().map(|[_, maker, _]| maker).collect();
        assert!(makers.len() >= 20, "{}", makers.len());
        for [part, owner, source] in &rows {
            assert_eq!(*part, part.to_lowercase());
            assert!(part.len() >= 4 && !owner.is_empty() && !source.is_empty());
            let issuer = format!("O={}, CN=x", part.to_uppercase());
            assert!(maker(&issuer).is_some(), "{part}");
        }
    }

    #[test]
    fn makers_are_known_by_their_issuers() {
        for (issuer, expected) in [
            (
                "C=US, O=Fortinet, OU=Certificate Authority, CN=FG100E",
                Some("Fortinet"),
            ),
            (
                "O=Zscaler Inc., CN=Zscaler Intermediate Root CA (zscaler.net)",
                Some("Zscaler"),
            ),
            ("CN=avast! Web/Mail Shield Root", Some("Avast")),
            ("CN=mitmproxy, O=mitmproxy", Some("mitmproxy")),
            ("C=US, O=Let's Encrypt, CN=R11", None),
            ("CN=Company CA", None),
        ] {
            assert_eq!(maker(issuer), expected, "{issuer}");
        }
    }
}
