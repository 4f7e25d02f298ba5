//! Rules for a product that needs one of everything, and for products made up by chance.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and leaves what it got beside what it expected"
)]

use std::path::Path;

use outgate_manifest::{Empty, Lane, Manifest, Selection, parse};
use outgate_render::page::{PageRequest, formats, render as page};
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{Expression, Rules, RulesRequest, WHOLE_FILE, target};

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

/// A product with these flows from `device`: (id, more lines).
fn product(flows: &[(&str, &str)]) -> String {
    let mut yaml = "manifest: 1\nproduct: { id: small, name: Small, vendor: Maker }\n\
                    source: { document: x, language: en }\n\
                    parties: { device: { at: site, name: { en: box } } }\nflows:\n"
        .to_owned();
    for (id, more) in flows {
        yaml.push_str(&format!(
            "  {id}:\n    from: device\n    need: required\n    why: {{ en: x }}\n"
        ));
        for line in more.lines() {
            yaml.push_str(&format!("    {line}\n"));
        }
    }
    yaml
}

fn expressions(rules: &Rules) -> Vec<(&str, Expression)> {
    let entries = rules.ledger.iter();
    entries
        .map(|entry| (entry.flow.as_str(), entry.expression))
        .collect()
}

#[test]
fn what_a_limit_of_another_flow_strikes_is_narrower() {
    let slow = "rate: { at-most: 1, per: second }";
    let yaml = product(&[
        (
            "slow",
            &format!("to: [192.0.2.1, one.example.com]\nspeaks: ssh\n{slow}"),
        ),
        ("same", "to: 192.0.2.1\nspeaks: ssh"),
        (
            "around",
            "to: 192.0.2.0/24\nspeaks: { unspecified: { tcp: \"20-30\" } }",
        ),
        ("filled", "to: \"*.example.com\"\nspeaks: ssh"),
        ("elsewhere", "to: 192.0.2.2\nspeaks: ssh"),
        ("otherwise", "to: 192.0.2.1\nspeaks: http"),
        ("slow-too", &format!("to: 192.0.2.1\nspeaks: ssh\n{slow}")),
    ]);
    let device = ["device=10.0.0.2,2001:db8::2", "phone=10.0.0.3,2001:db8::3"];
    let got = rules("nftables", &yaml, &device, &Selection::default());
    assert_eq!(
        expressions(&got),
        [
            ("slow", Expression::Narrower),
            ("slow", Expression::Narrower),
            ("same", Expression::Narrower),
            ("around", Expression::Narrower),
            ("filled", Expression::Inexpressible),
            ("elsewhere", Expression::Exact),
            ("otherwise", Expression::Exact),
            ("slow-too", Expression::Narrower),
        ]
    );
    let same = &got.ledger[2];
    assert_eq!(
        same.reason.as_deref(),
        Some(
            "a firewall cannot tell it from `slow`, `slow-too`, so what comes more often than \
             that flow's limit is dropped here too"
        )
    );
    let filled = got.ledger[4].reason.as_deref().unwrap();
    assert!(filled.contains("cannot tell it from `slow`,"), "{filled}");
}

#[test]
fn traffic_of_judged_parties_that_escapes_judgement_is_in_the_ledger_of_the_file() {
    let given = ["device=10.0.0.2"];
    let got = rules("nftables", EVERY_KIND, &given, &Selection::default());
    let of_file: Vec<String> = got
        .gaps()
        .filter(|entry| entry.flow == WHOLE_FILE)
        .map(|entry| format!("{} {}", entry.expression.as_str(), entry.lane))
        .collect();
    assert_eq!(
        of_file,
        [
            "wider all IPv6 traffic of device",
            "wider all traffic of phone"
        ]
    );
    assert!(got.text.contains("#     - all IPv6 traffic of device\n"));
    let both = ["device=10.0.0.2,2001:db8::2", "phone=10.0.0.3,2001:db8::3"];
    let got = rules("nftables", EVERY_KIND, &both, &Selection::default());
    assert!(got.ledger.iter().all(|entry| entry.flow != WHOLE_FILE));
}

#[test]
fn ends_of_different_families_have_no_rule_and_the_ledger_says_so() {
    let yaml = product(&[("far", "to: \"2001:db8::1\"\nspeaks: unspecified")]);
    let got = rules(
        "nftables",
        &yaml,
        &["device=10.0.0.2"],
        &Selection::default(),
    );
    assert!(!got.text.contains("flow:far"));
    for entry in &got.ledger[..2] {
        assert_eq!(entry.expression, Expression::Inexpressible);
        assert_eq!(
            entry.reason.as_deref(),
            Some(
                "of `device` only IPv4 addresses are known and of 2001:db8::1 only IPv6 \
                 addresses, so there is no rule"
            )
        );
    }
}

/// The lines for dnsmasq of a file.
fn lines_for_dnsmasq(rules: &Rules) -> Vec<&str> {
    let lines = rules.text.lines();
    lines
        .filter_map(|line| line.strip_prefix("#   nftset="))
        .collect()
}

