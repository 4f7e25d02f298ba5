//! What Cargo knows of this workspace: where it lies and which packages it holds.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run;

/// The workspace as `cargo metadata --no-deps` tells it.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where Cargo puts what it builds; the peers and the book go there too.
    pub(crate) target: PathBuf,
    /// The packages of the workspace.
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
pub(crate) struct Package {
    /// Its name, such as `outgate-wire`.
    pub(crate) name: String,
    /// The features it declares.
    pub(crate) features: Vec<String>,
    /// Its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// The packages of this workspace that it needs to be built or to run, not those that only
    /// its tests need.
    pub(crate) needs: Vec<String>,
}

impl Workspace {
    /// Asks Cargo.
    ///
    /// # Errors
    ///
    /// When Cargo cannot be run or its answer cannot be understood.
    pub(crate) fn load() -> Result<Self> {
        // Asked for when it runs: clones that share a target folder share this program too.
        let here = env::var_os("CARGO_MANIFEST_DIR").context("run me as `cargo xtask`")?;
        let answer = run::quietly(cargo().current_dir(here).args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
        ]))?;
        Self::from_metadata(&answer).context("failed to understand `cargo metadata`")
    }

    /// The packages that declare `feature`, as arguments for `--features`: `name/feature`.
    pub(crate) fn with_feature(&self, feature: &str) -> Vec<String> {
        self.packages
            .iter()
            .filter(|package| package.features.iter().any(|declared| declared == feature))
            .map(|package| format!("{}/{feature}", package.name))
            .collect()
    }

    /// Cargo, to be run at the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        if is_ci() {
            // Nothing is built twice there.
            command.env("CARGO_INCREMENTAL", "0");
        }
        command
    }

    fn from_metadata(text: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(text)?;
        let packages: Result<Vec<Package>> = array(&metadata, "packages")?
            .iter()
            .map(Package::from_metadata)
            .collect();
        Ok(Self {
            root: PathBuf::from(string(&metadata, "workspace_root")?),
            target: PathBuf::from(string(&metadata, "target_directory")?),
            packages: packages?,
        })
    }
}

impl Package {
    fn from_metadata(package: &Value) -> Result<Self> {
        let features = package
            .get("features")
            .and_then(Value::as_object)
            .context("no features")?;
        let mut needs = Vec::new();
        for dependency in array(package, "dependencies")? {
            let inside = dependency.get("path").is_some_and(Value::is_string);
            let for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            if inside && !for_tests {
                needs.push(string(dependency, "name")?);
            }
        }
        Ok(Self {
            name: string(package, "name")?,
            features: features.keys().cloned().collect(),
            manifest: PathBuf::from(string(package, "manifest_path")?),
            needs,
        })
    }
}

/// Whether this run is one of continuous integration, where nothing may be left out.
pub(crate) fn is_ci() -> bool {
    matches!(env::var("CI").as_deref(), Ok("true" | "1"))
}

/// The string in field `field` of `value`.
///
/// # Errors
///
/// When there is no such string.
pub(crate) fn string(value: &Value, field: &str) -> Result<String> {
    let found = value.get(field).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no string `{field}`"))
}

/// The list in field `field` of `value`.
///
/// # Errors
///
/// When there is no such list.
pub(crate) fn array<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value
        .get(field)
        .and_then(Value::as_array)
        .with_context(|| format!("no list `{field}`"))
}

/// The Cargo that runs us, or else the one on the path.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_root": "/w", "target_directory": "/w/target",
        "packages": [{
            "name": "a", "manifest_path": "/w/a/Cargo.toml", "features": {"peers": []},
            "dependencies": [
                {"name": "b", "kind": null, "path": "/w/b"},
                {"name": "c", "kind": "dev", "path": "/w/c"},
                {"name": "serde", "kind": null}
            ]
        }]
    }"#;

    #[test]
    fn needs_are_the_packages_of_the_workspace_that_are_not_for_tests_only() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        assert_eq!(workspace.packages[0].needs, ["b"]);
    }

    #[test]
    fn features_are_found_by_their_name() {
        let workspace = Workspace::from_metadata(METADATA).unwrap();
        assert_eq!(workspace.with_feature("peers"), ["a/peers"]);
        assert!(workspace.with_feature("namespaces").is_empty());
    }
}
