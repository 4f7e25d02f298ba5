//! Every mistake of a file is found in one run, once, whatever else is wrong; and files that are
//! odd in size or shape come to an end: with work that grows with the square of them they would
//! take minutes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use outgate_manifest::{Diagnostic, Empty, MAX_DIAGNOSTICS, Selection, parse};

const HEAD: &str = r#"manifest: 1
product: { id: box, name: Box, vendor: Boxes, versions: { parts: 3 } }
source: { document: box.txt, language: de }
parties:
  device: { at: site, name: { en: Box } }
  cloud: { at: internet, name: { en: cloud } }
"#;

fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse("m.yaml", text, &Empty).unwrap_err()
}

fn places(found: &[Diagnostic]) -> Vec<(usize, &'static str)> {
    found.iter().map(|one| (one.line, one.code)).collect()
}

#[track_caller]
fn check(text: &str, expected: &[(usize, &'static str)]) {
    let found = mistakes(text);
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(places(&found), expected, "{shown:#?}");
}

#[test]
fn a_misread_part_does_not_hide_a_wrong_reference() {
    let text = format!(
        "{HEAD}{}",
        r#"features: { pages: { name: { en: x } }, logs: { nam: { en: x } } }
settings: { web: { kind: port, default: 80, name: { en: x } }, tenant: { kind: hst } }
flows:
  time: { from: divice, to: { dhcp: ntp }, speaks: npt, need: requird, why: clock, after: [names] }
  api: { from: device, to: ["a..b"], speaks: { https: [{ setting: wep }, 0] }, need: required,
         feature: paages, after: [tiem, 5, page], why: { en: x } }
  page: { from: cloud, to: device, speaks: { http: [{ setting: tenant }] }, need: required,
          feature: logs, versions: "<1.2", why: { en: x }, after: [api], tls: { mn: "1.2" } }
  help: { from: device, to: ["*.a.example"], sample: [b.example], need: optional, why: { en: x },
          speaks: ssh, surplus: 1 }
"#
    );
    check(
        &text,
        &[
            (7, "unknown-field"),
            (8, "missing-field"),
            (8, "unknown-word"),
            (10, "unknown-party"),
            (10, "unknown-word"),
            (10, "unknown-word"),
            (10, "unknown-word"),
            (10, "wrong-type"),
            (10, "unknown-flow"),
            (11, "wrong-value"),
            (11, "unknown-setting"),
            (11, "wrong-port"),
            (12, "unknown-feature"),
            (12, "unknown-flow"),
            (12, "wrong-type"),
            (14, "wrong-version"),
            (14, "after-cycle"),
            (14, "unknown-field"),
            (15, "wrong-sample"),
            (16, "unknown-field"),
        ],
    );
}

#[test]
fn a_misspelt_part_of_the_manifest_is_one_mistake() {
    let flow = "flows: { web: { from: device, to: a.example, speaks: { https: [{ setting: s }] }, \
                need: required, feature: f, versions: \"<1.2.3\", why: { en: x } } }\n";
    let parts = "features: { f: { name: { en: x } } }\n\
                 settings: { s: { kind: port, default: 1, name: { en: x } } }\n";
    let whole = format!("{HEAD}{parts}{flow}");
    assert!(parse("m.yaml", &whole, &Empty).is_ok());
    for (word, wrong) in [
        ("features:", "featurs:"),
        ("settings:", "setings:"),
        ("versions: {", "version: {"),
        ("kind: port", "kind: prt"),
        ("{ f: {", "{ F: {"),
        ("  device: {", "  Device: {"),
        ("parts: 3", "parts: three"),
        ("speaks: { https: [", "speaks: { htps: ["),
        ("to: a.example", "to: a..example"),
        ("id: box", "id: BOX"),
    ] {
        let text = whole.replacen(word, wrong, 1);
        assert_ne!(text, whole, "{word}");
        let found = mistakes(&text);
        assert_eq!(found.len(), 1, "{wrong}: {found:#?}");
    }
    let text = whole.replacen("parties:", "paties:", 1);
    check(&text, &[(4, "unknown-field")]);
}

#[test]
fn a_text_that_is_cut_short_is_one_mistake() {
    for cut in [
        "flows: { a: { to: [",
        "flows: { a: { why: {",
        "flows: { a: { speaks: { http: {",
    ] {
        let found = mistakes(&format!("{HEAD}{cut}"));
        assert_eq!(found.len(), 1, "{cut}: {found:#?}");
        assert_eq!(found[0].code, "syntax");
    }
    let found = mistakes(&"#".repeat(outgate_manifest::MAX_BYTES + 1));
    assert_eq!(places(&found), [(1, "too-large")]);
}

#[test]
fn a_key_that_is_no_word_is_one_mistake() {
    check(
        &format!("{HEAD}? [a]\n: 1\nflows: {{}}\n"),
        &[(7, "wrong-type")],
    );
}

#[test]
fn texts_say_what_a_person_calls_the_parts() {
    for (text, expected) in [
        ("[]", "a map with the fields of a manifest"),
        ("product: 5", "a map with the fields of `product`"),
        ("flows: { a: { tls: 5 } }", "a map with the fields of `tls`"),
    ] {
        let found = mistakes(text);
        assert!(
            found.iter().any(|one| one.expected == expected),
            "{found:#?}"
        );
    }
    let found = mistakes("product: { versions: { parts: 99999999999999999999 } }");
    let message = "this is a number that is too large";
    assert!(found.iter().any(|one| one.message == message), "{found:#?}");
}

#[test]
fn lines_that_end_with_a_carriage_return_are_counted() {
    let text = HEAD.replace('\n', "\r");
    check(
        &format!("{text}flows: {{}}\rsurplus: 1\r"),
        &[(8, "unknown-field")],
    );
}

#[test]
fn characters_that_act_on_what_is_around_them_are_refused() {
    for unseen in [
        "\\e[2J", "\\u202E", "\\u2067", "\\u061C", "\\x9B", "\\0", "\\t", "\\x7F",
    ] {
        let name = HEAD.replacen("vendor: Boxes", &format!("vendor: \"x{unseen}\""), 1);
        check(&format!("{name}flows: {{}}\n"), &[(2, "wrong-value")]);
        let text = HEAD.replacen("en: cloud", &format!("en: \"x{unseen}\""), 1);
        check(&format!("{text}flows: {{}}\n"), &[(6, "wrong-value")]);
    }
    let name = HEAD.replacen("vendor: Boxes", "vendor: \"a\\nb\"", 1);
    check(&format!("{name}flows: {{}}\n"), &[(2, "wrong-value")]);
    let text = HEAD.replacen("en: cloud", "en: \"a\\nb\"", 1);
    assert!(parse("m.yaml", &format!("{text}flows: {{}}\n"), &Empty).is_ok());
}

fn with_flows(flows: &str) -> String {
    format!("{HEAD}flows:\n{flows}")
}

#[test]
fn each_circle_is_named_once_where_it_closes() {
    let flow = |id: &str, after: &str| {
        format!(
            "  {id}: {{ from: device, to: cloud, speaks: https, need: required, why: {{ en: x }}, \
             after: [{after}] }}\n"
        )
    };
    let flows = [
        flow("a", "b"),
        flow("b", "c"),
        flow("c", "a"),
        flow("d", "a, d"),
    ];
    check(
        &with_flows(&flows.concat()),
        &[(10, "after-cycle"), (11, "after-cycle")],
    );
}

#[test]
fn multicast_is_not_written_as_an_address() {
    for to in ["224.0.0.251", "\"ff02::fb\"", "224.0.0.0/4"] {
        let flow = format!(
            "  a: {{ from: device, to: [{to}], speaks: https, need: required, why: {{ en: x }} }}\n"
        );
        let found = mistakes(&with_flows(&flow));
        assert_eq!(places(&found), [(8, "wrong-value")]);
        assert!(found[0].message.contains("{ multicast:"), "{found:#?}");
    }
}

#[test]
fn a_private_address_is_at_the_site_for_every_rule() {
    let flow = |to: &str| {
        with_flows(&format!(
            "  a: {{ from: cloud, to: [{to}], speaks: https, need: required, why: {{ en: x }} }}\n"
        ))
    };
    let inbound = parse("m.yaml", &flow("192.168.0.7"), &Empty).unwrap();
    let lanes = inbound.lanes(&Selection::default()).unwrap();
    assert_eq!(lanes[0].direction.as_str(), "inbound");
    check(&flow("192.168.0.7, 192.0.2.7"), &[(8, "not-at-the-site")]);
}

/// A flow of as many lanes as the product of the three numbers.
fn matrix(id: usize, from: usize, to: usize, ports: usize) -> String {
    let list = |count: usize, one: &dyn Fn(usize) -> String| {
        (1..=count).map(one).collect::<Vec<_>>().join(", ")
    };
    let (from, to, ports) = (
        list(from, &|n| format!("p{n}")),
        list(to, &|n| format!("h{n}.example")),
        list(ports, &|n| n.to_string()),
    );
    format!(
        "  f{id}: {{ from: [{from}], to: [{to}], speaks: {{ https: [{ports}] }}, need: required, \
         why: {{ en: x }} }}\n"
    )
}

fn with_parties(parties: usize, flows: &str) -> String {
    let mut text = HEAD.to_owned();
    for n in 1..=parties {
        writeln!(text, "  p{n}: {{ at: site, name: {{ en: x }} }}").unwrap();
    }
    format!("{text}flows:\n{flows}")
}

#[test]
fn sources_count_among_the_lanes_of_a_flow() {
    let found = mistakes(&with_parties(100, &matrix(1, 100, 64, 64)));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].code, found[0].expected.as_str()),
        ("too-large", "at most 4096")
    );
}

