//! The agent for Debian: a build of nothing else, and the package made of it.

mod notices;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::peers::Peers;
use crate::report::say;
use crate::run;
use crate::steps::{Verdict, locked};
use crate::workspace::Workspace;

/// The profile of the root `Cargo.toml` by which it is built; its folder has the same name.
const PROFILE: &str = "agent";

/// What it is built with, and nothing else.
pub(crate) const FEATURES: [&str; 3] = ["--no-default-features", "--features", "agent"];

/// What must be there to make it.
const NEEDS: [&str; 2] = ["cargo", "dpkg-dev"];

/// What became of the package in this run.
pub(crate) enum Package {
    /// It is there.
    Made(PathBuf),
    /// It is not, for this reason.
    Missing(String),
}

impl Package {
    /// Nothing was made yet.
    pub(crate) fn none() -> Self {
        Self::Missing("the step `package` has not run".to_owned())
    }

    /// Why what needs it cannot run, or `None` when it can.
    pub(crate) fn lack(&self) -> Option<String> {
        match self {
            Self::Made(_) => None,
            Self::Missing(why) => Some(why.clone()),
        }
    }

    /// Tells `command` where the package lies, if it is there.
    pub(crate) fn lend_to(&self, command: &mut Command) {
        if let Self::Made(file) = self {
            command.env("OUTGATE_PACKAGE", file);
        }
    }

    /// What became of it, as the result of a step.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Made(file) => {
                say(format_args!("made {}", file.display()));
                Verdict::of(true)
            }
            Self::Missing(why) => Verdict::LeftOut(why.clone()),
        }
    }
}

/// Builds the agent and its package.
///
/// # Errors
///
/// When it cannot be built, or two packages of the same build differ.
pub(crate) fn make(workspace: &Workspace, peers: &Peers) -> Result<Package> {
    if let Some(reason) = peers.lack(&NEEDS) {
        return Ok(Package::Missing(reason));
    }
    let moment = moment(&workspace.root)?;
    run::shown(
        workspace
            .cargo()
            // The agent knows by it that it cannot be earlier.
            .env("SOURCE_DATE_EPOCH", &moment)
            .args(["build", "--package", "outgate", "--profile", PROFILE])
            .args(FEATURES)
            .args(locked()),
    )?;
    let built = workspace.target.join(PROFILE);
    let completions =
        run::quietly(Command::new(built.join("outgate")).args(["completions", "bash"]))?;
    let notices = notices::collect(workspace)?;
    for (name, text) in [("outgate.bash", completions), ("NOTICES", notices)] {
        fs::write(built.join(name), text).with_context(|| format!("failed to write {name}"))?;
    }
    // Without the time at which it was packed.
    run::quietly(Command::new("gzip").arg("-9nf").arg(built.join("NOTICES")))?;
    let folder = workspace.target.join("package");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let [first, second] = ["outgate-agent.deb", "outgate-agent-again.deb"].map(|name| {
        let file = folder.join(name);
        let mut cargo_deb = Command::new(peers.cargo_program("cargo-deb"));
        cargo_deb
            .current_dir(&workspace.root)
            .env("CARGO_TARGET_DIR", &workspace.target)
            .env("SOURCE_DATE_EPOCH", &moment)
            .args(["--package", "outgate", "--profile", PROFILE, "--quiet"])
            .args(["--no-build", "--no-strip", "--compress-type", "gzip"])
            .arg("--output")
            .arg(&file);
        run::quietly(&mut cargo_deb).map(|_| file)
    });
    let (first, second) = (first?, second?);
    ensure!(
        read(&first)? == read(&second)?,
        "{} and {} should be the same, byte for byte",
        first.display(),
        second.display()
    );
    Ok(Package::Made(first))
}

/// When the sources were changed last, in seconds since 1970: so everybody who builds them makes the
/// same package.
fn moment(root: &Path) -> Result<String> {
    let mut git = Command::new("git");
    let log = ["log", "-1", "--format=%ct"];
    let moment = run::quietly(git.current_dir(root).args(log))
        .context("failed to ask git when the sources were changed last")?;
    Ok(moment.trim().to_owned())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("failed to read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_where_the_package_is_or_why_there_is_none() {
        let mut command = Command::new("true");
        let made = Package::Made(PathBuf::from("/t/a.deb"));
        made.lend_to(&mut command);
        let told: Vec<_> = command.get_envs().collect();
        assert_eq!(told[0].1.unwrap(), "/t/a.deb");
        assert_eq!(made.lack(), None);
        assert!(Package::none().lack().unwrap().contains("`package`"));
    }
}
