//! The programs and libraries that the tests talk to, and how they get onto the machine.
//!
//! Debian packages are installed only where no command of theirs works yet, and daemons are
//! unpacked below the target folder instead, so that no service starts on anybody's machine.
//! Python, Node and Cargo packages live in folders of their own there.

mod cargo;
mod debian;
mod folder;
mod node;
mod python;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::report::say;
use crate::run;
use crate::steps::Verdict;
use crate::workspace::Workspace;

/// Where a Debian system keeps what only root used to need; not on everybody's path.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// What is there for the tests to talk to.
pub(crate) struct Peers {
    folder: PathBuf,
    around: Surroundings,
    missing: Vec<Missing>,
}

/// The environment in which the peers' programs and their libraries are found.
struct Surroundings {
    path: OsString,
    /// Where unpacked libraries lie, a folder an architecture below.
    libraries: PathBuf,
}

impl Surroundings {
    fn new(folder: &std::path::Path) -> Self {
        Self {
            path: search_path(folder),
            libraries: folder.join("debian/usr/lib"),
        }
    }

    #[cfg(test)]
    fn with_path(path: &str) -> Self {
        Self {
            path: path.into(),
            libraries: PathBuf::new(),
        }
    }

    fn lend_to(&self, command: &mut Command) {
        command.env("PATH", &self.path);
        if let Some(libraries) = self.library_folder() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
    }

    /// The folder of unpacked libraries, once something has been unpacked that brings some.
    fn library_folder(&self) -> Option<PathBuf> {
        let folders = std::fs::read_dir(&self.libraries).ok()?;
        folders
            .filter_map(|folder| Some(folder.ok()?.path()))
            .find(|folder| folder.to_string_lossy().ends_with("-linux-gnu"))
    }
}

/// Something the tests would need.
#[derive(Debug, PartialEq)]
struct Missing {
    what: String,
    why: String,
}

impl Peers {
    /// The peers before anything was looked at: nothing is known to be missing.
    pub(crate) fn none(workspace: &Workspace) -> Self {
        let folder = workspace.target.join("peers");
        let around = Surroundings::new(&folder);
        Self {
            folder,
            around,
            missing: Vec::new(),
        }
    }

    /// Gives `command` the environment in which the peers are found: their programs first on the
    /// path, their folder in `OUTGATE_PEERS`.
    pub(crate) fn lend_to(&self, command: &mut Command) {
        self.around.lend_to(command);
        command.env("OUTGATE_PEERS", &self.folder);
    }

    /// The folder in which everything lies.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// A program of the Python environment.
    pub(crate) fn python_program(&self, name: &str) -> PathBuf {
        self.folder.join("python/bin").join(name)
    }

    /// A program that crates.io has.
    pub(crate) fn cargo_program(&self, name: &str) -> PathBuf {
        self.folder.join("cargo/bin").join(name)
    }

    /// Why something that needs all of `wanted` cannot run, or `None` when it can.
    /// The Python, Node and Cargo packages go by `python`, `node` and `cargo`.
    pub(crate) fn lack(&self, wanted: &[&str]) -> Option<String> {
        let lacking = self
            .missing
            .iter()
            .filter(|one| wanted.contains(&one.what.as_str()));
        named(lacking)
    }

    /// Why something that needs every peer cannot run, or `None` when it can.
    pub(crate) fn lack_any(&self) -> Option<String> {
        named(self.missing.iter())
    }

    /// Why no private network namespace with nftables can be had here, or `None` when it can.
    pub(crate) fn lack_namespaces(&self) -> Option<String> {
        self.lack(&["nftables", "iproute2"]).or_else(|| {
            let mut trial = Command::new("unshare");
            if !is_root() {
                trial.args(["--user", "--map-root-user"]);
            }
            self.lend_to(trial.args(["--mount", "--net", "nft", "list", "ruleset"]));
            run::quietly(&mut trial)
                .err()
                .map(|error| format!("no network namespaces: {error:#}"))
        })
    }

    /// The result of installing.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::Passed {
            left_out: self.by_reason(),
        }
    }

    /// What is missing, in one line for each reason.
    fn by_reason(&self) -> Vec<String> {
        let alike = self.missing.chunk_by(|one, next| one.why == next.why);
        alike
            .filter_map(|group| {
                let names: Vec<&str> = group.iter().map(|one| one.what.as_str()).collect();
                let why = &group.first()?.why;
                Some(format!("{}: {why}", names.join(", ")))
            })
            .collect()
    }
}

