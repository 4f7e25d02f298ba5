//! The agent's Debian package, as `cargo xtask package` has made it: judged by Debian's and systemd's
//! own programs, unpacked into a folder and run from there. It is never installed.
#![cfg(test)]

mod agent;
#[expect(dead_code, reason = "the tests of the hub use the rest of it")]
#[path = "../hub_process/process.rs"]
mod process;
mod service;
mod syscalls;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The most bytes of a program that devices carry.
const MAX_PROGRAM: u64 = 15_000_000;

/// What the package brings, without folders.
const FILES: [&str; 12] = [
    "/etc/outgate/agent.toml.example",
    "/usr/bin/outgate",
    "/usr/lib/systemd/system/outgate-agent.service",
    "/usr/lib/sysusers.d/outgate-agent.conf",
    "/usr/share/bash-completion/completions/outgate",
    "/usr/share/doc/outgate-agent/NOTICES.gz",
    "/usr/share/doc/outgate-agent/README.Debian",
    "/usr/share/doc/outgate-agent/changelog.Debian.gz",
    "/usr/share/doc/outgate-agent/copyright",
    "/usr/share/doc/outgate-agent/examples/clock.conf",
    "/usr/share/doc/outgate-agent/examples/ping-limit.conf",
    "/usr/share/lintian/overrides/outgate-agent",
];

/// The package.
fn package() -> PathBuf {
    let told = std::env::var_os("OUTGATE_PACKAGE");
    let advice = "OUTGATE_PACKAGE names the package that `cargo xtask package` makes";
    told.expect(advice).into()
}

/// The package unpacked.
struct Unpacked(TempDir);

impl Unpacked {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        said(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(package())
                .arg(folder.path()),
        );
        Self(folder)
    }

    /// Where something is that the package puts there.
    fn path(&self, installed: &str) -> PathBuf {
        self.0.path().join(installed.trim_start_matches('/'))
    }

    fn program(&self) -> PathBuf {
        self.path("/usr/bin/outgate")
    }

    fn text(&self, installed: &str) -> String {
        std::fs::read_to_string(self.path(installed)).unwrap()
    }
}

/// What a program says that ends well.
fn said(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text} {error}");
    text
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeSet<String> {
    let found = said(
        Command::new("find")
            .arg(folder)
            .args(["-type", "f", "-printf", "/%P\n"]),
    );
    found.lines().map(str::to_owned).collect()
}

#[test]
fn the_package_brings_what_a_device_needs_and_nothing_else() {
    let unpacked = Unpacked::new();
    assert_eq!(files(unpacked.0.path()), FILES.map(str::to_owned).into());
    let field = |name| said(Command::new("dpkg-deb").arg("-f").arg(package()).arg(name));
    assert_eq!(field("Package").trim(), "outgate-agent");
    assert_eq!(
        field("Version").trim(),
        concat!(env!("CARGO_PKG_VERSION"), "-1")
    );
    let depends = field("Depends");
    let needs: Vec<&str> = depends.trim().split(", ").collect();
    let [libc, systemd] = needs.as_slice() else {
        panic!("{depends}");
    };
    assert!(libc.starts_with("libc6 "), "{depends}");
    assert!(systemd.starts_with("systemd "), "{depends}");
}

#[test]
fn lintian_finds_nothing_wrong() {
    let mut lintian = Command::new("lintian");
    let found = said(
        lintian
            .args(["--allow-root", "--fail-on", "error,warning"])
            .arg(package()),
    );
    assert_eq!(found, "");
}

#[test]
fn the_program_is_small_and_has_the_agents_commands_only() {
    let unpacked = Unpacked::new();
    let size = std::fs::metadata(unpacked.program()).unwrap().len();
    assert!(size <= MAX_PROGRAM, "{size} bytes");
    println!("the program has {size} bytes");
    let help = said(Command::new(unpacked.program()).arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let commands: Vec<String> = commands.lines().filter_map(first).collect();
    assert_eq!(
        commands,
        ["agent", "check", "profiles", "completions", "help"]
    );
    let completions = said(Command::new(unpacked.program()).args(["completions", "bash"]));
    let shipped = unpacked.text("/usr/share/bash-completion/completions/outgate");
    assert_eq!(shipped, completions);
}

#[test]
fn the_example_is_a_configuration_once_the_token_is_there() {
    let unpacked = Unpacked::new();
    let example = unpacked.text("/etc/outgate/agent.toml.example");
    let mut all = String::new();
    for line in example.lines() {
        // What is commented out is meant to be taken as it stands; sentences are not.
        let bare = line.strip_prefix("# ").unwrap_or(line);
        let key = bare.starts_with('[')
            || bare
                .split_once(" = ")
                .is_some_and(|(key, _)| !key.contains(' '));
        all.push_str(if key { bare } else { line });
        all.push('\n');
    }
    for text in [&example, &all] {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("agent.toml");
        std::fs::write(&config, text).unwrap();
        let mut status = Command::new(unpacked.program());
        let output = status
            .args(["agent", "status", "--config"])
            .arg(&config)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        // It is understood, and nobody answers at its socket.
        assert_eq!(output.status.code(), Some(3), "{error}");
    }
}
