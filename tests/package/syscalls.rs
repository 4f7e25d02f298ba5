//! What an agent asks of the system, as strace sees it, held against what its unit leaves it: no
//! service is started for that.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::agent::{Agent, Site};
use crate::service::UNIT;
use crate::{Unpacked, said};

/// A user of whom nothing is, on every system.
const NOBODY: &str = "65534";

/// The system calls of systemd's groups, by the group.
fn groups() -> BTreeMap<String, Vec<String>> {
    let mut groups = BTreeMap::<String, Vec<String>>::new();
    let mut group = String::new();
    for line in said(Command::new("systemd-analyze").args(["--no-pager", "syscall-filter"])).lines()
    {
        let word = line.trim();
        if line.starts_with('@') {
            group = word.to_owned();
        } else if !word.is_empty() && !word.starts_with('#') {
            groups
                .entry(group.clone())
                .or_default()
                .push(word.to_owned());
        }
    }
    groups
}

/// All system calls of a word of a filter.
fn calls(word: &str, groups: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    match groups.get(word) {
        None => BTreeSet::from([word.to_owned()]),
        Some(words) => words.iter().flat_map(|word| calls(word, groups)).collect(),
    }
}

/// The values of a setting of the unit, in their order.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix('=');
    unit.lines().filter_map(value).collect()
}

/// What the unit lets through.
fn allowed(unit: &str) -> BTreeSet<String> {
    let groups = groups();
    let mut allowed = BTreeSet::new();
    for filter in settings(unit, "SystemCallFilter") {
        let (refused, words) = match filter.strip_prefix('~') {
            Some(words) => (true, words),
            None => (false, filter),
        };
        for call in words.split(' ').flat_map(|word| calls(word, &groups)) {
            if refused {
                allowed.remove(&call);
            } else {
                allowed.insert(call);
            }
        }
    }
    allowed
}

/// A line of strace's: the call, and what it was given.
fn call(line: &str) -> Option<(&str, &str)> {
    let (_process, rest) = line.split_once(' ')?;
    let (name, given) = rest.trim_start().split_once('(')?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((name, given))
}

/// strace, as somebody who is not root and cannot become it, as the unit's user is.
fn unprivileged(unpacked: &Unpacked, site: &Site) -> Command {
    if said(Command::new("id").arg("-u")).trim() != "0" {
        return Command::new("strace");
    }
    for folder in [unpacked.0.path(), site.folder.path()] {
        let mut chown = Command::new("chown");
        said(
            chown
                .args(["-R", &format!("{NOBODY}:{NOBODY}")])
                .arg(folder),
        );
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.args([
        &format!("--reuid={NOBODY}"),
        &format!("--regid={NOBODY}"),
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "strace",
    ]);
    setpriv
}

#[test]
fn an_agent_needs_nothing_of_the_system_that_its_unit_refuses() {
    let unpacked = Unpacked::new();
    let site = Site::new();
    let traced = site.folder.path().join("traced");
    said(Command::new("mkfifo").arg(&traced));
    let reading = std::thread::spawn({
        let traced = traced.clone();
        move || std::fs::read_to_string(traced).unwrap()
    });
    let mut strace = unprivileged(&unpacked, &site);
    // As a grandchild, so that it ends with the agent.
    let options = ["-D", "-f", "-qq", "-o"];
    strace.args(options).arg(&traced).arg(unpacked.program());
    let agent = Agent::start(strace, &site);
    agent.says("STATUS=connected");
    site.curl(&["--data", "x"], "/device/events/sale");
    site.curl(&[], "/device/twin");
    assert!(agent.terminate().success());
    let traced = reading.join().unwrap();

    let unit = unpacked.text(UNIT);
    let allowed = allowed(&unit);
    assert!(allowed.contains("connect") && !allowed.contains("mount"));
    let families = settings(&unit, "RestrictAddressFamilies").concat();
    let own = site.folder.path().display().to_string();
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for (name, given) in traced.lines().filter_map(call) {
        seen += 1;
        let family = given.split(',').next().unwrap_or_default();
        let is_wrong = match name {
            // Memory that is written and then run.
            "mprotect" | "mmap" if given.contains("PROT_EXEC") => {
                name == "mprotect" || given.contains("PROT_WRITE")
            }
            "socket" => !families.split(' ').any(|one| one == family),
            // Files that are written outside of its own folders.
            "openat" if given.contains("O_WRONLY") || given.contains("O_RDWR") => {
                !given.contains(&own)
            }
            _ => !allowed.contains(name),
        };
        if is_wrong {
            wrong.insert(format!("{name}({given}"));
        }
    }
    assert!(seen > 1_000, "strace saw {seen} calls");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
