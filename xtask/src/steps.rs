//! The steps of `cargo xtask test` and `cargo xtask ci`, and the table that sums them up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo_tests::Counts;
use crate::package::{self, Package};
use crate::peers::{self, Peers};
use crate::report::{complain, heading, say, seconds};
use crate::workspace::{Workspace, is_ci};
use crate::{architecture, book, cargo_tests, fuzz, licences, run};

/// One thing that is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// `cargo fmt --check`.
    Format,
    /// Clippy, warnings denied, every feature's code included.
    Lints,
    /// rustdoc, warnings denied.
    Documentation,
    /// Licences, sources and duplicates of the dependencies.
    Licences,
    /// The invariants of `ARCHITECTURE.md`.
    Architecture,
    /// Installing what the tests talk to.
    Peers,
    /// The agent's Debian package.
    Package,
    /// `cargo test`, with the features whose needs are met.
    Tests,
    /// Each fuzz target for a short while.
    Fuzz,
    /// The user's book and its links.
    Book,
}

/// All steps in the order in which they run: the quick ones first.
const ALL: [Step; 10] = [
    Step::Format,
    Step::Lints,
    Step::Documentation,
    Step::Licences,
    Step::Architecture,
    Step::Peers,
    Step::Package,
    Step::Tests,
    Step::Fuzz,
    Step::Book,
];

impl Step {
    /// The word for it on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Lints => "lints",
            Self::Documentation => "documentation",
            Self::Licences => "licences",
            Self::Architecture => "architecture",
            Self::Peers => "peers",
            Self::Package => "package",
            Self::Tests => "tests",
            Self::Fuzz => "fuzz",
            Self::Book => "book",
        }
    }

    /// The step of that name.
    ///
    /// # Errors
    ///
    /// When there is none; the error lists those there are.
    pub(crate) fn named(name: &str) -> Result<Self> {
        ALL.into_iter()
            .find(|step| step.name() == name)
            .with_context(|| {
                let names: Vec<&str> = ALL.iter().map(|step| step.name()).collect();
                format!("there is no step `{name}`; there are {}", names.join(", "))
            })
    }

    fn uses_peers(self) -> bool {
        matches!(self, Self::Package | Self::Tests | Self::Fuzz | Self::Book)
    }
}

/// The steps that a command runs.
#[derive(Debug, PartialEq)]
pub(crate) struct Selection(Vec<Step>);

impl Selection {
    /// What `cargo xtask ci` runs.
    pub(crate) fn everything() -> Self {
        Self(ALL.to_vec())
    }

    /// What `cargo xtask test` runs.
    pub(crate) fn tests() -> Self {
        Self(vec![
            Step::Architecture,
            Step::Peers,
            Step::Package,
            Step::Tests,
            Step::Fuzz,
            Step::Book,
        ])
    }

    /// One step, after the peers if it uses any.
    pub(crate) fn only(step: Step) -> Self {
        Self(if step.uses_peers() {
            vec![Step::Peers, step]
        } else {
            vec![step]
        })
    }

    /// The steps in their order.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// What became of a step.
pub(crate) enum Verdict {
    /// It did what it should; parts of it may have been left out.
    Passed { left_out: Vec<String> },
    /// It found something wrong; it has said what.
    Failed,
    /// It could not run at all, for this reason.
    LeftOut(String),
}

impl Verdict {
    /// Passed with nothing left out, or failed.
    pub(crate) fn of(passed: bool) -> Self {
        if passed {
            Self::Passed {
                left_out: Vec::new(),
            }
        } else {
            Self::Failed
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed { left_out } if left_out.is_empty() => "passed",
            Self::Passed { .. } => "in part",
            Self::Failed => "FAILED",
            Self::LeftOut(_) => "left out",
        }
    }

