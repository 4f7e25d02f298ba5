//! `cargo test` over the workspace, with the features whose needs this machine meets.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::failures::Failures;
use crate::package::Package;
use crate::peers::Peers;
use crate::report::say;
use crate::run;
use crate::steps::{Verdict, locked};
use crate::workspace::Workspace;

/// The features that packages declare for tests with needs of their own.
const PEERS: &str = "peers";
const NAMESPACES: &str = "namespaces";
const PACKAGED: &str = "packaged";

/// How many tests passed and failed, and which failed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    failures: Failures,
}

impl Counts {
    /// Takes in one line of output: the closing line of a test binary, or of a failed test.
    fn read(&mut self, line: &str) {
        self.failures.read(line);
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            match part.split_whitespace().collect::<Vec<_>>().as_slice() {
                [number, "passed"] => self.passed += number.parse().unwrap_or(0),
                [number, "failed"] => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// The closing lines of a whole run: each test that failed, and the sums.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}{} passed, {} failed",
            self.failures, self.passed, self.failed
        )
    }
}

/// Runs all tests that can run here.
///
/// # Errors
///
/// When Cargo cannot be started.
pub(crate) fn run(
    workspace: &Workspace,
    peers: &Peers,
    package: &Package,
    counts: &mut Counts,
) -> Result<Verdict> {
    let (features, left_out) = features(
        [
            (workspace.with_feature(PEERS), peers.lack_any()),
            (workspace.with_feature(NAMESPACES), peers.lack_namespaces()),
            (
                workspace.with_feature(PACKAGED),
                package.lack().or_else(|| peers.lack_any()),
            ),
        ]
        .into_iter(),
    );
    let mut command = workspace.cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(locked());
    for feature in &features {
        command.args(["--features", feature]);
    }
    peers.lend_to(&mut command);
    package.lend_to(&mut command);
    say(run::line(&command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("failed to start cargo")?;
    if let Some(output) = child.stdout.take() {
        repeat(BufReader::new(output), std::io::stdout(), counts)
            .context("failed to read what cargo test wrote")?;
    }
    let status = child.wait().context("failed to wait for cargo")?;
    Ok(if status.success() {
        Verdict::Passed { left_out }
    } else {
        Verdict::Failed
    })
}

/// The features to switch on, and what is left out for lack of what others need.
fn features(
    groups: impl Iterator<Item = (Vec<String>, Option<String>)>,
) -> (Vec<String>, Vec<String>) {
    let mut enabled = Vec::new();
    let mut left_out = Vec::new();
    for (features, lack) in groups {
        match lack {
            Some(reason) if !features.is_empty() => {
                left_out.push(format!(
                    "the tests behind {}: {reason}",
                    features.join(", ")
                ));
            }
            Some(_) => {}
            None => enabled.extend(features),
        }
    }
    (enabled, left_out)
}

/// Passes every line on and counts the results in it. Tests may print anything, UTF-8 or not.
fn repeat(mut from: impl BufRead, mut to: impl Write, counts: &mut Counts) -> std::io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        counts.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_binaries_are_added_up_and_every_line_is_repeated() {
        let output: &[u8] = b"running 3 tests\n\xff\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let mut repeated = Vec::new();
        let mut counts = Counts::default();
        repeat(output, &mut repeated, &mut counts).unwrap();
        assert_eq!(repeated, output);
        assert_eq!(counts.to_string(), "4 passed, 2 failed");
    }

    #[test]
    fn a_feature_whose_needs_are_not_met_is_left_out_with_the_reason() {
        let (enabled, left_out) = features(
            [
                (
                    vec!["a/peers".to_owned()],
                    Some("missing: chrony".to_owned()),
                ),
                (vec!["b/namespaces".to_owned()], None),
            ]
            .into_iter(),
        );
        assert_eq!(enabled, ["b/namespaces"]);
        assert_eq!(left_out, ["the tests behind a/peers: missing: chrony"]);
    }

    #[test]
    fn nothing_is_left_out_where_no_package_has_such_tests() {
        let (_, left_out) = features(std::iter::once((
            Vec::new(),
            Some("missing: chrony".to_owned()),
        )));
        assert!(left_out.is_empty());
    }
}
