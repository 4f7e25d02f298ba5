//! Where a check is run from: another network namespace, another user.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::output::Failure;

/// The options that put the whole command somewhere else.
#[derive(Args, Clone)]
pub(crate) struct PlaceArgs {
    /// Check from this network namespace, as `ip netns` knows it; root only
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
    /// Check as this user, as some firewalls tell users apart; root only
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// The options that are left out when the command is started again.
const OPTIONS: [&str; 2] = ["--netns", "--user"];

impl PlaceArgs {
    /// Starts this command again in its place, if it has one, and does not come back then.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        if self.netns.is_none() && self.user.is_none() {
            return Ok(());
        }
        let own = std::fs::metadata("/proc/self")
            .context("failed to see who runs this")
            .map_err(Failure::Internal)?;
        if own.uid() != 0 {
            let why = "only root may enter a network namespace or become another user";
            return Err(Failure::input(format!("{why}; use sudo")));
        }
        let program = std::env::current_exe()
            .context("failed to find this program")
            .map_err(Failure::Internal)?;
        let mut line = self.prefix()?;
        line.push(program.into());
        line.extend(without_options(std::env::args_os().skip(1)));
        let mut words = line.into_iter();
        let first = words.next().unwrap_or_default();
        let error = Command::new(&first).args(words).exec();
        let failed = format!("failed to start {}", first.display());
        Err(Failure::Internal(anyhow!(error).context(failed)))
    }

    /// The commands that lead there, each of which starts what follows it.
    fn prefix(&self) -> Result<Vec<OsString>, Failure> {
        let mut line: Vec<OsString> = Vec::new();
        if let Some(netns) = &self.netns {
            name(netns, "--netns")?;
            line.extend(["ip", "netns", "exec", netns].map(OsString::from));
        }
        if let Some(user) = &self.user {
            name(user, "--user")?;
            let (uid, gid) = (id("-u", user)?, id("-g", user)?);
            let to = [format!("--reuid={uid}"), format!("--regid={gid}")];
            line.push("setpriv".into());
            line.extend(to.map(OsString::from));
            line.push("--init-groups".into());
        }
        Ok(line)
    }
}

/// A name is never taken for an option or a path.
fn name(text: &str, option: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.starts_with(['-', '.']) || !text.bytes().all(plain) {
        return Err(Failure::input(format!("`{text}` is no name for {option}")));
    }
    Ok(())
}

/// A user's number, or that of its group.
fn id(which: &str, user: &str) -> Result<String, Failure> {
    let output = Command::new("id")
        .args([which, "--", user])
        .output()
        .context("failed to start id")
        .map_err(Failure::Internal)?;
    let number = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || number.is_empty() {
        return Err(Failure::input(format!("there is no user `{user}`")));
    }
    Ok(number)
}

/// The arguments without those that lead here, so that nobody goes round in circles.
fn without_options(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut value_follows = false;
    for argument in arguments {
        if std::mem::take(&mut value_follows) {
            continue;
        }
        let text = argument.to_string_lossy();
        if OPTIONS.contains(&&*text) {
            value_follows = true;
            continue;
        }
        let joined = text.split_once('=').map(|(option, _)| option);
        if !joined.is_some_and(|option| OPTIONS.contains(&option)) {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_started_again_without_what_leads_there() {
        let line = "check p --netns a --json --user=b --netns=c --user d --timeout 3";
        let kept = without_options(line.split(' ').map(OsString::from));
        assert_eq!(kept, ["check", "p", "--json", "--timeout", "3"]);
    }

    #[test]
    fn names_are_no_options_and_no_paths() {
        for bad in ["", "-x", "../a", "a b", "a/b", ".a"] {
            assert!(name(bad, "--netns").is_err(), "{bad}");
        }
        assert!(name("blue-1.x_y", "--netns").is_ok());
    }
}
