//! The hub measured beside its peers.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{peers, run};

/// Builds the product and the load for release, and measures `what`. `options` are those of
/// `outgate-bench`.
///
/// # Errors
///
/// When something cannot be built or a peer is missing.
pub(crate) fn run(workspace: &Workspace, what: &str, options: &[String]) -> Result<bool> {
    let peers = peers::prepare(workspace);
    let packages = ["--package", "outgate", "--package", "outgate-bench"];
    run::shown(
        workspace
            .cargo()
            .args(["build", "--release"])
            .args(packages),
    )?;
    let built = workspace.target.join("release");
    let mut bench = std::process::Command::new(built.join("outgate-bench"));
    peers.lend_to(&mut bench);
    bench
        .arg(what)
        .arg("--outgate")
        .arg(built.join("outgate"))
        .arg("--node")
        .arg(peers.folder().join("node"));
    bench.args(options);
    run::shown(&mut bench)?;
    Ok(true)
}
