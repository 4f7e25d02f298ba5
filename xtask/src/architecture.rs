//! The invariants of `ARCHITECTURE.md` that no compiler and no test holds.

mod arrows;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::package;
use crate::report;
use crate::run;
use crate::workspace::Workspace;

/// The folders that hold Rust files of ours.
const SOURCE_FOLDERS: [&str; 4] = ["crates", "fuzz", "tests", "xtask"];

/// Checks all of them and prints what breaks one.
///
/// # Errors
///
/// When Cargo cannot be asked or a file cannot be read.
pub(crate) fn show(workspace: &Workspace) -> Result<bool> {
    let mut findings = arrows::check(&workspace.packages);
    for package in arrows::WITHOUT_INPUT_OR_OUTPUT {
        let tree = tree(workspace, package, &[])?;
        findings.extend(arrows::check_tree(package, &tree));
    }
    let agent = tree(workspace, "outgate", &package::FEATURES)?;
    findings.extend(arrows::check_agent(&agent));
    for package in &workspace.packages {
        let manifest = read(&package.manifest)?;
        findings.extend(sources::check_lints(&package.name, &manifest));
    }
    let files = rust_files(&workspace.root)?;
    findings.extend(sources::check(&files));
    Ok(report::findings("architecture", &findings))
}

/// What a package needs, with these features, a line each.
fn tree(workspace: &Workspace, package: &str, features: &[&str]) -> Result<String> {
    run::quietly(
        workspace
            .cargo()
            .args(["tree", "--edges", "normal", "--prefix", "none"])
            .args(["--package", package])
            .args(features),
    )
}

/// Every Rust file of ours with its text, by its path from the root.
fn rust_files(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut folders: Vec<PathBuf> = SOURCE_FOLDERS.iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("failed to list {}", folder.display()))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("failed to list {}", folder.display()))?
                .path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root)
                    .unwrap_or(&path)
                    .to_string_lossy()
                    .into_owned();
                files.insert(name, read(&path)?);
            }
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_every_crate_are_found() {
        let workspace = Workspace::load().unwrap();
        let files = rust_files(&workspace.root).unwrap();
        assert!(files.contains_key("xtask/src/architecture.rs"));
        assert!(files.contains_key("crates/outgate/src/main.rs"));
    }
}
