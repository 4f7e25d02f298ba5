//! TLS inspection, told from private authorities by what several names show together.

use outgate_check::{CauseKind, Owner, Report};
use outgate_probe::{
    Ask, Attempt, CertificateEvidence, ExpectedTrust, Finding, Outcome, RootSource, TlsEnds,
    TlsEvidence, Trouble, WhoamiEvidence,
};

use crate::support::{check, failed, flow, passed, scripted};

/// Who vouched for a name, as far as anybody did.
#[derive(Clone, Copy)]
struct Shown {
    host: &'static str,
    issuer: &'static str,
    trusted_by: Option<RootSource>,
    expected: ExpectedTrust,
}

const COMPANY: &str = "CN=Company CA";
const FORTIGATE: &str = "O=Fortinet, CN=FG100E";

const fn shown(host: &'static str, issuer: &'static str, by: Option<RootSource>) -> Shown {
    Shown {
        host,
        issuer,
        trusted_by: by,
        expected: ExpectedTrust::Public,
    }
}

fn finding(shown: Shown) -> Finding {
    let mut attempt = Attempt::new("192.0.2.1".parse().unwrap(), Some(443));
    attempt.tls = Some(TlsEvidence {
        server_name: Some(shown.host.into()),
        version: None,
        cipher_suite: None,
        alpn: None,
        chain: vec![certificate(shown.issuer)],
        trusted_by: shown.trusted_by.into_iter().collect(),
        expected: shown.expected,
        client_certificate_asked: false,
        legacy: None,
    });
    let issuer = shown.issuer.to_owned();
    let trouble = match (shown.trusted_by, shown.expected) {
        (Some(RootSource::Mozilla | RootSource::Given), _) => None,
        (_, ExpectedTrust::Pinned) => Some(Trouble::PinMismatch {
            presented: Vec::new(),
        }),
        (Some(RootSource::System), _) => Some(Trouble::CertificateNotPublic { issuer }),
        (None, _) => Some(Trouble::CertificateUntrusted { issuer }),
    };
    attempt.outcome = trouble.as_ref().map_or(Outcome::Pass, |_| Outcome::Fail);
    attempt.trouble.clone_from(&trouble);
    Finding {
        attempts: vec![attempt],
        ..trouble.map_or_else(passed, failed)
    }
}

fn certificate(issuer: &str) -> CertificateEvidence {
    CertificateEvidence {
        subject: "CN=server".into(),
        issuer: issuer.into(),
        names: Vec::new(),
        not_before: None,
        not_after: None,
        serial: String::new(),
        sha256: String::new(),
        spki_sha256: String::new(),
    }
}

async fn checked(all: Vec<Shown>) -> Report {
    let flows: String = all
        .iter()
        .map(|one| flow(one.host.split('.').next().unwrap(), one.host, ""))
        .collect();
    let probe = scripted(move |ask: &Ask| {
        let host = ask.host.to_string();
        finding(*all.iter().find(|one| one.host == host).unwrap())
    });
    check(&flows, probe, 8).await
}

