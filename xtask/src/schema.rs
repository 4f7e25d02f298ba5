//! What the product writes of its own formats, committed for readers and editors: the JSON
//! Schemas of manifests and of reports, and the OpenAPI documents of the hub and the agent.

use std::fs;

use anyhow::{Context, Result};

use crate::report::say;
use crate::run;
use crate::workspace::Workspace;

/// Something that the product writes and that is committed.
#[derive(Debug)]
pub(crate) struct Written {
    /// The command of `cargo xtask` that writes it.
    command: &'static str,
    /// Where the committed one lies.
    place: &'static str,
    /// What `cargo run` is to run.
    by: &'static [&'static str],
}

/// The manifest's JSON Schema.
pub(crate) const MANIFEST: Written = Written {
    command: "schema",
    place: "docs/manifest.schema.json",
    by: &["--package", "outgate", "--", "schema"],
};

/// The JSON Schema of a check's report.
pub(crate) const REPORT: Written = Written {
    command: "schema",
    place: "docs/report.schema.json",
    by: &["--package", "outgate", "--", "schema", "report"],
};

/// The OpenAPI document of the hub's API.
pub(crate) const OPENAPI: Written = Written {
    command: "openapi",
    place: "docs/openapi.json",
    by: &["--package", "outgate-hub", "--example", "openapi"],
};

/// The OpenAPI document of the agent's local API.
pub(crate) const AGENT_OPENAPI: Written = Written {
    command: "openapi",
    place: "docs/openapi-agent.json",
    by: &["--package", "outgate-agent", "--example", "openapi_agent"],
};

/// The OpenAPI document of what devices ask of the hub.
pub(crate) const DEVICE_OPENAPI: Written = Written {
    command: "openapi",
    place: "docs/openapi-device.json",
    by: &[
        "--package",
        "outgate-hub",
        "--example",
        "openapi",
        "--",
        "devices",
    ],
};

/// Writes it, or with `check` tells whether the committed one is the product's.
///
/// # Errors
///
/// When the product cannot be built or the file cannot be read or written.
pub(crate) fn run(workspace: &Workspace, what: &Written, check: bool) -> Result<bool> {
    let Written { command, place, by } = *what;
    let written = run::quietly(workspace.cargo().args(["run", "--quiet"]).args(by))?;
    let file = workspace.root.join(place);
    if check {
        let committed =
            fs::read_to_string(&file).with_context(|| format!("failed to read {place}"))?;
        if committed != written {
            say(format_args!(
                "{place} is out of date: run `cargo xtask {command}`"
            ));
        }
        return Ok(committed == written);
    }
    fs::write(&file, written).with_context(|| format!("failed to write {place}"))?;
    Ok(true)
}