    fn left_out(&self) -> &[String] {
        match self {
            Self::Passed { left_out } => left_out,
            Self::LeftOut(reason) => std::slice::from_ref(reason),
            Self::Failed => &[],
        }
    }
}

/// What steps make for those after them.
struct Prepared {
    peers: Peers,
    package: Package,
}

struct Row {
    step: Step,
    verdict: Verdict,
    took: Duration,
}

/// Runs the selected steps, all of them even when one fails, and prints the table.
///
/// # Errors
///
/// None of its own: a step that cannot be carried out counts as failed.
pub(crate) fn run(workspace: &Workspace, selection: &Selection) -> Result<bool> {
    let mut rows = Vec::new();
    let mut prepared = Prepared {
        peers: Peers::none(workspace),
        package: Package::none(),
    };
    let mut counts = Counts::default();
    for &step in selection.steps() {
        heading(step.name());
        let started = Instant::now();
        let verdict =
            carry_out(step, workspace, &mut prepared, &mut counts).unwrap_or_else(|error| {
                complain(&error);
                Verdict::Failed
            });
        let took = started.elapsed();
        say(format_args!(
            "--- {}: {} after {}",
            step.name(),
            verdict.word(),
            seconds(took)
        ));
        rows.push(Row {
            step,
            verdict,
            took,
        });
    }
    Ok(sum_up(&rows, selection, &counts))
}

fn carry_out(
    step: Step,
    workspace: &Workspace,
    prepared: &mut Prepared,
    counts: &mut Counts,
) -> Result<Verdict> {
    match step {
        Step::Format => shown(workspace.cargo().args(["fmt", "--all", "--check"])),
        Step::Lints => shown(&mut lints(workspace)),
        Step::Documentation => shown(
            workspace
                .cargo()
                .args(["doc", "--workspace", "--no-deps"])
                .args(locked())
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        Step::Licences => licences::show(workspace).map(Verdict::of),
        Step::Architecture => architecture::show(workspace).map(Verdict::of),
        Step::Peers => {
            prepared.peers = peers::prepare(workspace);
            Ok(prepared.peers.verdict())
        }
        Step::Package => {
            prepared.package = package::make(workspace, &prepared.peers)?;
            Ok(prepared.package.verdict())
        }
        Step::Tests => cargo_tests::run(workspace, &prepared.peers, &prepared.package, counts),
        Step::Fuzz => fuzz::smoke(workspace, &prepared.peers),
        Step::Book => book::build(workspace, &prepared.peers),
    }
}

/// `--locked` where nobody may change the lock file unseen.
pub(crate) fn locked() -> Option<&'static str> {
    is_ci().then_some("--locked")
}

fn shown(command: &mut std::process::Command) -> Result<Verdict> {
    run::shown(command).map(|()| Verdict::of(true))
}

fn lints(workspace: &Workspace) -> std::process::Command {
    let mut command = workspace.cargo();
    command
        .args(["clippy", "--workspace", "--all-targets"])
        .args(locked());
    // The code behind every feature but `libfuzzer`, which compiles C++ and adds no Rust.
    for feature in ["peers", "namespaces", "packaged", "targets"] {
        for enabled in workspace.with_feature(feature) {
            command.args(["--features", &enabled]);
        }
    }
    command.args(["--", "-D", "warnings"]);
    command
}

fn sum_up(rows: &[Row], selection: &Selection, counts: &Counts) -> bool {
    heading("summary");
    for Row {
        step,
        verdict,
        took,
    } in rows
    {
        say(format_args!(
            "{:<14} {:<9} {:>7}",
            step.name(),
            verdict.word(),
            seconds(*took)
        ));
    }
    let left_out: Vec<(Step, &String)> = rows
        .iter()
        .flat_map(|row| {
            row.verdict
                .left_out()
                .iter()
                .map(|reason| (row.step, reason))
        })
        .collect();
    if !left_out.is_empty() {
        say("\nLeft out:");
        for (step, reason) in &left_out {
            say(format_args!("  {}: {reason}", step.name()));
        }
    }
    let failed = rows
        .iter()
        .any(|row| matches!(row.verdict, Verdict::Failed));
    let incomplete = is_ci() && !left_out.is_empty();
    if incomplete {
        say("\nCI=true: leaving anything out is a failure.");
    }
    if selection.steps().contains(&Step::Tests) {
        say(format_args!("\n{counts}"));
    }
    !failed && !incomplete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ci_contains_every_step_of_test_in_the_same_order() {
        let everything = Selection::everything();
        let mut rest = everything.steps().iter();
        for step in Selection::tests().steps() {
            assert!(
                rest.any(|other| other == step),
                "{} is missing",
                step.name()
            );
        }
    }

    #[test]
    fn a_step_that_uses_peers_brings_their_installation_with_it() {
        assert_eq!(
            Selection::only(Step::Book).steps(),
            [Step::Peers, Step::Book]
        );
        assert_eq!(Selection::only(Step::Format).steps(), [Step::Format]);
    }

    #[test]
    fn what_is_left_out_of_a_passed_step_is_kept_for_the_summary() {
        let verdict = Verdict::Passed {
            left_out: vec!["no nft".to_owned()],
        };
        assert_eq!(verdict.word(), "in part");
        assert_eq!(verdict.left_out(), ["no nft"]);
    }
}
