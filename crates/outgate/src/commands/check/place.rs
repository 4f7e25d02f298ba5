//! Where a check is run from: another network namespace, another user.
//!
//! Both are entered before this process has a second thread, so that whatever it starts later is
//! there as well.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, anyhow};
use clap::Args;
use rustix::fs::fstatfs;
use rustix::process::{Gid, Uid, geteuid, getuid};
use rustix::thread::{
    LinkNameSpaceType, move_into_link_name_space, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::output::Failure;

/// The options that put the whole command somewhere else.
#[derive(Args, Clone)]
pub(crate) struct PlaceArgs {
    /// Check from this network namespace: a name that `ip netns` knows, with its own resolv.conf,
    /// or a path such as /proc/PID/ns/net; root only
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) netns: Option<String>,
    /// Check as this user with their groups and nobody's capabilities, as some firewalls tell
    /// users apart; root only
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
}

/// Where `ip netns` keeps its namespaces, by their names.
const NAMED: &str = "/run/netns";
/// Another name of the same folder.
const NAMED_OF_OLD: &str = "/var/run/netns";
/// Tells this program, started again by `ip netns exec`, that it is there: its own process number,
/// which it keeps. Another number is somebody else's, and tells nothing.
const ENTERED: &str = "OUTGATE_NETNS_ENTERED";
/// What the kernel calls the file system of namespaces (`NSFS_MAGIC` in linux/magic.h).
const NSFS: u64 = 0x6e73_6673;
/// The most groups that a user may be in (`NGROUPS_MAX` in linux/limits.h).
const MAX_GROUPS: usize = 65_536;
/// Why somebody else than root is turned away.
const ROOT_ONLY: &str = "only root may enter a network namespace or become another user; use sudo";

impl PlaceArgs {
    /// Goes there, if it is somewhere else: first into the namespace, which may start this command
    /// again and does not come back then, and then to the user.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        let user = self.user.as_deref().map(User::named).transpose()?;
        let elsewhere = user.as_ref().is_some_and(|user| user.id != getuid());
        let inside = self.netns.is_none() || entered();
        if (elsewhere || !inside) && !geteuid().is_root() {
            return Err(Failure::input(ROOT_ONLY));
        }
        if elsewhere || !inside {
            one_thread()?;
        }
        if let Some(netns) = self.netns.as_deref().filter(|_| !inside) {
            Netns::at(netns)?.enter()?;
        }
        match user.filter(|_| elsewhere) {
            Some(user) => user.become_it(),
            None => Ok(()),
        }
    }
}

/// Whether this process has been started again in the namespace.
fn entered() -> bool {
    std::env::var(ENTERED).is_ok_and(|number| number == std::process::id().to_string())
}

/// A second thread would stay where it is, as who it is.
fn one_thread() -> Result<(), Failure> {
    let threads = std::fs::read_dir("/proc/self/task")
        .context("failed to count this process's threads")
        .map_err(Failure::Internal)?;
    match threads.count() {
        1 => Ok(()),
        many => Err(Failure::Internal(anyhow!(
            "this process has {many} threads already, not all of which would go along"
        ))),
    }
}

/// A network namespace.
enum Netns {
    /// One that `ip netns` knows by this name.
    Named(String),
    /// One at this path.
    At(PathBuf, File),
}

impl Netns {
    /// Finds it. Enters nothing.
    fn at(place: &str) -> Result<Self, Failure> {
        let path = Path::new(place);
        if place.is_empty() {
            return Err(Failure::input("--netns needs a name or a path"));
        }
        if !place.contains('/') {
            return Self::named(place);
        }
        let folder = path.parent().unwrap_or(path);
        let listed = [NAMED, NAMED_OF_OLD].map(Path::new).contains(&folder);
        if let Some(name) = path.file_name().and_then(OsStr::to_str).filter(|_| listed) {
            return Self::named(name);
        }
        let file = open(path)?;
        Ok(Self::At(path.to_owned(), file))
    }