#[test]
fn dnsmasq_gets_one_line_a_domain_with_the_sets_of_the_wildcards_above() {
    let yaml = product(&[
        ("all", "to: \"*.example.com\"\nspeaks: https"),
        ("one", "to: [api.example.com, xexample.com]\nspeaks: https"),
        ("deep", "to: \"*.api.example.com\"\nspeaks: https"),
        ("deeper", "to: v1.api.example.com\nspeaks: https"),
    ]);
    let got = rules(
        "nftables",
        &yaml,
        &["device=10.0.0.2"],
        &Selection::default(),
    );
    let set = |name: &str| format!("4#inet#outgate_small#{name}_v4,6#inet#outgate_small#{name}_v6");
    let line = |domain: &str, sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|name| set(name)).collect();
        format!("/{domain}/{}", sets.join(","))
    };
    let (all, deep) = ("below_example_com", "below_api_example_com");
    assert_eq!(
        lines_for_dnsmasq(&got),
        [
            line("example.com", &[all]),
            line("api.example.com", &["name_api_example_com", deep, all]),
            line("xexample.com", &["name_xexample_com"]),
            line(
                "v1.api.example.com",
                &["name_v1_api_example_com", deep, all]
            ),
        ]
    );
    let workaround = got.ledger[0].workaround.as_deref().unwrap();
    assert_eq!(
        workaround,
        format!(
            "let dnsmasq fill the set (3 lines at the head of the file name it): nftset={}",
            line("example.com", &[all])
        )
    );
    let reason = got.ledger[1].reason.as_deref().unwrap();
    assert!(
        reason.ends_with("names below api.example.com into it too"),
        "{reason}"
    );
}

#[test]
fn lines_for_dnsmasq_keep_to_what_it_reads_and_the_ledger_says_what_is_lost() {
    let label = "a".repeat(60);
    let domains: Vec<String> = (1..4)
        .map(|depth| format!("{}.example.com", vec![label.as_str(); depth].join(".")))
        .collect();
    let mut flows: Vec<(String, String)> = Vec::new();
    for (at, domain) in domains.iter().enumerate() {
        flows.push((
            format!("w{at}"),
            format!("to: \"*.{domain}\"\nspeaks: https"),
        ));
        flows.push((format!("n{at}"), format!("to: {domain}\nspeaks: https")));
    }
    let flows: Vec<(&str, &str)> = flows
        .iter()
        .map(|(id, more)| (id.as_str(), more.as_str()))
        .collect();
    let yaml = product(&flows).replace("id: small", &format!("id: {}", "s".repeat(64)));
    let got = rules(
        "nftables",
        &yaml,
        &["device=10.0.0.2"],
        &Selection::default(),
    );
    let lines = lines_for_dnsmasq(&got);
    assert_eq!(lines.len(), 3);
    assert!(
        lines
            .iter()
            .all(|line| "nftset=".len() + line.len() <= 1023)
    );
    let lost = got.ledger[0].reason.as_deref().unwrap();
    let wanted = format!("dnsmasq's line for {} has no room for it", domains[2]);
    assert!(lost.contains(&wanted), "{lost}");
    let kept = got.ledger[4].reason.as_deref().unwrap();
    assert!(!kept.contains("no room"), "{kept}");
}

mod chance {
    use proptest::prelude::*;

    use super::*;

    /// Text as an enemy would write it.
    fn text() -> impl Strategy<Value = String> {
        let bits = prop::sample::select(vec![
            "\"", "'", "\n", "\r", "}", "{", ";", "#", "\\", "a", "drop", " ", "\t", "\u{2028}",
            "é", ",", "=", "|", "<", "\u{0}", "\u{1B}", "\u{9B}", "\u{202E}", "\u{2066}",
            "\u{61C}", ",=", ";-", "\t@", "+",
        ]);
        prop::collection::vec(bits, 1..40).prop_map(|bits| format!("x{}", bits.concat()))
    }

