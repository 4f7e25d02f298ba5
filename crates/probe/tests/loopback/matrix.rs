//! `docs/probes.md`: which probe is tested against whom, held to the tests that there are.

use std::{collections::BTreeSet, fs, path::PathBuf};

use outgate_probe::protocols;

use crate::hostile::{INSIDE_TLS, OTHERS, TCP, UDP};

/// Folders of the tests that the table names.
const TESTS: [&str; 3] = [
    "crates/probe/tests/loopback",
    "crates/probe/tests/peers_probe",
    "tests",
];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The cells of each line: probe, real server, hostile servers, real server over IPv6.
fn table() -> Vec<[String; 4]> {
    let text = fs::read_to_string(root().join("docs/probes.md")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    let cells = lines.map(|line| {
        let cells = line.trim_matches('|').split('|');
        let cells: Vec<String> = cells.map(|cell| cell.trim().to_owned()).collect();
        <[String; 4]>::try_from(cells).unwrap()
    });
    cells.collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_of_probes_has_a_line_for_each() {
    let all: BTreeSet<String> = protocols().map(str::to_owned).collect();
    let lines = table();
    let named: Vec<&str> = lines.iter().flat_map(|[name, ..]| quoted(name)).collect();
    assert_eq!(named.len(), all.len(), "one line each");
    assert_eq!(
        named
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        all
    );
}

#[test]
fn every_test_that_the_table_names_is_there() {
    for [name, real, hostile, ipv6] in table() {
        for test in [&real, &hostile, &ipv6]
            .into_iter()
            .flat_map(|cell| quoted(cell))
        {
            let (module, function) = test.split_once("::").unwrap();
            let files = TESTS.map(|folder| root().join(folder).join(format!("{module}.rs")));
            let text = files
                .iter()
                .filter_map(|file| fs::read_to_string(file).ok());
            let wanted = format!("fn {function}(");
            let there = text.into_iter().any(|text| text.contains(&wanted));
            assert!(there, "{name}: {test}");
        }
    }
}

#[test]
fn what_the_table_says_of_hostile_servers_is_what_is_tested() {
    for [name, _, hostile, _] in table() {
        let name = name.trim_matches('`');
        if OTHERS.contains(&name) {
            continue;
        }
        let layers = [("TCP", &TCP[..]), ("TLS", &INSIDE_TLS), ("UDP", &UDP)];
        let tested = layers
            .iter()
            .filter(|(_, protocols)| protocols.contains(&name));
        let tested: Vec<&str> = tested.map(|(layer, _)| *layer).collect();
        assert_eq!(hostile, tested.join(", "), "{name}");
    }
}
