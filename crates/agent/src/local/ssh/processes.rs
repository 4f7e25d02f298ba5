//! The processes of a session.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The most that are looked for: more than a person starts.
const MAX: usize = 4_096;

/// Processes, held so that none is taken for another that has got its number.
#[derive(Debug)]
pub(super) struct Processes(Vec<OwnedFd>);

impl Processes {
    /// The process of that number and all that it has started, and they in turn, as far as they have
    /// not been left behind by who started them.
    pub(super) fn below(root: u32) -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for number in all() {
            if let Some(parent) = parent(number) {
                children.entry(parent).or_default().push(number);
            }
        }
        let mut held: Vec<OwnedFd> = hold(root).into_iter().collect();
        let mut next = vec![root];
        while let Some(from) = next.pop() {
            for number in children.remove(&from).unwrap_or_default() {
                let process = hold(number);
                // Else it has ended meanwhile, and another may have its number.
                if let Some(process) = process.filter(|_| parent(number) == Some(from))
                    && held.len() < MAX
                {
                    held.push(process);
                    next.push(number);
                }
            }
        }
        Self(held)
    }

    /// Kills those that are still there, and waits on this thread until none is, for as long as
    /// `within`.
    pub(super) fn kill(&self, within: Duration) {
        for process in &self.0 {
            // It may have ended by itself.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        let until = Instant::now() + within;
        for process in &self.0 {
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(left) = Timespec::try_from(left) {
                // It can be read once the process has ended (pidfd_open(2)).
                let mut ended = [PollFd::new(process, PollFlags::IN)];
                let _ = poll(&mut ended, Some(&left));
            }
        }
    }
}

fn hold(number: u32) -> Option<OwnedFd> {
    let number = Pid::from_raw(number.try_into().ok()?)?;
    pidfd_open(number, PidfdFlags::empty()).ok()
}

/// The numbers of all processes.
fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Who has started a process: the second field after its name (proc(5)), in which anything may be.
fn parent(number: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{number}/stat")).ok()?;
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let after = std::str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
    after.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_process_has_started_is_killed_with_it_and_nothing_else() {
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = child.stdout.take().unwrap();
        let mut said = BufReader::new(said);
        said.read_line(&mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        assert_eq!(parent(grandchild), Some(child.id()));
        Processes::below(child.id()).kill(Duration::from_secs(60));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // The grandchild had the other end of the pipe.
        assert_eq!(said.read_line(&mut line).unwrap(), 0);
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
