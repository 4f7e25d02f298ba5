//! Another machine on the local network: a network namespace at the other end of a cable.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

/// This machine's end of the cable.
pub(crate) const OURS: &str = "e0";
/// A neighbour whose programs are killed when it is dropped, and when the test is.
pub(crate) struct Neighbour {
    child: Child,
    _stdin: ChildStdin,
}

impl Neighbour {
    /// Joins this network, which must be the test's own, with that of a new neighbour: 10.77.0.1
    /// here, 10.77.0.2 there, on its interface `e0`. Then runs a shell script there, until it has
    /// said the word that shows that it is ready.
    pub(crate) fn start(script: &str, ready: &str) -> Self {
        let prepare = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; \
            echo here; read go; \
            mount -t tmpfs tmpfs /run; \
            ip link set lo up; ip link set e0 up; ip addr add 10.77.0.2/24 dev e0; ";
        let mut child = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--net",
                "--mount",
                "sh",
                "-c",
            ])
            .arg(format!("{prepare} exec 2>&1; {script}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut stdin = child.stdin.take().unwrap();
        let mut wait_for = |word: &str| {
            let mut all = String::new();
            for line in said.by_ref() {
                let line = line.unwrap();
                if line.contains(word) {
                    return;
                }
                all.push_str(&line);
                all.push('\n');
            }
            panic!("ended before `{word}`: {all}");
        };
        wait_for("here");
        std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
        let pid = child.id().to_string();
        ip(&["link", "set", "lo", "up"]);
        ip(&[
            "link", "add", OURS, "type", "veth", "peer", "name", "e0", "netns", &pid,
        ]);
        ip(&["link", "set", OURS, "up"]);
        ip(&["addr", "add", "10.77.0.1/24", "dev", OURS]);
        stdin.write_all(b"go\n").unwrap();
        wait_for(ready);
        // What it says from now on is not read by anybody, and must not stop it.
        std::thread::spawn(move || said.for_each(drop));
        Self {
            child,
            _stdin: stdin,
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().unwrap();
    assert!(done.success(), "ip {arguments:?}");
}