/// Installs what is missing, as far as this machine and user allow.
pub(crate) fn prepare(workspace: &Workspace) -> Peers {
    let mut peers = Peers::none(workspace);
    peers.missing = debian::prepare(&peers.folder, &peers.around);
    for (what, outcome) in [
        ("python", python::prepare(&peers.folder, &peers.around.path)),
        ("node", node::prepare(&peers.folder, &peers.around.path)),
        ("cargo", cargo::prepare(&peers.folder)),
    ] {
        if let Err(error) = outcome {
            peers.missing.push(Missing {
                what: what.to_owned(),
                why: format!("{error:#}"),
            });
        }
    }
    peers
}

/// `cargo xtask peers`: installs, then prints what a shell needs to run a test by hand.
///
/// # Errors
///
/// When the path is not UTF-8.
pub(crate) fn show(workspace: &Workspace) -> Result<bool> {
    let peers = prepare(workspace);
    for reason in peers.by_reason() {
        say(format_args!("missing: {reason}"));
    }
    let path = peers.around.path.to_str().context("PATH is not UTF-8")?;
    say(format_args!(
        "export OUTGATE_PEERS='{}'",
        peers.folder.display()
    ));
    say(format_args!("export PATH='{path}'"));
    if let Some(libraries) = peers.around.library_folder() {
        say(format_args!(
            "export LD_LIBRARY_PATH='{}'",
            libraries.display()
        ));
    }
    Ok(peers.missing.is_empty())
}

/// Whether we may install packages on this machine.
fn is_root() -> bool {
    run::quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// The path with the unpacked programs first and the system's folders last.
fn search_path(folder: &std::path::Path) -> OsString {
    let unpacked = folder.join("debian");
    // squid's helpers are in a folder of their own.
    let own = ["usr/sbin", "usr/bin", "usr/lib/squid"].map(|one| unpacked.join(one));
    let inherited = env::var_os("PATH").unwrap_or_default();
    let theirs: Vec<PathBuf> = env::split_paths(&inherited).collect();
    let system = SYSTEM_FOLDERS
        .iter()
        .map(PathBuf::from)
        .filter(|one| !theirs.contains(one));
    let all = own.into_iter().chain(theirs.iter().cloned()).chain(system);
    // Only a folder with a colon in its name cannot be joined; then ours is the one to do without.
    env::join_paths(all).unwrap_or(inherited)
}

fn named<'a>(missing: impl Iterator<Item = &'a Missing>) -> Option<String> {
    let names: Vec<&str> = missing.map(|one| one.what.as_str()).collect();
    (!names.is_empty()).then(|| format!("missing: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn unpacked_programs_come_before_those_of_the_machine() {
        let path = search_path(Path::new("/t/peers"));
        let first: Vec<PathBuf> = env::split_paths(&path).take(2).collect();
        assert_eq!(first[0], Path::new("/t/peers/debian/usr/sbin"));
        assert_eq!(first[1], Path::new("/t/peers/debian/usr/bin"));
    }

    #[test]
    fn the_folders_of_the_system_are_on_the_path_once() {
        let path = search_path(Path::new("/t/peers"));
        let times = env::split_paths(&path)
            .filter(|one| one == Path::new("/usr/sbin"))
            .count();
        assert_eq!(times, 1);
    }

    #[test]
    fn only_what_is_wanted_and_missing_is_named() {
        let peers = Peers {
            folder: PathBuf::new(),
            around: Surroundings::new(Path::new("")),
            missing: vec![missing("g++"), missing("node")],
        };
        assert_eq!(peers.lack(&["g++"]).as_deref(), Some("missing: g++"));
        assert_eq!(peers.lack(&["nftables"]), None);
        assert_eq!(peers.lack_any().as_deref(), Some("missing: g++, node"));
    }

    #[test]
    fn what_is_missing_for_one_reason_is_told_once() {
        let peers = Peers {
            folder: PathBuf::new(),
            around: Surroundings::new(Path::new("")),
            missing: vec![missing("g++"), missing("node")],
        };
        assert_eq!(peers.by_reason(), ["g++, node: not root"]);
    }

    fn missing(what: &str) -> Missing {
        Missing {
            what: what.to_owned(),
            why: "not root".to_owned(),
        }
    }
}
