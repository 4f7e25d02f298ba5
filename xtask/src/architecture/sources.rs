//! What the Rust files themselves must keep to.

use std::collections::BTreeMap;

use toml::Table;

/// The most lines a file may have above its tests; past that, look for the second concept.
const MOST_LINES: usize = 600;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Packages that may not opt into the workspace's lints, each with the reason.
const OWN_LINTS: [(&str, &str); 0] = [];

/// The folders of the crates that do no input or output and read no clock, and the words by
/// which they would.
const SANS_IO: [(&str, &[&str]); 3] = [
    ("crates/manifest/src/", &INPUT_OUTPUT),
    ("crates/render/src/", &INPUT_OUTPUT),
    ("crates/wire/src/", &INPUT_OUTPUT),
];

const INPUT_OUTPUT: [&str; 9] = [
    "Instant::now",
    "SystemTime::now",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "UnixStream",
    "std::env",
    "std::fs",
];

/// Attributes that silence something, and what to do instead. Written in two parts so that this
/// file does not contain them.
const SILENCERS: [(&str, &str); 3] = [
    (concat!("#[", "ignore"), "a test runs or is removed"),
    (concat!("#[", "allow("), "use expect with a reason"),
    (concat!("#![", "allow("), "use expect with a reason"),
];

/// What is wrong in the given files, which are named by their paths from the root.
pub(super) fn check(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in files {
        findings.extend(check_length(path, text));
        findings.extend(check_silencers(path, text));
        findings.extend(check_sans_io(path, text));
    }
    let gone = LONGER.iter().filter(|(path, _)| !files.contains_key(*path));
    findings.extend(gone.map(|(path, _)| format!("{path} is gone; remove it from LONGER")));
    findings
}

/// Whether a package opts into the workspace's lints.
pub(super) fn check_lints(package: &str, manifest: &str) -> Option<String> {
    if OWN_LINTS.iter().any(|(name, _)| *name == package) {
        return None;
    }
    let opts_in = manifest.parse::<Table>().is_ok_and(|table| {
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        lints.and_then(toml::Value::as_bool) == Some(true)
    });
    (!opts_in).then(|| format!("{package} does not have `[lints] workspace = true`"))
}

fn check_length(path: &str, text: &str) -> Option<String> {
    let lines = above_tests(text).count();
    if lines <= MOST_LINES || LONGER.iter().any(|(longer, _)| *longer == path) {
        return None;
    }
    Some(format!(
        "{path} has {lines} lines above its tests; {MOST_LINES} is the most"
    ))
}

fn check_silencers(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        for (silencer, instead) in SILENCERS.iter().filter(|(word, _)| line.starts_with(word)) {
            findings.push(format!("{path}:{} has {silencer}: {instead}", number + 1));
        }
    }
    findings
}

fn check_sans_io(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return findings;
    }
    for (_, words) in SANS_IO
        .iter()
        .filter(|(folder, _)| path.starts_with(folder))
    {
        for (number, line) in above_tests(text).enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words.iter().filter(|word| code.contains(*word)) {
                findings.push(format!(
                    "{path}:{} uses {word}, which its crate may not",
                    number + 1
                ));
            }
        }
    }
    findings
}

/// The lines above the inline tests.
fn above_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "#[cfg(test)]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_is_found() {
        let found = check_file("crates/a/src/lib.rs", &"x\n".repeat(601));
        assert_eq!(
            found,
            ["crates/a/src/lib.rs has 601 lines above its tests; 600 is the most"]
        );
    }

    #[test]
    fn tests_below_do_not_count() {
        let text = format!("{}#[cfg(test)]\n{}", "x\n".repeat(600), "y\n".repeat(500));
        assert!(check_file("crates/a/src/lib.rs", &text).is_empty());
    }

    #[test]
    fn an_ignored_test_is_found_with_its_line() {
        let text = format!("#[test]\n    {}]\nfn x() {{}}\n", SILENCERS[0].0);
        let found = check_file("tests/a.rs", &text);
        assert!(found[0].starts_with("tests/a.rs:2 has "), "{found:?}");
    }

    #[test]
    fn an_allowed_lint_is_found() {
        let text = format!("{}dead_code)]\n", SILENCERS[2].0);
        assert_eq!(check_file("xtask/src/main.rs", &text).len(), 1);
    }

    #[test]
    fn a_clock_or_a_socket_is_found_in_the_crates_that_may_have_none() {
        let text = "let now = Instant::now();\nlet s = std::net::UdpSocket::bind(x);\n";
        assert_eq!(check_file("crates/wire/src/ntp.rs", text).len(), 2);
        assert!(check_file("crates/probe/src/ntp.rs", text).is_empty());
    }

    #[test]
    fn a_clock_or_a_file_in_a_comment_or_a_test_is_none() {
        let text = "// never Instant::now\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert!(check_file("crates/wire/src/ntp.rs", text).is_empty());
        assert!(check_file("crates/wire/src/ntp/tests.rs", "use std::fs;").is_empty());
    }

    #[test]
    fn a_package_without_the_lints_of_the_workspace_is_found() {
        assert!(check_lints("a", "[package]\nname = \"a\"\n").is_some());
        assert!(check_lints("a", "[lints]\nworkspace = false\n").is_some());
        assert_eq!(check_lints("a", "[lints]\nworkspace = true\n"), None);
    }

    fn check_file(path: &str, text: &str) -> Vec<String> {
        check(&BTreeMap::from([(path.to_owned(), text.to_owned())]))
    }
}
