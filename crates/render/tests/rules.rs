//! Rules for a product that needs one of everything, and for products made up by chance.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and leaves what it got beside what it expected"
)]

use std::collections::BTreeSet;
use std::path::Path;

use outgate_manifest::{Empty, Lane, Manifest, Selection, parse};
use outgate_render::page::{PageRequest, formats, render as page};
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{Expression, Rules, RulesRequest, WHOLE_FILE, target};

#[path = "rules/chance.rs"]
mod chance;
#[path = "rules/ledger.rs"]
mod ledger;

const EVERY_KIND: &str = include_str!("given/every-kind.yaml");

/// Addresses for all that the manifest leaves open, but for `b.example.com` and the wildcard.
const ADDRESSES: [&str; 13] = [
    "device=10.0.0.2,2001:db8:a::2",
    "technician=10.0.1.0/24",
    "phone=10.0.0.3",
    "directory=10.0.2.9",
    "provider=0.0.0.0/0,::/0",
    "cloud=192.0.2.77",
    "a.example.com=192.0.2.1,2001:db8::1",
    "a.b.example.com=192.0.2.3",
    "live.example.com=192.0.2.4",
    "ntp-servers=192.0.2.123",
    "dns-servers=192.0.2.53,10.0.2.53",
    "AzureCloud.westeurope=192.0.2.64/28,192.0.2.128/26,192.0.2.130",
    "nobody=192.0.2.99",
];

fn rules(id: &str, yaml: &str, addresses: &[&str], selection: &Selection) -> Rules {
    let manifest = parse("given.yaml", yaml, &Empty).expect("a sound manifest");
    let lanes = manifest.lanes(selection).unwrap();
    render(id, &manifest, &lanes, addresses, selection)
}

fn render(
    id: &str,
    manifest: &Manifest,
    lanes: &[Lane],
    given: &[&str],
    selection: &Selection,
) -> Rules {
    let mut addresses = Addresses::default();
    for one in given {
        addresses.read(one).unwrap();
    }
    let judged = ["phone".to_owned()].into();
    let request = RulesRequest {
        manifest,
        selection,
        lanes,
        addresses: &addresses,
        judged: &judged,
        language: "de",
    };
    target(id).unwrap().render(&request)
}

/// Compares with an expected file; what was got instead is left in Cargo's folder for tests.
fn check(name: &str, expected: &str, got: &str) {
    if expected != got {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, got).unwrap();
        let first = expected.lines().zip(got.lines()).find(|(a, b)| a != b);
        panic!(
            "{name} is not as expected: {} holds it; {first:?}",
            path.display()
        );
    }
}

fn ledger(rules: &Rules) -> String {
    let row = |entry: &outgate_render::rules::Entry| {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let (reason, workaround) = (or(&entry.reason), or(&entry.workaround));
        let word = entry.expression.as_str();
        format!(
            "{word}\t{}: {}\n\t{reason}\n\t{workaround}\n",
            entry.flow, entry.lane
        )
    };
    rules.ledger.iter().map(row).collect()
}

#[test]
fn everything_that_is_known_becomes_a_rule_and_the_rest_is_in_the_ledger() {
    let got = rules("nftables", EVERY_KIND, &ADDRESSES, &Selection::default());
    check("known.nft", include_str!("expected/known.nft"), &got.text);
    check(
        "known.ledger",
        include_str!("expected/known.ledger"),
        &ledger(&got),
    );
    let unused: Vec<&str> = got.unused.iter().map(|one| one.word.as_str()).collect();
    assert_eq!(unused, ["nobody"]);
}

#[test]
fn without_addresses_all_forwarded_traffic_is_judged_and_the_ledger_says_what_to_give() {
    let got = rules("nftables", EVERY_KIND, &[], &Selection::default());
    check(
        "unknown.nft",
        include_str!("expected/unknown.nft"),
        &got.text,
    );
    check(
        "unknown.ledger",
        include_str!("expected/unknown.ledger"),
        &ledger(&got),
    );
}

#[test]
fn an_excerpt_opens_the_same_lanes_with_rules_that_stand_alone() {
    let manifest = parse("given.yaml", EVERY_KIND, &Empty).expect("a sound manifest");
    let selection = Selection::default();
    let lanes = manifest.lanes(&selection).unwrap();
    let mut addresses = Addresses::default();
    for one in ADDRESSES {
        addresses.read(one).unwrap();
    }
    let request = RulesRequest {
        manifest: &manifest,
        selection: &selection,
        lanes: &lanes,
        addresses: &addresses,
        judged: &BTreeSet::new(),
        language: "en",
    };
    let got = target("nftables").unwrap().excerpt(&request);
    check(
        "excerpt.nft",
        include_str!("expected/excerpt.nft"),
        &got.text,
    );
    assert_eq!(got.ledger.len(), lanes.len());
    let rules = got.text.lines().filter(|line| !line.starts_with('#'));
    for rule in rules {
        assert!(
            rule.starts_with("insert rule inet filter forward "),
            "{rule}"
        );
        // Sets and limits are objects of a table, and this one is somebody else's.
        assert!(
            !rule.contains('@') && !rule.contains("limit name"),
            "{rule}"
        );
        assert!(rule.contains(" counter accept comment \"flow:"), "{rule}");
    }
}

#[test]
fn the_table_of_values_has_a_row_a_lane_with_every_fact() {
    let got = rules("csv", EVERY_KIND, &ADDRESSES, &Selection::default());
    check("lanes.csv", include_str!("expected/lanes.csv"), &got.text);
    assert!(
        got.ledger
            .iter()
            .all(|entry| entry.expression == Expression::Exact)
    );
}

#[test]
fn settings_versions_and_features_change_the_rules() {
    let old = Selection {
        version: Some("0.129.7".parse().unwrap()),
        without: ["calls".to_owned()].into(),
        set: [
            ("web-port".to_owned(), "8181".to_owned()),
            ("cloud-host".to_owned(), "192.0.2.200".to_owned()),
        ]
        .into(),
        ..Selection::default()
    };
    let got = rules("nftables", EVERY_KIND, &["device=10.0.0.2"], &old);
    for wanted in [
        "tcp dport 8181",
        "tcp dport 45001",
        "ip daddr 192.0.2.200 tcp dport 443",
        "version 0.129.7",
    ] {
        assert!(got.text.contains(wanted), "{wanted}");
    }
    for unwanted in ["10000-20000", "8080"] {
        assert!(!got.text.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn a_word_is_used_when_the_setting_of_a_party_holds_it() {
    let moved = Selection {
        set: [("cloud-host".to_owned(), "Tenant.example.com".to_owned())].into(),
        ..Selection::default()
    };
    let given = [
        "device=10.0.0.2",
        "tenant.example.com=192.0.2.50",
        "tenant.example.org=192.0.2.51",
    ];
    // The party only calls, so that no lane goes to its name.
    let calling = EVERY_KIND.replace("from: device\n    to: cloud", "from: cloud\n    to: device");
    assert_ne!(calling, EVERY_KIND);
    for id in ["csv", "nftables"] {
        let got = rules(id, &calling, &given, &moved);
        let unused: Vec<&str> = got.unused.iter().map(|one| one.word.as_str()).collect();
        assert_eq!(unused, ["tenant.example.org"], "{id}");
    }
    let got = rules("nftables", &calling, &given, &moved);
    assert!(got.text.contains("elements = { 192.0.2.50 }"));
}