#[test]
fn steps_of_a_ladder_count_together() {
    let mut flow = matrix(1, 1, 64, 64);
    flow.truncate(flow.rfind(" }").unwrap());
    check(
        &with_parties(1, &format!("{flow}, else: [{{ speaks: https }}] }}\n")),
        &[(9, "too-large")],
    );
}

#[test]
fn the_lanes_of_all_flows_are_bounded_and_named_at_the_flow_that_passes_the_bound() {
    let flows = |count: usize| {
        (1..=count)
            .map(|id| matrix(id, 1, 64, 64))
            .collect::<String>()
    };
    let sound = parse("m.yaml", &with_parties(1, &flows(16)), &Empty).unwrap();
    let lanes = sound.lanes(&Selection::default()).unwrap();
    assert_eq!(lanes.len(), 65_536);
    check(&with_parties(1, &flows(18)), &[(25, "too-large")]);
}

#[test]
fn a_thousand_mistakes_are_told_shortly_and_counted() {
    let mut flows = String::new();
    for n in 0..8_000 {
        writeln!(
            flows,
            "  flow-{n:05}: {{ from: divice-{n}, to: cloud, after: [flow-{n:04}] }}"
        )
        .unwrap();
    }
    let found = mistakes(&with_flows(&flows));
    assert_eq!(found.len(), MAX_DIAGNOSTICS);
    let last = found.last().unwrap();
    // Of each flow: three missing fields, its party and its flow.
    assert_eq!(last.message, "and 39801 more that are not listed");
    assert!(found.iter().all(|one| one.expected.len() < 1_000));
}

