//! The dependencies: permissive licences only, from crates.io only, each in one version.
//!
//! The rules are those of `deny.toml`, so that cargo-deny, where somebody has it, says the same.

mod expression;
mod rules;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;

use self::rules::Rules;
use crate::report;
use crate::run;
use crate::workspace::{Workspace, array, string};

/// The end of the source that Cargo names for what comes from crates.io.
const CRATES_IO: &str = "crates.io-index";

/// Checks all dependencies and prints what breaks a rule.
///
/// # Errors
///
/// When Cargo cannot be asked or `deny.toml` cannot be understood.
pub(crate) fn show(workspace: &Workspace) -> Result<bool> {
    let file = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&file).context("failed to read deny.toml")?;
    let rules = Rules::parse(&text).context("failed to understand deny.toml")?;
    let mut command = workspace.cargo();
    command.args(["metadata", "--format-version", "1", "--all-features"]);
    for target in &rules.targets {
        command.args(["--filter-platform", target]);
    }
    let dependencies = dependencies(&run::quietly(&mut command)?)
        .context("failed to understand `cargo metadata`")?;
    let mut findings = check(&dependencies, &rules);
    findings.extend(duplicates(&dependencies, &rules));
    Ok(report::findings("licences", &findings))
}

/// A package from outside the workspace.
struct Dependency {
    name: String,
    version: String,
    licence: Option<String>,
    source: String,
}

fn dependencies(metadata: &str) -> Result<Vec<Dependency>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let nodes = array(metadata.get("resolve").context("no `resolve`")?, "nodes")?;
    let used: Vec<String> = nodes
        .iter()
        .map(|node| string(node, "id"))
        .collect::<Result<_>>()?;
    let mut dependencies = Vec::new();
    for package in array(&metadata, "packages")? {
        let Ok(source) = string(package, "source") else {
            continue; // of this workspace
        };
        if used.contains(&string(package, "id")?) {
            dependencies.push(Dependency {
                name: string(package, "name")?,
                version: string(package, "version")?,
                licence: string(package, "license").ok(),
                source,
            });
        }
    }
    Ok(dependencies)
}

fn check(dependencies: &[Dependency], rules: &Rules) -> Vec<String> {
    let mut findings = Vec::new();
    for Dependency {
        name,
        version,
        licence,
        source,
    } in dependencies
    {
        if !source.ends_with(CRATES_IO) {
            findings.push(format!(
                "{name} {version} does not come from crates.io: {source}"
            ));
        }
        match licence {
            None => findings.push(format!("{name} {version} does not state its licence")),
            Some(licence) => match expression::satisfied_by(licence, &rules.licences) {
                Ok(true) => {}
                Ok(false) => findings.push(format!("{name} {version} is licensed {licence}")),
                Err(error) => findings.push(format!("{name} {version}: {error:#}")),
            },
        }
    }
    findings
}

fn duplicates(dependencies: &[Dependency], rules: &Rules) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Dependency { name, version, .. } in dependencies {
        if !rules.skips(name, version) {
            versions.entry(name).or_default().push(version);
        }
    }
    let mut findings: Vec<String> = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| format!("{name} is there in versions {}", versions.join(", ")))
        .collect();
    let needed = |name: &str, version: &str| {
        dependencies
            .iter()
            .any(|one| one.name == name && rules::is_version(version, &one.version))
    };
    let idle = rules
        .skipped
        .iter()
        .filter(|(name, version)| !needed(name, version));
    findings.extend(idle.map(|(name, version)| {
        format!("deny.toml skips {name}@{version}, which is not there any more")
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "registry+https://example.test/crates.io-index";

    #[test]
    fn a_copyleft_licence_is_found() {
        let found = check(
            &[dependency("a", "1.0.0", Some("GPL-3.0-only"), INDEX)],
            &rules(),
        );
        assert_eq!(found, ["a 1.0.0 is licensed GPL-3.0-only"]);
    }

    #[test]
    fn a_choice_with_a_permissive_licence_in_it_is_fine() {
        let choice = dependency("a", "1.0.0", Some("MPL-2.0 OR MIT"), INDEX);
        assert!(check(&[choice], &rules()).is_empty());
    }

    #[test]
    fn a_package_that_states_no_licence_or_comes_from_elsewhere_is_found() {
        let found = check(
            &[dependency("a", "1.0.0", None, "git+https://example.test/a")],
            &rules(),
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn two_versions_are_found_unless_one_is_skipped() {
        let pair = |name| {
            [
                dependency(name, "1.2.0", Some("MIT"), INDEX),
                dependency(name, "2.0.0", Some("MIT"), INDEX),
            ]
        };
        assert_eq!(
            duplicates(&pair("b"), &rules())[0],
            "b is there in versions 1.2.0, 2.0.0"
        );
        assert!(duplicates(&pair("known"), &rules()).is_empty());
    }

    #[test]
    fn a_skipped_version_that_is_gone_is_found() {
        let found = duplicates(&[], &rules());
        assert_eq!(
            found,
            ["deny.toml skips known@1, which is not there any more"]
        );
    }

    fn rules() -> Rules {
        Rules {
            targets: Vec::new(),
            licences: vec!["MIT".to_owned()],
            skipped: vec![("known".to_owned(), "1".to_owned())],
        }
    }

    fn dependency(name: &str, version: &str, licence: Option<&str>, source: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: licence.map(str::to_owned),
            source: source.to_owned(),
        }
    }
}
