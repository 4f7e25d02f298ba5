//! The command line.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::steps::{Selection, Step};

/// How long `cargo xtask fuzz` explores when nothing is said.
const FUZZ_SECONDS: u64 = 60;

/// What `cargo xtask help` prints.
pub(crate) const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--only STEP]          all the tests: installs what they need, runs them, lists what was
                              left out and why (with CI=true leaving anything out is a failure)
  ci [--only STEP]            formatting, lints, documentation, licences, then all the tests
  peers                       installs the programs and clients that the tests talk to
  package                     the agent built alone, and its Debian package
  architecture                the invariants of ARCHITECTURE.md
  licences                    licences, sources and duplicates of the dependencies
  fuzz TARGET [--seconds N]   replays the corpus of a fuzz target, then explores
  bench blob|check|mqtt|queue|realtime|revoke|start|updates [--short] [--only WHAT] [--json FILE]
                              measures the hub, its files, its SignalR, its updates, the agent's queue
                              or the check
                              beside its peers, in one run
  schema [--check]            writes the JSON Schemas of manifests and reports, or checks the
                              committed ones
  openapi [--check]           writes the OpenAPI documents of the APIs, or checks them

steps: format lints documentation licences architecture peers package tests fuzz book";

/// What the user asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    /// Print the usage.
    Help,
    /// Run steps.
    Steps(Selection),
    /// Install the peers of the tests.
    Peers,
    /// Check the invariants of the architecture.
    Architecture,
    /// Check the dependencies.
    Licences,
    /// Explore one fuzz target.
    Fuzz { target: String, seconds: Duration },
    /// Measure.
    Bench { what: String, options: Vec<String> },
    /// Write or check the schema.
    Schema { check: bool },
    /// Write or check the OpenAPI document.
    OpenApi { check: bool },
}

/// Understands the words after `cargo xtask`.
///
/// # Errors
///
/// When a word is not understood or one is missing.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Invocation> {
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h", ..] => Ok(Invocation::Help),
        ["test"] => Ok(Invocation::Steps(Selection::tests())),
        ["ci"] => Ok(Invocation::Steps(Selection::everything())),
        ["test" | "ci", "--only", step] => {
            Ok(Invocation::Steps(Selection::only(Step::named(step)?)))
        }
        ["peers"] => Ok(Invocation::Peers),
        ["package"] => Ok(Invocation::Steps(Selection::only(Step::Package))),
        ["architecture"] => Ok(Invocation::Architecture),
        ["licences"] => Ok(Invocation::Licences),
        ["fuzz", target] => Ok(fuzz(target, FUZZ_SECONDS)),
        ["fuzz", target, "--seconds", number] => {
            let seconds = number
                .parse()
                .with_context(|| format!("`{number}` is no number"))?;
            Ok(fuzz(target, seconds))
        }
        [
            "bench",
            what @ ("blob" | "check" | "mqtt" | "queue" | "realtime" | "revoke" | "start"
            | "updates"),
            options @ ..,
        ] => Ok(bench(what, options)),
        ["schema"] => Ok(Invocation::Schema { check: false }),
        ["schema", "--check"] => Ok(Invocation::Schema { check: true }),
        ["openapi"] => Ok(Invocation::OpenApi { check: false }),
        ["openapi", "--check"] => Ok(Invocation::OpenApi { check: true }),
        other => bail!("`{}` is not understood\n\n{USAGE}", other.join(" ")),
    }
}

fn bench(what: &str, options: &[&str]) -> Invocation {
    Invocation::Bench {
        what: what.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
    }
}

fn fuzz(target: &str, seconds: u64) -> Invocation {
    Invocation::Fuzz {
        target: target.to_owned(),
        seconds: Duration::from_secs(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_can_be_chosen_by_its_name() {
        let chosen = parse_line("test --only fuzz").unwrap();
        assert_eq!(chosen, Invocation::Steps(Selection::only(Step::Fuzz)));
    }

    #[test]
    fn an_unknown_word_is_repeated_with_the_usage() {
        let error = parse_line("tset").unwrap_err().to_string();
        assert!(
            error.contains("`tset`") && error.contains("usage:"),
            "{error}"
        );
    }

    #[test]
    fn what_is_measured_comes_before_the_options_of_the_load() {
        let Invocation::Bench { what, options } = parse_line("bench realtime --short").unwrap()
        else {
            panic!("something else");
        };
        assert_eq!(what, "realtime");
        assert_eq!(options, ["--short"]);
        assert!(parse_line("bench everything").is_err());
    }

    #[test]
    fn an_unknown_step_is_repeated_with_those_there_are() {
        let error = parse_line("ci --only linst").unwrap_err().to_string();
        assert!(
            error.contains("linst") && error.contains("lints"),
            "{error}"
        );
    }

    #[test]
    fn the_usage_names_every_step() {
        for step in Selection::everything().steps() {
            assert!(USAGE.contains(step.name()), "{}", step.name());
        }
    }

    fn parse_line(line: &str) -> Result<Invocation> {
        parse(line.split_whitespace().map(str::to_owned))
    }
}