async fn causes(all: Vec<Shown>) -> Vec<(CauseKind, String)> {
    let report = checked(all).await;
    let causes = report.causes.into_iter();
    causes.map(|cause| (cause.kind, cause.subject)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_issuer_for_several_names_inspects_and_the_others_are_exempt() {
    let report = checked(vec![
        shown("a.example", COMPANY, None),
        shown("b.example", COMPANY, None),
        shown("c.example", "O=Public", Some(RootSource::Mozilla)),
    ])
    .await;
    let [cause] = report.causes.as_slice() else {
        panic!("{:?}", report.causes);
    };
    assert_eq!(
        (cause.kind, cause.owner),
        (CauseKind::TlsInspected, Owner::Proxy)
    );
    assert_eq!(cause.subject, COMPANY);
    assert!(
        cause.what.contains("a.example, b.example"),
        "{}",
        cause.what
    );
    assert!(
        cause.what.ends_with("not inspected: c.example"),
        "{}",
        cause.what
    );
}

#[tokio::test(start_paused = true)]
async fn a_single_stranger_is_not_called_inspection() {
    let found = causes(vec![
        shown("a.example", COMPANY, None),
        shown("b.example", "O=Public", Some(RootSource::Mozilla)),
    ])
    .await;
    assert_eq!(
        found,
        [(CauseKind::CertificateUntrusted, COMPANY.to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_makers_name_gives_a_single_one_away() {
    let report = checked(vec![shown("a.example", FORTIGATE, None)]).await;
    assert_eq!(report.causes[0].kind, CauseKind::TlsInspected);
    assert!(report.causes[0].what.contains("CN=FG100E (Fortinet)"));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_name_shares_the_cause_of_the_others() {
    const PINNED: Shown = Shown {
        expected: ExpectedTrust::Pinned,
        ..shown("pinned.example", COMPANY, None)
    };
    let found = causes(vec![
        shown("a.example", COMPANY, Some(RootSource::System)),
        PINNED,
    ])
    .await;
    assert_eq!(found, [(CauseKind::TlsInspected, COMPANY.to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_vendors_own_authority_is_none_however_many_names_it_has() {
    const fn vendor(host: &'static str) -> Shown {
        Shown {
            expected: ExpectedTrust::Vendor,
            ..shown(host, "CN=Vendor CA", None)
        }
    }
    let found = causes(vec![
        vendor("a.example"),
        vendor("b.example"),
        vendor("c.example"),
    ]);
    let untrusted = (CauseKind::CertificateUntrusted, "CN=Vendor CA".to_owned());
    assert_eq!(found.await, [untrusted]);
    let found = causes(vec![
        shown("a.example", "CN=Vendor CA", Some(RootSource::Given)),
        shown("b.example", "CN=Vendor CA", Some(RootSource::Given)),
    ]);
    assert_eq!(found.await, []);
}

/// The same, with what both ends say of it.
fn seen_from_both_ends(shown: Shown, ends: TlsEnds) -> Finding {
    let mut found = finding(shown);
    let attempt = &mut found.attempts[0];
    attempt.whoami = Some(WhoamiEvidence {
        ends,
        not_known: None,
        address: None,
        port: None,
        translated: None,
        version: None,
        alpn: None,
        server_name: None,
        added: Vec::new(),
    });
    if ends == TlsEnds::Different && attempt.trouble.is_none() {
        let issuer = shown.issuer.to_owned();
        found.trouble = Some(Trouble::TlsOpened { issuer });
        found.outcome = Outcome::Warn;
    }
    found
}

async fn kinds(ends: TlsEnds, one: Shown, others: Vec<Shown>) -> Vec<(CauseKind, usize)> {
    let names = [one].into_iter().chain(others.clone());
    let flows: String = names
        .map(|one| flow(one.host.split('.').next().unwrap(), one.host, ""))
        .collect();
    let probe = scripted(move |ask: &Ask| {
        let host = ask.host.to_string();
        match others.iter().find(|other| other.host == host) {
            Some(other) => finding(*other),
            None => seen_from_both_ends(one, ends),
        }
    });
    let causes = check(&flows, probe, 8).await.causes;
    let kinds = causes.iter().map(|cause| (cause.kind, cause.lanes.len()));
    kinds.collect()
}

#[tokio::test(start_paused = true)]
async fn an_authority_whose_connections_are_whole_inspects_nothing_however_many_names_it_has() {
    let one = shown("a.example", COMPANY, None);
    let others = vec![
        shown("b.example", COMPANY, Some(RootSource::System)),
        shown("c.example", COMPANY, None),
    ];
    let whole = kinds(TlsEnds::Same, one, others.clone()).await;
    assert_eq!(whole, [(CauseKind::CertificatePrivate, 3)]);
    let unknown = kinds(TlsEnds::NotKnown, one, others).await;
    assert_eq!(unknown, [(CauseKind::TlsInspected, 3)]);
}

#[tokio::test(start_paused = true)]
async fn one_name_is_enough_where_both_ends_differ_also_with_an_authority_that_was_given() {
    for by in [None, Some(RootSource::System), Some(RootSource::Given)] {
        let one = Shown {
            expected: ExpectedTrust::Any,
            ..shown("a.example", COMPANY, by)
        };
        let found = kinds(TlsEnds::Different, one, Vec::new()).await;
        assert_eq!(found, [(CauseKind::TlsInspected, 1)], "{by:?}");
    }
}
