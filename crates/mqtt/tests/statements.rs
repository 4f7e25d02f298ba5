#![cfg(test)]
//! The table of MQTT's normative statements is whole, and the tests that it names exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of each section that has statements, how many, and those that its version leaves out.
type Sections = &'static [(&'static str, u32, &'static [u32])];

const V5: Sections = &[
    ("1.5.4", 3, &[]),
    ("1.5.5", 1, &[]),
    ("1.5.7", 1, &[]),
    ("2.1.3", 1, &[]),
    ("2.2.1", 6, &[1]),
    ("2.2.2", 1, &[]),
    ("3.1.0", 2, &[]),
    ("3.1.2", 30, &[]),
    ("3.1.3", 12, &[]),
    ("3.1.4", 6, &[]),
    ("3.2.0", 2, &[]),
    ("3.2.2", 22, &[]),
    ("3.3.1", 13, &[]),
    ("3.3.2", 20, &[]),
    ("3.3.4", 10, &[]),
    ("3.4.2", 3, &[]),
    ("3.5.2", 3, &[]),
    ("3.6.1", 1, &[]),
    ("3.6.2", 3, &[]),
    ("3.7.2", 3, &[]),
    ("3.8.1", 1, &[]),
    ("3.8.3", 5, &[]),
    ("3.8.4", 8, &[]),
    ("3.9.2", 2, &[]),
    ("3.9.3", 2, &[]),
    ("3.10.1", 1, &[]),
    ("3.10.3", 2, &[]),
    ("3.10.4", 6, &[]),
    ("3.11.2", 2, &[]),
    ("3.11.3", 2, &[]),
    ("3.12.4", 1, &[]),
    ("3.14.0", 1, &[]),
    ("3.14.1", 1, &[]),
    ("3.14.2", 4, &[]),
    ("3.14.4", 3, &[]),
    ("3.15.1", 1, &[]),
    ("3.15.2", 3, &[]),
    ("4.1.0", 2, &[]),
    ("4.2.0", 1, &[]),
    ("4.3.1", 1, &[]),
    ("4.3.2", 5, &[]),
    ("4.3.3", 13, &[]),
    ("4.4.0", 2, &[]),
    ("4.5.0", 2, &[]),
    ("4.6.0", 6, &[]),
    ("4.7.0", 1, &[]),
    ("4.7.1", 2, &[]),
    ("4.7.2", 1, &[]),
    ("4.7.3", 4, &[]),
    ("4.8.2", 6, &[]),
    ("4.9.0", 3, &[]),
    ("4.12.0", 7, &[]),
    ("4.12.1", 2, &[]),
    ("4.13.1", 1, &[]),
    ("4.13.2", 1, &[]),
    ("6.0.0", 4, &[]),
];

const V3_1_1: Sections = &[
    ("1.5.3", 3, &[]),
    ("2.2.2", 2, &[]),
    ("2.3.1", 7, &[]),
    ("3.1.0", 2, &[]),
    ("3.1.2", 24, &[]),
    ("3.1.3", 11, &[]),
    ("3.1.4", 5, &[]),
    ("3.2.0", 1, &[]),
    ("3.2.2", 6, &[]),
    ("3.3.1", 12, &[]),
    ("3.3.2", 3, &[]),
    ("3.3.4", 1, &[]),
    ("3.3.5", 2, &[]),
    ("3.6.1", 1, &[]),
    ("3.8.1", 1, &[]),
    ("3.8.3", 4, &[]),
    ("3.8.4", 6, &[]),
    ("3.9.3", 2, &[]),
    ("3.10.1", 1, &[]),
    ("3.10.3", 2, &[]),
    ("3.10.4", 6, &[]),
    ("3.12.4", 1, &[]),
    ("3.14.1", 1, &[]),
    ("3.14.4", 3, &[]),
    ("4.1.0", 2, &[]),
    ("4.3.1", 1, &[]),
    ("4.3.2", 2, &[]),
    ("4.3.3", 2, &[]),
    ("4.4.0", 1, &[]),
    ("4.5.0", 2, &[]),
    ("4.6.0", 6, &[]),
    ("4.7.1", 3, &[]),
    ("4.7.2", 1, &[]),
    ("4.7.3", 4, &[]),
    ("4.8.0", 2, &[]),
    ("6.0.0", 4, &[]),
    ("7.0.0", 2, &[]),
    ("7.1.1", 1, &[]),
    ("7.1.2", 1, &[]),
];

/// The most statements that a server must keep and no test shows.
const MOST_NOT_SHOWN: usize = 10;

#[test]
fn every_statement_stands_once_in_the_table() {
    let table = table();
    let (five, three) = table.split_once("## MQTT Version 3.1.1").unwrap();
    for (sections, text) in [(V5, five), (V3_1_1, three)] {
        let wanted: Vec<String> = sections
            .iter()
            .flat_map(|(section, count, out)| {
                let numbers = (1..=*count).filter(|number| !out.contains(number));
                numbers.map(move |number| format!("MQTT-{section}-{number}"))
            })
            .collect();
        let found: Vec<&str> = rows(text).map(|row| row[0]).collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let table = table();
    let tests = tests();
    let mut not_shown = 0;
    for row in rows(&table) {
        let names: Vec<&str> = row[2].split('`').skip(1).step_by(2).collect();
        for name in &names {
            assert!(tests.contains(*name), "{}: no test {name}", row[0]);
        }
        not_shown += usize::from(row[2].starts_with("**not shown**"));
        let has_verdict = !names.is_empty()
            || ["the client's", "does not apply"].contains(&row[2])
            || row[2].starts_with("**not shown**: ");
        assert!(has_verdict, "{}: {}", row[0], row[2]);
    }
    assert!(not_shown <= MOST_NOT_SHOWN, "{not_shown} are not shown");
}

fn table() -> String {
    std::fs::read_to_string(root().join("docs/mqtt-statements.md")).unwrap()
}

fn rows(table: &str) -> impl Iterator<Item = [&str; 3]> {
    let lines = table.lines().filter(|line| line.starts_with("| MQTT-"));
    lines.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        [(); 3].map(|()| cells.next().unwrap())
    })
}

/// The names of all tests of the two crates.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["crates/mqtt", "crates/hub/tests", "crates/hub/src/dialects"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(file).unwrap();
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                let declared = line.strip_prefix("async ").unwrap_or(line);
                if let (true, Some(rest)) = (is_test, declared.strip_prefix("fn ")) {
                    names.insert(rest.split('(').next().unwrap().to_owned());
                }
                is_test = line.starts_with("#[test]")
                    || line.starts_with("#[tokio::test")
                    || is_test && line.starts_with('#');
            }
        }
    }
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
