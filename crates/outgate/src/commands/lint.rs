//! `outgate lint`.

use std::process::ExitCode;

use clap::Args;
use outgate_manifest::view::SCHEMA;
use outgate_manifest::{Diagnostic, Severity};
use serde::Serialize;

use crate::diagnostics::rendered;
use crate::library;
use crate::output::{Failure, coloured, counted, json, print};

/// `outgate lint`: what is wrong with a manifest, and what could be better.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate lint ./my-product.yaml
  outgate lint ./my-product.yaml --allow no-sample --json

Exit codes: 0 nothing to say, 2 errors, 4 only warnings")]
pub(crate) struct LintArgs {
    /// A built-in product (see `outgate profiles`) or the path of a manifest
    profile: String,
    /// A kind of warning to leave out, by its code (may be repeated)
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    allow: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct LintView<'a> {
    schema: u32,
    file: &'a str,
    errors: usize,
    warnings: usize,
    diagnostics: &'a [Diagnostic],
}

impl LintArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let found = library::find(&self.profile)?;
        let mut diagnostics = match found.parse() {
            Ok(manifest) => manifest.lint(),
            Err(errors) => errors,
        };
        diagnostics.retain(|one| {
            one.severity == Severity::Error || !self.allow.iter().any(|code| code == one.code)
        });
        let errors = diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        let warnings = diagnostics.len() - errors;
        if self.json {
            let file = self.profile.as_str();
            let diagnostics = diagnostics.as_slice();
            json(&LintView {
                schema: SCHEMA,
                file,
                errors,
                warnings,
                diagnostics,
            })?;
        } else {
            print(&rendered(&diagnostics, found.text(), coloured()))?;
            let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
            print(&format!(
                "{}: {errors}, {warnings}
",
                self.profile
            ))?;
        }
        Ok(ExitCode::from(match (errors, warnings) {
            (0, 0) => 0,
            (0, _) => 4,
            _ => 2,
        }))
    }
}
