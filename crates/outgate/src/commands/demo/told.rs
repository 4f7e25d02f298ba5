//! What a demo tells: a table a product, and one of the till's day.

use std::process::ExitCode;

use anyhow::anyhow;
use outgate_check::{Report, Verdict};
use serde::Serialize;

use super::WITH_TILL;
use super::day::Step;
use crate::commands::check::table::{micros, report_tables};
use crate::output::{Failure, json, print};
use crate::table::{cells, shown, table};

/// The version of the JSON form.
const VERSION: u32 = 1;

/// What was exercised, and what came of it.
#[derive(Serialize)]
pub(super) struct Told {
    version: u32,
    /// A report a product.
    reports: Vec<Report>,
    /// The steps of the till's day; none without a till.
    till: Vec<Step>,
}

impl Told {
    pub(super) fn new(reports: Vec<Report>, till: Vec<Step>) -> Self {
        Self {
            version: VERSION,
            reports,
            till,
        }
    }

    /// Prints all of it.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            return json(self);
        }
        for report in &self.reports {
            print(&format!("{}\n", report_tables(report, &mut str::to_owned)))?;
            if report.heading.product == WITH_TILL {
                print(&format!("{}\n", self.day()))?;
            }
        }
        Ok(())
    }

    /// The exit code of the checks.
    ///
    /// # Errors
    /// The till failed at a step.
    pub(super) fn finished(&self) -> Result<ExitCode, Failure> {
        if let Some(failed) = self.till.iter().find(|step| !step.passed()) {
            let (step, seen) = (failed.step, &failed.seen);
            return Err(Failure::Internal(anyhow!(
                "the till failed at `{step}`: {seen}"
            )));
        }
        let verdicts = self.reports.iter().map(|report| report.verdict);
        Ok(ExitCode::from(Verdict::worst(verdicts).exit_code()))
    }

    /// The till's day as a table.
    fn day(&self) -> String {
        let mut rows = table(&["till at the hub", "outcome", "time", "what came of it"]);
        for step in &self.till {
            let outcome = if step.passed() { "pass" } else { "FAIL" };
            let doing = format!("{}: {}", step.step, step.what);
            rows.add_row(cells([
                &doing,
                outcome,
                &micros(step.took_micros),
                &step.seen,
            ]));
        }
        shown(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_failed_fails_the_demo_and_is_named_with_what_was_seen() {
        let step = |step, outcome, seen: &str| Step {
            step,
            what: "does something",
            outcome,
            took_micros: 1,
            seen: seen.to_owned(),
        };
        let day = vec![
            step("sign-in", "pass", "in"),
            step("sale", "fail", "0 events in place of one"),
        ];
        let told = Told::new(Vec::new(), day);
        let Err(Failure::Internal(error)) = told.finished() else {
            panic!("it has not failed");
        };
        let expected = "the till failed at `sale`: 0 events in place of one";
        assert_eq!(error.to_string(), expected);
        assert!(told.day().contains("sale: does something      FAIL"));
        let passed = Told::new(Vec::new(), vec![step("sign-in", "pass", "in")]);
        assert!(passed.finished().is_ok());
    }
}
