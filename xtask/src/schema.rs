//! The manifest's JSON Schema: written by the product, committed for readers and editors.

use std::fs;

use anyhow::{Context, Result};

use crate::report::say;
use crate::run;
use crate::workspace::Workspace;

/// Where the committed schema lies.
const PLACE: &str = "docs/manifest.schema.json";

/// Writes the schema, or with `check` tells whether the committed one is the product's.
///
/// # Errors
///
/// When the product cannot be built or the file cannot be read or written.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<bool> {
    let schema = run::quietly(workspace.cargo().args([
        "run",
        "--quiet",
        "--package",
        "outgate",
        "--",
        "schema",
    ]))?;
    let place = workspace.root.join(PLACE);
    if check {
        let committed =
            fs::read_to_string(&place).with_context(|| format!("failed to read {PLACE}"))?;
        if committed != schema {
            say(format_args!(
                "{PLACE} is out of date: run `cargo xtask schema`"
            ));
        }
        return Ok(committed == schema);
    }
    fs::write(&place, schema).with_context(|| format!("failed to write {PLACE}"))?;
    Ok(true)
}
