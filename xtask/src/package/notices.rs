//! The notices of the libraries that are linked into the agent, whose licences want them beside every
//! copy.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::FEATURES;
use crate::run;
use crate::workspace::{Workspace, array, string};

/// How the files begin that say under what licence something is, in capitals.
const NAMES: [&str; 5] = ["LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// A library.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Library {
    name: String,
    version: String,
    licence: String,
}

/// All of them, with their licences, as one text.
///
/// # Errors
///
/// When Cargo cannot be asked, or a file cannot be read.
pub(super) fn collect(workspace: &Workspace) -> Result<String> {
    let tree = ["tree", "--edges", "normal", "--prefix", "none"];
    let mut cargo = workspace.cargo();
    cargo.args(tree).args(["--package", "outgate", "--format"]);
    let tree = run::quietly(cargo.arg("{p}").args(FEATURES))?;
    let linked: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
    let metadata = run::quietly(
        workspace
            .cargo()
            .args(["metadata", "--format-version", "1"]),
    )?;
    let folders = folders(&metadata).context("failed to understand `cargo metadata`")?;
    let mut libraries = BTreeMap::new();
    for (library, folder) in folders {
        if linked.contains(&(&library.name, &library.version)) {
            let mut texts = BTreeSet::new();
            read(&folder, &mut texts, true)?;
            libraries.insert(library, texts);
        }
    }
    ensure!(!libraries.is_empty(), "no library is linked into the agent");
    Ok(written(&libraries))
}

/// What stands in a line of `cargo tree`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

/// All libraries from outside the workspace, with their sources.
fn folders(metadata: &str) -> Result<Vec<(Library, PathBuf)>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let mut folders = Vec::new();
    for package in array(&metadata, "packages")? {
        if string(package, "source").is_err() {
            continue; // of this workspace
        }
        let library = Library {
            name: string(package, "name")?,
            version: string(package, "version")?,
            licence: string(package, "license")?,
        };
        let manifest = PathBuf::from(string(package, "manifest_path")?);
        folders.push((library, manifest.with_file_name("")));
    }
    Ok(folders)
}

/// Reads what a folder, and those in it, say of licences: C that a library brings has its own.
fn read(folder: &Path, texts: &mut BTreeSet<String>, deeper: bool) -> Result<()> {
    let failed = || format!("failed to read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if path.is_dir() {
            if deeper {
                read(&path, texts, false)?;
            }
        } else if NAMES.iter().any(|beginning| name.starts_with(beginning))
            && !name.ends_with(".RS")
        {
            let bytes = fs::read(&path).with_context(failed)?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            texts.insert(text.trim().to_owned());
        }
    }
    Ok(())
}

/// The libraries, then each text once, with whose it is.
fn written(libraries: &BTreeMap<Library, BTreeSet<String>>) -> String {
    let mut whole = "The program holds these libraries:\n\n".to_owned();
    let mut owners = BTreeMap::<&str, Vec<String>>::new();
    for (library, texts) in libraries {
        let named = format!("{} {}", library.name, library.version);
        whole.push_str(&format!("  {named}: {}\n", library.licence));
        for text in texts {
            owners.entry(text).or_default().push(named.clone());
        }
    }
    for (text, owners) in owners {
        let line = "-".repeat(72);
        whole.push_str(&format!("\n{line}\n{}\n\n{text}\n", owners.join(", ")));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_known_by_the_lines_of_cargo_tree() {
        assert_eq!(name_and_version("tokio v1.50.0"), Some(("tokio", "1.50.0")));
        assert_eq!(name_and_version(""), None);
    }

    #[test]
    fn a_text_that_two_libraries_have_stands_there_once_with_both_names() {
        let library = |name: &str| Library {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
        };
        let texts = BTreeSet::from(["Permission is granted".to_owned()]);
        let whole = written(&BTreeMap::from([
            (library("a"), texts.clone()),
            (library("b"), texts),
        ]));
        assert_eq!(whole.matches("Permission").count(), 1);
        assert!(whole.contains("a 1.0.0, b 1.0.0\n\nPermission"), "{whole}");
    }

    #[test]
    fn licences_of_what_a_library_brings_along_are_read_and_its_code_is_not() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("quickjs");
        fs::create_dir(&inside).unwrap();
        for (file, text) in [
            ("LICENSE-MIT", "one\r\n"),
            ("license.rs", "code"),
            ("quickjs/LICENSE", "two"),
        ] {
            fs::write(place.path().join(file), text).unwrap();
        }
        let mut texts = BTreeSet::new();
        read(place.path(), &mut texts, true).unwrap();
        assert_eq!(texts, ["one", "two"].map(str::to_owned).into());
    }
}
