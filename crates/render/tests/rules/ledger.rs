//! What the ledger says of rules that are not quite what the lanes say.

use super::*;

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