    fn named(name: &str) -> Result<Self, Failure> {
        // For `ip`, a name is never an option.
        let path = Path::new(NAMED).join(name);
        if name.starts_with(['-', '.']) || !path.exists() {
            return Err(unknown(name));
        }
        open(&path).map(|_| Self::Named(name.to_owned()))
    }

    fn enter(self) -> Result<(), Failure> {
        match self {
            Self::Named(name) => start_again(&name),
            Self::At(path, file) => {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), kind).map_err(|error| {
                    let context = format!("failed to enter {} (--netns)", path.display());
                    Failure::Input(anyhow!(error).context(context))
                })
            }
        }
    }
}

/// Opens a namespace, and nothing else.
fn open(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let file = File::open(path)
        .with_context(|| format!("failed to open {shown} (--netns)"))
        .map_err(Failure::Input)?;
    let kind = fstatfs(&file)
        .with_context(|| format!("failed to see what {shown} is (--netns)"))
        .map_err(Failure::Input)?
        .f_type;
    if u64::try_from(kind) != Ok(NSFS) {
        return Err(Failure::input(format!(
            "{shown} is not a network namespace (--netns)"
        )));
    }
    Ok(file)
}

/// There is no namespace of that name; those there are.
fn unknown(name: &str) -> Failure {
    let known: Vec<String> = std::fs::read_dir(NAMED)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    if known.is_empty() {
        let nobody = "`ip netns` knows none";
        return Failure::input(format!("there is no network namespace `{name}`: {nobody}"));
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    Failure::unknown("network namespace", name, &known)
}

/// Starts this command again in a namespace, with what `ip netns exec` puts over /etc for it. Comes
/// back only if that fails.
fn start_again(name: &str) -> Result<(), Failure> {
    let program = std::env::current_exe()
        .context("failed to find this program")
        .map_err(Failure::Internal)?;
    let error = Command::new("ip")
        .args(["netns", "exec", name])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(ENTERED, std::process::id().to_string())
        .exec();
    let context = "failed to start `ip`, which --netns NAME needs (Debian package iproute2)";
    Err(Failure::Internal(anyhow!(error).context(context)))
}

/// Whom a check is run as.
struct User {
    id: Uid,
    group: Gid,
    groups: Vec<Gid>,
}

impl User {
    /// Looks somebody up.
    fn named(name: &str) -> Result<Self, Failure> {
        let group = ids("-g", name)?.into_iter().next();
        let groups = ids("-G", name)?.into_iter().map(Gid::from_raw).collect();
        match (ids("-u", name)?.as_slice(), group) {
            (&[id], Some(group)) => Ok(Self {
                id: Uid::from_raw(id),
                group: Gid::from_raw(group),
                groups,
            }),
            _ => Err(Failure::input(format!("there is no user `{name}`"))),
        }
    }

    /// Becomes them, and can never come back: the kernel takes all capabilities away from a thread
    /// whose users were root and are not any more (capabilities(7)).
    fn become_it(self) -> Result<(), Failure> {
        let became = set_thread_groups(&self.groups)
            .and_then(|()| set_thread_res_gid(self.group, self.group, self.group))
            .and_then(|()| set_thread_res_uid(self.id, self.id, self.id));
        became
            .context("failed to become the user of --user")
            .map_err(Failure::Input)
    }
}

/// A user's number, or those of their groups.
fn ids(which: &str, user: &str) -> Result<Vec<u32>, Failure> {
    let output = Command::new("id")
        .args([which, "--", user])
        .output()
        .context("failed to start `id`, which --user needs (Debian package coreutils)")
        .map_err(Failure::Internal)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Result<Vec<u32>, _> = text
        .split_whitespace()
        .take(MAX_GROUPS)
        .map(str::parse)
        .collect();
    match numbers {
        Ok(numbers) if output.status.success() && !numbers.is_empty() => Ok(numbers),
        Ok(_) | Err(_) => Err(Failure::input(format!("there is no user `{user}`"))),
    }
}
