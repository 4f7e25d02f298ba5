//! Fuzzing with libFuzzer on the stable toolchain, without cargo-fuzz.
//!
//! The instrumentation that cargo-fuzz asks a nightly compiler for is LLVM's `sancov-module`
//! pass, which a stable compiler runs as well. Only address sanitizing needs nightly, and there
//! is no `unsafe` code here for it to watch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::peers::Peers;
use crate::report::say;
use crate::run;
use crate::steps::Verdict;
use crate::workspace::Workspace;

/// How long `cargo xtask test` explores each target.
const SMOKE: Duration = Duration::from_secs(20);

/// The same start for every run of the tests; `cargo xtask fuzz` starts anew each time.
const SMOKE_SEED: u32 = 1;

/// What makes a build one that libFuzzer can steer, and its arithmetic and invariants checked.
const INSTRUMENTATION: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// Bounds of one input and one run: 64 KiB, 10 s, 1 GiB.
const BOUNDS: [&str; 3] = ["-max_len=65536", "-timeout=10", "-rss_limit_mb=1024"];

/// Explores every target for a short while, two at a time.
///
/// # Errors
///
/// When the targets cannot be listed or built.
pub(crate) fn smoke(workspace: &Workspace, peers: &Peers) -> Result<Verdict> {
    if let Some(reason) = peers.lack(&["g++"]) {
        return Ok(Verdict::LeftOut(format!(
            "libFuzzer cannot be compiled: {reason}"
        )));
    }
    let targets = targets(workspace)?;
    let binaries = build(workspace)?;
    let mut passed = true;
    for pair in targets.chunks(2) {
        let outcomes: Vec<Result<String>> = thread::scope(|scope| {
            let started: Vec<_> = pair
                .iter()
                .map(|target| {
                    let exploration = Exploration {
                        workspace,
                        binaries: &binaries,
                        target,
                    };
                    scope.spawn(move || exploration.quietly(SMOKE))
                })
                .collect();
            started
                .into_iter()
                .map(|one| one.join().unwrap_or_else(|_| bail!("the thread panicked")))
                .collect()
        });
        for (target, outcome) in pair.iter().zip(outcomes) {
            match outcome {
                Ok(summary) => say(format_args!("{target}: {summary}")),
                Err(error) => {
                    passed = false;
                    say(format_args!("{target}: FAILED: {error:#}"));
                }
            }
        }
    }
    Ok(Verdict::of(passed))
}

/// `cargo xtask fuzz TARGET`: explores one target with libFuzzer's own output shown.
///
/// # Errors
///
/// When there is no such target or it cannot be built.
pub(crate) fn explore_one(workspace: &Workspace, target: &str, time: Duration) -> Result<bool> {
    let targets = targets(workspace)?;
    ensure!(
        targets.iter().any(|one| one == target),
        "there is no fuzz target `{target}`; there are {}",
        targets.join(", ")
    );
    let binaries = build(workspace)?;
    let exploration = Exploration {
        workspace,
        binaries: &binaries,
        target,
    };
    match run::shown(&mut exploration.command(time)?) {
        Ok(()) => Ok(true),
        Err(error) => {
            say(format_args!("{error:#}\n{}", exploration.advice()));
            Ok(false)
        }
    }
}

/// One run of one target.
struct Exploration<'a> {
    workspace: &'a Workspace,
    binaries: &'a Path,
    target: &'a str,
}

impl Exploration<'_> {
    /// The command that reads all corpora, then explores for `time`.
    fn command(&self, time: Duration) -> Result<Command> {
        let found = self.scratch("corpus");
        let artifacts = self.scratch("artifacts");
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("failed to make {}", folder.display()))?;
        }
        let mut command = Command::new(self.binaries.join(self.target));
        command
            .current_dir(&self.workspace.root)
            .args(BOUNDS)
            .arg(format!("-max_total_time={}", time.as_secs()))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg("-print_final_stats=1");
        let dictionary = self.committed("dictionaries").with_extension("dict");
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        // New inputs are written to the first folder; the committed ones are only read.
        command.arg(found).arg(self.committed("corpus"));
        let profiles = self.workspace.root.join("profiles");
        if self.target == "manifest" && profiles.is_dir() {
            command.arg(profiles);
        }
        Ok(command)
    }

    /// Runs it and tells how much was tried, in libFuzzer's words.
    fn quietly(&self, time: Duration) -> Result<String> {
        let log = self.scratch("logs").with_extension("log");
        let folder = log.parent().context("the log has no folder")?;
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
        let file =
            fs::File::create(&log).with_context(|| format!("failed to write {}", log.display()))?;
        let mut command = self.command(time)?;
        let status = command
            .arg(format!("-seed={SMOKE_SEED}"))
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(file)
            .status()
            .with_context(|| format!("failed to start `{}`", run::line(&command)))?;
        let said = fs::read(&log).with_context(|| format!("failed to read {}", log.display()))?;
        let said = String::from_utf8_lossy(&said);
        if !status.success() {
            bail!("{status}\n{}\n{}", last_lines(&said, 40), self.advice());
        }
        Ok(summary(&said))
    }

    fn advice(&self) -> String {
        format!(
            "the input lies in {}; once mended, keep it in fuzz/corpus/{}",
            self.scratch("artifacts").display(),
            self.target
        )
    }

    fn scratch(&self, kind: &str) -> PathBuf {
        self.workspace
            .target
            .join("fuzz")
            .join(kind)
            .join(self.target)
    }

    fn committed(&self, kind: &str) -> PathBuf {
        self.workspace
            .root
            .join("fuzz")
            .join(kind)
            .join(self.target)
    }
}

/// The names of the targets: the files in `fuzz/fuzz_targets`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("failed to list {}", folder.display()))?
            .path();
        let name = path.file_stem().and_then(|name| name.to_str());
        names.push(name.context("a fuzz target has no name")?.to_owned());
    }
    names.sort();
    Ok(names)
}

/// Builds all targets and returns the folder of their programs.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let host = host()?;
    // With --target the flags do not reach build scripts and procedural macros.
    run::shown(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "outgate-fuzz", "--bins"])
            .args(["--features", "libfuzzer", "--target", &host, "--target-dir"])
            .arg(workspace.target.join("fuzz"))
            .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTATION.join("\x1f"))
            // Halves the time to compile, libFuzzer's C++ most of all.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    )?;
    Ok(workspace.target.join("fuzz").join(host).join("release"))
}

fn host() -> Result<String> {
    let told = run::quietly(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not tell its host")
}

/// The figures that libFuzzer closes with: `number_of_executed_units: 9 peak_rss_mb: 30`.
fn summary(said: &str) -> String {
    let figures = said.lines().filter_map(|line| line.strip_prefix("stat::"));
    let words: Vec<&str> = figures.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_among_the_targets_is_one() {
        let workspace = Workspace::load().unwrap();
        let targets = targets(&workspace).unwrap();
        assert!(targets.contains(&"manifest".to_owned()), "{targets:?}");
    }

    #[test]
    fn an_unknown_target_is_refused_with_those_there_are() {
        let workspace = Workspace::load().unwrap();
        let error = explore_one(&workspace, "nothing", SMOKE)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`nothing`") && error.contains("manifest"),
            "{error}"
        );
    }

    #[test]
    fn the_summary_is_what_libfuzzer_counted() {
        let said = "INFO: x\nstat::new_units_added:   3\nstat::peak_rss_mb:    27\n";
        assert_eq!(summary(said), "new_units_added: 3 peak_rss_mb: 27");
    }

    #[test]
    fn the_last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb", 5), "a\nb");
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
    }
}
