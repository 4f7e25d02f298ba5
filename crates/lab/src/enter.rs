//! Into namespaces of one's own, and the proof of being there.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use rustix::mount::{MountFlags, mount};
use rustix::process::geteuid;

/// What a lab is built with, and the Debian packages that hold it.
const PROGRAMS: [(&str, &str, &str); 5] = [
    ("unshare", "--version", "util-linux"),
    ("setpriv", "--version", "util-linux"),
    ("nsenter", "--version", "util-linux"),
    ("ip", "-V", "iproute2"),
    ("nft", "--version", "nftables"),
];

/// Runs this program again, with these arguments, as the first process of namespaces of its own:
/// network, mounts, processes, and users unless it is root already. Everything in them ends when
/// the program inside ends, or when this process does, even by `kill -9`.
///
/// # Errors
/// Programs are missing, or the system does not let this user have namespaces.
pub fn enter<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> Result<ExitStatus, EnterError> {
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, version, _)| Command::new(program).arg(version).output().is_err())
        .map(|(program, _, package)| format!("{program} (Debian package {package})"))
        .collect();
    if !missing.is_empty() {
        return Err(EnterError::Missing {
            programs: missing.join(", "),
        });
    }
    let refused = into_namespaces()
        .arg("true")
        .output()
        .map_err(|source| EnterError::Start { source })?;
    if !refused.status.success() {
        return Err(EnterError::Forbidden {
            told: first_line(&refused.stderr),
        });
    }
    let own = std::env::current_exe().map_err(|source| EnterError::Start { source })?;
    into_namespaces()
        .arg(own)
        .args(arguments)
        .status()
        .map_err(|source| EnterError::Start { source })
}

/// The command that the program to run is yet to be added to. `setpriv` ends `unshare` with this
/// process, and `unshare` ends the first process inside, with which the rest goes.
fn into_namespaces() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork"]);
    command.args(["--kill-child=KILL", "--mount-proc", "--"]);
    command
}

fn first_line(told: &[u8]) -> String {
    let told = String::from_utf8_lossy(told);
    told.lines().next().unwrap_or_default().to_owned()
}

/// Namespaces cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// A program is not there.
    #[error("a lab needs programs that are not installed: {programs}")]
    Missing {
        /// Which, and where they come from.
        programs: String,
    },
    /// The system says no.
    #[error(
        "this system does not let you make network namespaces ({told}); run it as root, or have \
         user namespaces allowed (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    Forbidden {
        /// What `unshare` said.
        told: String,
    },
    /// A program cannot be started.
    #[error("failed to start a program in namespaces of its own")]
    Start {
        /// Why.
        source: io::Error,
    },
}

/// Proof that this process is the first one in namespaces of its own.
#[derive(Debug)]
pub struct Inside {
    /// The file behind `resolv.conf`, which is of this place alone.
    resolver: PathBuf,
}

impl Inside {
    /// Looks around, and puts a folder of its own over `/run`, where the namespaces of the lab get
    /// their names.
    ///
    /// # Errors
    /// This is not the first process of its namespace, or its network has more than a loopback:
    /// then nothing is touched.
    pub fn here() -> Result<Self, NotInside> {
        let listed = std::fs::read_to_string("/proc/self/net/dev")
            .map_err(|source| NotInside::Look { source })?;
        let others = listed
            .lines()
            .filter_map(|line| line.split_once(':'))
            .any(|(device, _)| device.trim() != "lo");
        if std::process::id() != 1 || others {
            return Err(NotInside::Outside);
        }
        // Read before the folder is hidden: the file may be a link into it.
        let resolver = std::fs::canonicalize(RESOLVER).unwrap_or_else(|_| PathBuf::from(RESOLVER));
        mount("lab", "/run", "tmpfs", MountFlags::empty(), None).map_err(|error| {
            NotInside::Mount {
                source: error.into(),
            }
        })?;
        std::fs::create_dir("/run/netns").map_err(|source| NotInside::Mount { source })?;
        let resolver = place_resolver(&resolver, &crate::topology::resolver_configuration())
            .map_err(|source| NotInside::Resolver { source })?;
        Ok(Self { resolver })
    }

    /// Has every program in here ask these name servers: the text of a `resolv.conf`.
    pub(crate) fn ask_name_servers(&self, text: &str) -> io::Result<()> {
        std::fs::write(&self.resolver, text)
    }
}

/// Where programs look up their name servers.
const RESOLVER: &str = "/etc/resolv.conf";

/// Puts a `resolv.conf` of this place over the system's, and tells where it can be written.
fn place_resolver(file: &std::path::Path, text: &str) -> io::Result<PathBuf> {
    if file.starts_with("/run") {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)?;
        return Ok(file.to_owned());
    }
    let own = "/run/outgate-resolv.conf";
    std::fs::write(own, text)?;
    rustix::mount::mount_bind(own, file)?;
    Ok(PathBuf::from(own))
}

/// This process is not in namespaces of its own, or cannot make itself at home in them.
#[derive(Debug, thiserror::Error)]
pub enum NotInside {
    /// It is not.
    #[error("this process is not the first one in namespaces of its own")]
    Outside,
    /// The kernel does not tell.
    #[error("failed to read the network's devices")]
    Look {
        /// Why.
        source: io::Error,
    },
    /// `/run` stays as it is.
    #[error("failed to mount a folder of its own over /run")]
    Mount {
        /// Why.
        source: io::Error,
    },
    /// The name servers stay as they are.
    #[error("failed to put the lab's name server into /etc/resolv.conf for the processes inside")]
    Resolver {
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_process_is_not_inside_and_nothing_is_touched() {
        assert!(matches!(Inside::here(), Err(NotInside::Outside)));
    }
}
