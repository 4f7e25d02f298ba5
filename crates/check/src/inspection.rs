//! TLS inspection: whether somebody on the way opens TLS and closes it again, decided from signals
//! that do not depend on each other.
//!
//! One certificate says little: a vendor may have an authority of its own. So issuers are compared
//! over all names: whom a maker's own name gives away, or who vouches for several names that have
//! nothing to do with each other, and is known to no public list. Names of lanes on which the
//! vendor's own authority is expected do not count among them, and neither do hosts of the local
//! network: both have private authorities by right.

use std::collections::{BTreeMap, BTreeSet};

use outgate_probe::{Attempt, ExpectedTrust, Finding, RootSource, TlsEvidence, Trouble};

use crate::address::is_local;
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
}

/// One issuer, over all names.
#[derive(Default)]
struct Issuer {
    /// Names for which a private authority is not to be expected.
    names: BTreeSet<String>,
    /// Whether a lane named whom it trusts: a public authority, a key, or the vendor's.
    trust_named: bool,
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
                } else if !tls.trusted_by.contains(&RootSource::Given) {
                    let known = issuers.entry(issuer.to_owned()).or_default();
                    known.trust_named |= tls.expected != ExpectedTrust::Any;
                    if private_is_odd(attempt, tls) {
                        known.names.insert(host);
                    }
                }
            }
        }
        let tells = |(name, issuer): &(String, Issuer)| {
            issuer.names.len() >= NAMES_THAT_TELL || (issuer.trust_named && maker(name).is_some())
        };
        let issuers: BTreeSet<String> = issuers
            .into_iter()
            .filter(tells)
            .map(|(name, _)| name)
            .collect();
        let exempt = if issuers.is_empty() {
            BTreeSet::new()
        } else {
            public
        };
        Self { issuers, exempt }
    }

    /// Who inspects, where this is what the trouble comes from.
    pub(crate) fn behind(&self, trouble: &Trouble, finding: &Finding) -> Option<String> {
        let is_about_trust = matches!(
            trouble,
            Trouble::CertificateUntrusted { .. }
                | Trouble::CertificateNotPublic { .. }
                | Trouble::PinMismatch { .. }
        );
        let chains = finding.attempts.iter().filter_map(|it| it.tls.as_ref());
        let mut found = chains.filter_map(issuer);
        let known = found.find(|issuer| self.issuers.contains(*issuer))?;
        is_about_trust.then(|| known.to_owned())
    }

    /// Names whose certificates are public all the same: they are exempt from the inspection.
    pub(crate) fn exempt(&self) -> &BTreeSet<String> {
        &self.exempt
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
