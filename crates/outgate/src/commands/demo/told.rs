//! What a demo tells: a table a product, and one of the till's day.

use std::process::ExitCode;

use anyhow::anyhow;
use outgate_check::{Report, Verdict};
use serde::Serialize;

use super::WITH_TILL;
use super::sites::Played;
use super::step::Step;
use crate::commands::check::table::{micros, report_tables};
use crate::output::{Failure, json, print, say};
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
    /// The sites with agents in them, and what these did.
    sites: Vec<Played>,
}

impl Told {
    pub(super) fn new(reports: Vec<Report>, till: Vec<Step>, sites: Vec<Played>) -> Self {
        Self {
            version: VERSION,
            reports,
            till,
            sites,
        }
    }

    /// Prints all of it.
    pub(super) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if let Some(because) = self.sites.iter().find_map(|site| site.because.as_ref()) {
            say(&format!("the sites stand on loopback: {because}"));
        }
        if as_json {
            return json(self);
        }
        for report in &self.reports {
            print(&format!("{}\n", report_tables(report, &mut str::to_owned)))?;
            let product = &report.heading.product;
            if product == WITH_TILL {
                print(&format!("{}\n", steps("till at the hub", &self.till)))?;
            }
            for site in self.sites.iter().filter(|site| site.product == *product) {
                print(&format!("{}\n", steps(&site.title, &site.steps)))?;
            }
        }
        Ok(())
    }

    /// The exit code of the checks.
    ///
    /// # Errors
    /// Something failed at a step.
    pub(super) fn finished(&self) -> Result<ExitCode, Failure> {
        let sites = self.sites.iter().map(|site| (&site.site[..], &site.steps));
        for (who, steps) in std::iter::once(("till", &self.till)).chain(sites) {
            if let Some(failed) = steps.iter().find(|step| !step.passed()) {
                let (step, seen) = (&failed.step, &failed.seen);
                return Err(Failure::Internal(anyhow!(
                    "the {who} failed at `{step}`: {seen}"
                )));
            }
        }
        let verdicts = self.reports.iter().map(|report| report.verdict);
        Ok(ExitCode::from(Verdict::worst(verdicts).exit_code()))
    }
}

/// Steps as a table.
fn steps(title: &str, steps: &[Step]) -> String {
    let mut rows = table(&[title, "outcome", "time", "what came of it"]);
    for step in steps {
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

#[cfg(test)]
mod tests {
    use super::super::step::Outcome;
    use super::*;

    #[test]
    fn a_step_that_failed_fails_the_demo_and_is_named_with_what_was_seen() {
        let step = |step: &str, outcome, seen: &str| Step {
            step: step.to_owned(),
            what: "does something".to_owned(),
            outcome,
            took_micros: 1,
            seen: seen.to_owned(),
        };
        let day = vec![
            step("sign-in", Outcome::Pass, "in"),
            step("sale", Outcome::Fail, "0 events in place of one"),
        ];
        let told = Told::new(Vec::new(), day, Vec::new());
        let Err(Failure::Internal(error)) = told.finished() else {
            panic!("it has not failed");
        };
        let expected = "the till failed at `sale`: 0 events in place of one";
        assert_eq!(error.to_string(), expected);
        assert!(steps("till", &told.till).contains("sale: does something      FAIL"));
        let passed = Told::new(
            Vec::new(),
            vec![step("sign-in", Outcome::Pass, "in")],
            Vec::new(),
        );
        assert!(passed.finished().is_ok());
    }
}