    fn place() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z]{1,9}(-[a-z]{1,3})?\\.example\\.(com|net)",
            "\\*\\.[a-z]{1,9}\\.example",
            (any::<u8>(), any::<u8>()).prop_map(|(a, b)| format!("192.0.{a}.{b}")),
            any::<u16>().prop_map(|a| format!("2001:db8::{a:x}")),
            any::<u8>().prop_map(|a| format!("10.{a}.0.0/16")),
        ]
    }

    fn yaml() -> impl Strategy<Value = String> {
        let speaks = prop::sample::select(vec![
            "https",
            "unspecified",
            "icmp-echo",
            "dns",
            "{ rtp: { udp: \"1000-2000\" } }",
        ]);
        let flow = (
            prop::collection::vec(place(), 1..4),
            speaks,
            text(),
            any::<bool>(),
        );
        (prop::collection::vec(flow, 1..8), text(), text(), text()).prop_map(|(flows, name, vendor, tag)| {
            let quoted = yaml_string;
            let mut out = format!(
                "manifest: 1\nproduct: {{ id: chance, name: {}, vendor: {} }}\n\
                 source: {{ document: x, language: en }}\n\
                 parties: {{ device: {{ at: site, name: {{ en: {} }} }} }}\nflows:\n",
                quoted(&name), quoted(&vendor), quoted(&name),
            );
            out.push_str(&format!(
                "  tagged:\n    from: device\n    to: {{ cloud: azure, region: r, tag: {} }}\n    speaks: https\n    need: required\n    why: {{ en: w }}\n",
                quoted(&tag),
            ));
            for (at, (places, speaks, why, limited)) in flows.iter().enumerate() {
                let places: Vec<String> = places.iter().map(|place| format!("{place:?}")).collect();
                let rate = if *limited { "    rate: { at-most: 3, per: minute }\n" } else { "" };
                out.push_str(&format!(
                    "  flow-{at}:\n    from: device\n    to: [{}]\n    speaks: {speaks}\n    need: required\n{rate}    why: {{ en: {} }}\n",
                    places.join(", "), quoted(why),
                ));
            }
            out
        })
    }

    /// A double-quoted YAML string: everything that is not plain is escaped by its number.
    fn yaml_string(text: &str) -> String {
        let one = |c: char| match c {
            'a'..='z' | ' ' => c.to_string(),
            c => format!("\\U{:08X}", u32::from(c)),
        };
        format!("\"{}\"", text.chars().map(one).collect::<String>())
    }

    /// Lines as nftables sees them, each judged by how it starts.
    fn assert_sound(text: &str) {
        let mut depth = 0_i32;
        for line in text.lines() {
            let line = line.trim_start();
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            assert_eq!(line.matches('"').count() % 2, 0, "{line}");
            let mut outside = String::new();
            for (at, part) in line.split('"').enumerate() {
                if at % 2 == 0 {
                    outside.push_str(part);
                } else {
                    assert!(part.len() <= 128, "{line}");
                }
            }
            let starts = [
                "table ",
                "delete table ",
                "limit ",
                "rate ",
                "set ",
                "type ",
                "flags ",
                "comment ",
                "elements ",
                "chain ",
                "ip ",
                "ip6 ",
                "icmp ",
                "icmpv6 ",
                "meta ",
                "tcp ",
                "udp ",
                "ct state ",
                "counter reject ",
                "jump ",
                "}",
            ];
            let element = outside.starts_with(|c: char| c.is_ascii_hexdigit());
            assert!(
                element || starts.iter().any(|start| outside.starts_with(start)),
                "{line}"
            );
            assert!(outside.is_ascii() && !outside.contains('#'), "{line}");
            depth += i32::try_from(outside.matches('{').count()).unwrap();
            depth -= i32::try_from(outside.matches('}').count()).unwrap();
            assert!(depth >= 0, "{line}");
        }
        assert_eq!(depth, 0);
    }

    proptest! {
        #[test]
        fn no_text_of_a_manifest_gets_out_of_its_place(yaml in yaml(), device in any::<bool>()) {
            let given: &[&str] = if device { &["device=10.0.0.1", "x.example=192.0.2.1"] } else { &[] };
            let manifest = parse("chance.yaml", &yaml, &Empty).expect("a sound manifest");
            let selection = Selection::default();
            let lanes = manifest.lanes(&selection).unwrap();
            let got = render("nftables", &manifest, &lanes, given, &selection);
            assert_sound(&got.text);
            let of_lanes = got.ledger.iter().filter(|entry| entry.flow != WHOLE_FILE);
            prop_assert_eq!(of_lanes.count(), lanes.len());
            prop_assert_eq!(hidden(&got.text), None);
            let csv = render("csv", &manifest, &lanes, given, &selection);
            prop_assert_eq!(hidden(&csv.text), None);
            for piece in csv.text.split([',', ';', '\n']) {
                let piece = piece.trim_start_matches('"');
                prop_assert!(!piece.starts_with(['=', '+', '-', '@']), "{}", piece);
            }
            for form in formats() {
                let request = PageRequest {
                    manifest: &manifest,
                    selection: &selection,
                    lanes: &lanes,
                    language: "sv",
                };
                prop_assert_eq!(hidden(&page(&request, *form).unwrap()), None);
            }
            let rows = csv_rows(&csv.text);
            prop_assert_eq!(rows.len(), lanes.len() + 1);
            for row in rows {
                prop_assert_eq!(row.len(), 29);
            }
        }
    }

    /// The first character that a reader does not see; our own files have tabs and line breaks.
    fn hidden(text: &str) -> Option<char> {
        text.chars().find(|c| match c {
            '\t' | '\r' | '\n' => false,
            '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' => true,
            '\u{2066}'..='\u{2069}' => true,
            c => c.is_control(),
        })
    }

    /// A reader of RFC 4180, written apart from the writer.
    fn csv_rows(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell, mut quoted) =
            (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                c => cell.push(c),
            }
        }
        assert!(cell.is_empty() && row.is_empty() && !quoted);
        rows
    }
}
