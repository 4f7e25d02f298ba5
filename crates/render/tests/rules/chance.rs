//! Products made up by chance, with texts as an enemy would write them.

use proptest::prelude::*;

use super::*;

/// Text as an enemy would write it. Control and direction characters are refused when a manifest
/// is read, so they cannot come this far.
fn text() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "\"", "'", "\n", "}", "{", ";", "#", "\\", "a", "drop", " ", "\u{2028}", "é", ",", "=",
        "|", "<", ",=", ";-", "@", "+",
    ]);
    prop::collection::vec(bits, 1..40).prop_map(|bits| format!("x{}", bits.concat()))
}

/// The same in one line.
fn line() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace('\n', ";"))
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
    (prop::collection::vec(flow, 1..8), line(), line(), line()).prop_map(|(flows, name, vendor, tag)| {
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
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
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
