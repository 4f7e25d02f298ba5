//! Every way a chain can be right or wrong, alone and together.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use time::{Duration as Span, OffsetDateTime, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

/// An authority made for one test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = NOW - Span::days(3000);
        params.not_after = NOW + Span::days(3000);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self {
            issuer: Issuer::new(params, key),
            der,
            pem,
        }
    }

    fn intermediate(&self, name: &str, until: OffsetDateTime) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = NOW - Span::days(1000);
        params.not_after = until;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (der, pem) = (certificate.der().clone(), certificate.pem());
        Self {
            issuer: Issuer::new(params, key),
            der,
            pem,
        }
    }

    fn issue(&self, from: OffsetDateTime, until: OffsetDateTime) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "server");
        params.subject_alt_names = vec![
            SanType::DnsName("api.example".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 1].into()),
        ];
        params.not_before = from;
        params.not_after = until;
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    fn current(&self) -> CertificateDer<'static> {
        self.issue(NOW - Span::days(10), NOW + Span::days(80))
    }
}

impl Judgement {
    fn trouble(&self) -> Option<Trouble> {
        self.doubt.as_ref().map(|doubt| doubt.trouble.clone())
    }
}

fn judge_at(
    given: Option<&Authority>,
    chain: &[CertificateDer<'_>],
    name: &str,
    trust: &Trust,
    now: OffsetDateTime,
) -> Judgement {
    let roots = match given {
        Some(authority) => Roots::mozilla().give_pem(authority.pem.as_bytes()).unwrap(),
        None => Roots::mozilla(),
    };
    let ask = TlsAsk {
        trust: trust.clone(),
        ..TlsAsk::default()
    };
    judge_with(&roots, chain, name, &ask, now)
}

fn judge_with(
    roots: &Roots,
    chain: &[CertificateDer<'_>],
    name: &str,
    ask: &TlsAsk,
    now: OffsetDateTime,
) -> Judgement {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    Judge::new(roots, &provider)
        .unwrap()
        .judge(chain, &name, ask, now.into())
}

fn judge(given: Option<&Authority>, chain: &[CertificateDer<'_>], name: &str) -> Judgement {
    judge_at(given, chain, name, &Trust::Vendor, NOW)
}

fn untrusted(issuer: &str) -> Option<Trouble> {
    Some(Trouble::CertificateUntrusted {
        issuer: format!("CN={issuer}"),
    })
}

#[test]
fn a_chain_to_a_given_root_is_trusted_and_the_evidence_says_by_whom() {
    let authority = Authority::new("Vendor CA");
    for name in ["api.example", "192.0.2.1"] {
        let judgement = judge(Some(&authority), &[authority.current()], name);
        let expected = Judgement {
            trusted_by: vec![RootSource::Given],
            doubt: None,
        };
        assert_eq!(judgement, expected, "{name}");
    }
}

#[test]
fn a_chain_to_a_root_nobody_gave_is_untrusted() {
    let (known, other) = (Authority::new("Vendor CA"), Authority::new("Middlebox CA"));
    let judgement = judge(
        Some(&known),
        &[other.current(), other.der.clone()],
        "api.example",
    );
    assert_eq!(judgement.trouble(), untrusted("Middlebox CA"));
    assert_eq!(judgement.trusted_by, []);
}

#[test]
fn an_authority_that_only_bears_a_known_name_is_untrusted() {
    let (known, forged) = (Authority::new("Vendor CA"), Authority::new("Vendor CA"));
    let judgement = judge(Some(&known), &[forged.current()], "api.example");
    assert_eq!(judgement.trouble(), untrusted("Vendor CA"));
}

#[test]
fn a_self_signed_certificate_is_untrusted() {
    let authority = Authority::new("Self");
    let judgement = judge(None, std::slice::from_ref(&authority.der), "api.example");
    assert_eq!(judgement.trouble(), untrusted("Self"));
}

#[test]
fn a_missing_intermediate_leaves_the_chain_untrusted_and_names_the_issuer() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle", NOW + Span::days(100));
    let judgement = judge(Some(&root), &[middle.current()], "api.example");
    assert_eq!(judgement.trouble(), untrusted("Middle"));
    let whole = [middle.current(), middle.der.clone()];
    assert_eq!(judge(Some(&root), &whole, "api.example").trouble(), None);
}

#[test]
fn an_expired_certificate_says_since_when_and_who_would_vouch_for_it() {
    let authority = Authority::new("Vendor CA");
    let not_after = NOW - Span::days(1);
    let chain = [authority.issue(NOW - Span::days(90), not_after)];
    let judgement = judge(Some(&authority), &chain, "api.example");
    let trouble = Trouble::CertificateExpired {
        subject: "CN=server".to_owned(),
        not_after,
    };
    assert_eq!(judgement.trouble(), Some(trouble));
    assert_eq!(judgement.trusted_by, [RootSource::Given]);
}

#[test]
fn a_clock_that_starts_in_1970_makes_every_certificate_not_yet_valid() {
    let authority = Authority::new("Vendor CA");
    let chain = [authority.current()];
    let start = OffsetDateTime::UNIX_EPOCH;
    let judgement = judge_at(
        Some(&authority),
        &chain,
        "api.example",
        &Trust::Vendor,
        start,
    );
    let trouble = Trouble::CertificateNotYetValid {
        subject: "CN=server".to_owned(),
        not_before: NOW - Span::days(10),
    };
    assert_eq!(judgement.trouble(), Some(trouble));
}

#[test]
fn an_expired_intermediate_is_the_one_that_is_named() {
    let root = Authority::new("Root");
    let not_after = NOW - Span::days(2);
    let middle = root.intermediate("Middle", not_after);
    let chain = [middle.current(), middle.der.clone()];
    let judgement = judge(Some(&root), &chain, "api.example");
    let trouble = Trouble::CertificateExpired {
        subject: "CN=Middle".to_owned(),
        not_after,
    };
    assert_eq!(judgement.trouble(), Some(trouble));
}

#[test]
fn a_certificate_for_other_names_says_which() {
    let authority = Authority::new("Vendor CA");
    let judgement = judge(Some(&authority), &[authority.current()], "web.example");
    let names = vec!["api.example".to_owned(), "192.0.2.1".to_owned()];
    assert_eq!(
        judgement.trouble(),
        Some(Trouble::CertificateWrongName { names })
    );
}

#[test]
fn trust_comes_before_dates_and_dates_before_names() {
    let (known, other) = (Authority::new("Known"), Authority::new("Other"));
    let expired =
        |authority: &Authority| [authority.issue(NOW - Span::days(90), NOW - Span::days(1))];
    let all_wrong = judge(Some(&known), &expired(&other), "web.example");
    assert_eq!(all_wrong.trouble(), untrusted("Other"));
    let date_and_name = judge(Some(&known), &expired(&known), "web.example");
    assert!(matches!(
        date_and_name.trouble(),
        Some(Trouble::CertificateExpired { .. })
    ));
}

#[test]
fn an_authority_of_the_machines_store_alone_is_not_public() {
    let inspector = Authority::new("Inspecting proxy CA");
    let roots = Roots::mozilla()
        .system_pem(inspector.pem.as_bytes())
        .unwrap();
    let chain = [inspector.current()];
    let trouble = Trouble::CertificateNotPublic {
        issuer: "CN=Inspecting proxy CA".to_owned(),
    };
    let warn = Some(Stop::warn(trouble.clone()));
    let fail = Some(Stop::from(trouble));
    for (trust, exempt, doubt) in [
        (Trust::Any, false, None),
        (Trust::Any, true, fail.clone()),
        (Trust::Public, false, warn),
        (Trust::Public, true, fail),
        (Trust::Vendor, false, None),
        (Trust::Vendor, true, None),
    ] {
        let ask = TlsAsk {
            trust,
            exempt,
            ..TlsAsk::default()
        };
        let judgement = judge_with(&roots, &chain, "api.example", &ask, NOW);
        assert_eq!(judgement.trusted_by, [RootSource::System]);
        assert_eq!(judgement.doubt, doubt, "{ask:?}");
        // What the caller gives counts as public.
        let given = roots.clone().give_pem(inspector.pem.as_bytes()).unwrap();
        let judgement = judge_with(&given, &chain, "api.example", &ask, NOW);
        assert_eq!(judgement.doubt, None, "{ask:?}");
    }
}

#[test]
fn what_fails_comes_before_a_store_that_only_warns() {
    let inspector = Authority::new("Inspecting proxy CA");
    let roots = Roots::mozilla()
        .system_pem(inspector.pem.as_bytes())
        .unwrap();
    let ask = TlsAsk {
        trust: Trust::Public,
        ..TlsAsk::default()
    };
    let late = NOW + Span::days(1000);
    let expired = judge_with(&roots, &[inspector.current()], "api.example", &ask, late);
    let misnamed = judge_with(&roots, &[inspector.current()], "web.example", &ask, NOW);
    assert!(matches!(
        expired.trouble(),
        Some(Trouble::CertificateExpired { .. })
    ));
    assert!(matches!(
        misnamed.trouble(),
        Some(Trouble::CertificateWrongName { .. })
    ));
}

#[test]
fn a_pinned_server_key_needs_no_root() {
    let authority = Authority::new("Anybody");
    let leaf = authority.current();
    let pins = Trust::Pinned(vec![[0; 32], certificate::spki_sha256(&leaf).unwrap()]);
    let judgement = judge_at(None, std::slice::from_ref(&leaf), "api.example", &pins, NOW);
    assert_eq!(
        judgement,
        Judgement {
            trusted_by: Vec::new(),
            doubt: None
        }
    );
    let late = NOW + Span::days(1000);
    let judgement = judge_at(None, &[leaf], "api.example", &pins, late);
    assert!(matches!(
        judgement.trouble(),
        Some(Trouble::CertificateExpired { .. })
    ));
}

#[test]
fn a_pinned_authority_counts_whether_presented_or_given() {
    let root = Authority::new("Root");
    let middle = root.intermediate("Middle", NOW + Span::days(100));
    let chain = [middle.current(), middle.der.clone()];
    for pinned in [&root.der, &middle.der] {
        let pins = Trust::Pinned(vec![certificate::spki_sha256(pinned).unwrap()]);
        let judgement = judge_at(Some(&root), &chain, "api.example", &pins, NOW);
        assert_eq!(judgement.trouble(), None);
    }
}

#[test]
fn showing_a_pinned_certificate_that_signed_nothing_does_not_help() {
    let (vendor, forger) = (Authority::new("Vendor CA"), Authority::new("Forger"));
    let pins = Trust::Pinned(vec![certificate::spki_sha256(&vendor.der).unwrap()]);
    let chain = [forger.current(), vendor.der.clone()];
    let judgement = judge_at(Some(&forger), &chain, "api.example", &pins, NOW);
    assert!(
        matches!(judgement.trouble(), Some(Trouble::PinMismatch { presented }) if presented.len() == 2)
    );
    assert_eq!(judgement.trusted_by, [RootSource::Given]);
}

#[test]
fn a_root_has_the_same_key_hash_as_anchor_and_as_certificate() {
    let authority = Authority::new("Root");
    let anchor = anchor(&authority.der).unwrap();
    let expected = certificate::spki_sha256(&authority.der);
    assert_eq!(certificate::anchor_spki_sha256(&anchor), expected);
}

#[test]
fn rubbish_for_a_chain_is_judged_without_a_panic() {
    for rubbish in [&b""[..], b"\x30", &[0x30, 0x82, 0xff, 0xff], &[0xff; 100]] {
        let chain = [CertificateDer::from(rubbish)];
        assert!(judge(None, &chain, "api.example").trouble().is_some());
    }
    assert_eq!(judge(None, &[], "api.example").trouble(), None);
}
