//! `outgate schema`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use outgate_check::Report;

use crate::output::{Failure, json};

/// Print the JSON Schema of manifests, or of a check's report.
#[derive(Args)]
#[command(after_help = "Examples:
  outgate schema > manifest.schema.json
  outgate schema report")]
pub(crate) struct SchemaArgs {
    /// Whose schema
    #[arg(value_enum, default_value_t = Of::Manifest)]
    of: Of,
}

#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// A product's manifest
    Manifest,
    /// What `outgate check --json` prints
    Report,
}

impl SchemaArgs {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        json(&match self.of {
            Of::Manifest => outgate_manifest::schema(),
            Of::Report => Report::json_schema(),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
