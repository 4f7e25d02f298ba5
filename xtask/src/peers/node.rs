//! The Node packages.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::report::say;
use crate::run;

const PACKAGE: &str = include_str!("../../peers/package.json");
const LOCK: &str = include_str!("../../peers/package-lock.json");

/// Installs the packages, unless they are there already.
///
/// # Errors
///
/// When npm is not there or a package cannot be installed.
pub(super) fn prepare(peers: &Path, path: &OsStr) -> Result<()> {
    let version = run::quietly(Command::new("node").arg("--version").env("PATH", path))?;
    let recipe = format!("{version}{PACKAGE}{LOCK}");
    folder::made_from(&peers.join("node"), &recipe, |folder| {
        say(format_args!(
            "Node packages: installing into {}",
            folder.display()
        ));
        for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
            fs::write(folder.join(name), text)
                .with_context(|| format!("failed to write {name}"))?;
        }
        run::quietly(
            Command::new("npm")
                .current_dir(folder)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .args(["--fetch-retries=1", "--fetch-timeout=30000"])
                .env("PATH", path),
        )
        .map(drop)
    })
}
