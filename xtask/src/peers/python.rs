//! The Python environments: one that most tests share, and one each for what wants other versions
//! of the same packages.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::report::say;
use crate::run;

/// Each by its folder, with what is installed in it.
const ENVIRONMENTS: [(&str, &str); 4] = [
    ("python", include_str!("../../peers/requirements.txt")),
    (
        "python-aws",
        include_str!("../../peers/requirements-aws.txt"),
    ),
    (
        "python-azure",
        include_str!("../../peers/requirements-azure.txt"),
    ),
    (
        "python-mitmproxy",
        include_str!("../../peers/requirements-mitmproxy.txt"),
    ),
];

/// Interpreters by preference: what the machine calls Python first, Debian's own last.
const INTERPRETERS: [&str; 5] = [
    "python3",
    "python3.13",
    "python3.12",
    "python3.11",
    "/usr/bin/python3",
];

/// Fails on an interpreter that is too old for the pinned packages or cannot make environments.
const SUITABLE: &str = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))";

/// Makes the environments, unless they are there already.
///
/// # Errors
///
/// When there is no suitable interpreter or a package cannot be installed.
pub(super) fn prepare(peers: &Path, path: &OsStr) -> Result<()> {
    let interpreter = INTERPRETERS
        .into_iter()
        .find(|name| run::works(Command::new(name).args(["-c", SUITABLE]).env("PATH", path)))
        .context("no Python 3.11 or later that can make environments (python3-venv)")?;
    let version = run::quietly(Command::new(interpreter).args(["-VV"]).env("PATH", path))?;
    for (name, requirements) in ENVIRONMENTS {
        let recipe = format!("{version}{requirements}");
        folder::made_from(&peers.join(name), &recipe, |folder| {
            make(folder, requirements, interpreter, path)
        })?;
    }
    Ok(())
}

fn make(folder: &Path, requirements: &str, interpreter: &str, path: &OsStr) -> Result<()> {
    say(format_args!(
        "Python packages: installing into {}",
        folder.display()
    ));
    run::quietly(
        Command::new(interpreter)
            .args(["-m", "venv"])
            .arg(folder)
            .env("PATH", path),
    )?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements).context("failed to write requirements.txt")?;
    run::quietly(
        Command::new(folder.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--no-input",
                // The list is complete.
                "--no-deps",
                "--disable-pip-version-check",
            ])
            .args(["--retries", "1", "--timeout", "30", "--requirement"])
            .arg(list),
    )
    .map(drop)
}