#[test]
fn an_endless_word_is_repeated_shortened() {
    let long = "x".repeat(900_000);
    for text in [
        with_flows(&format!("  a: {{ from: {long} }}\n")),
        with_flows(&format!("  a: {{ need: {long} }}\n")),
        format!("{HEAD}{long}: 1\n"),
        format!("{HEAD}flows: {{ \"{long}\": 1, \"{long} \": 1 }}\n"),
    ] {
        let found = parse("m.yaml", &text, &Empty).unwrap_err();
        for one in found {
            assert!(one.to_string().len() < 1_000, "{}", one.to_string().len());
        }
    }
}

#[test]
fn a_map_of_many_keys_is_read_to_its_end() {
    let keys: String = (0..100_000).map(|n| format!("k{n}: 1\n")).collect();
    let found = mistakes(&keys);
    assert_eq!(found.len(), MAX_DIAGNOSTICS);
    let twice = "a: 1\n".repeat(100_000);
    assert_eq!(mistakes(&twice).len(), MAX_DIAGNOSTICS);
}

#[test]
fn a_chain_of_thousands_of_flows_is_sound_and_read_to_its_end() {
    let mut flows = String::new();
    for n in 0..8_000 {
        let after = if n == 0 {
            String::new()
        } else {
            format!(", after: [a{}]", n - 1)
        };
        let to = "to: cloud, speaks: ssh, need: required, why: { en: x }";
        writeln!(flows, "  a{n}: {{ from: device, {to}{after} }}").unwrap();
    }
    let chain = parse("m.yaml", &with_flows(&flows), &Empty).unwrap();
    assert_eq!(chain.lanes(&Selection::default()).unwrap().len(), 8_000);
}

#[test]
fn whoami_is_for_protocols_that_begin_with_tls() {
    let flow = |speaks: &str| {
        let rest = "need: required, why: { en: x }, tls: { whoami: /whoami }";
        with_flows(&format!(
            "  a: {{ from: device, to: cloud, speaks: {speaks}, {rest} }}\n"
        ))
    };
    check(&flow("ldap"), &[(8, "no-whoami")]);
    assert!(parse("m.yaml", &flow("https"), &Empty).is_ok());
}
