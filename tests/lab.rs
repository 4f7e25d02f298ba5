//! `outgate lab` on this machine: what runs in it, what it leaves behind, and how right the check
//! is in it. Needs `ip`, `nft`, `curl` and namespaces.

mod accuracy;
mod causes;
mod firewall;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::support::{json, outgate, stderr, stdout};

/// Runs a shell's words in the device's place.
fn in_lab(scenario: &str, words: &str) -> Output {
    outgate(["lab", "run", scenario, "--", "sh", "-c", words])
}

#[test]
fn a_command_runs_in_the_devices_place_and_its_exit_code_is_passed_on() {
    let ran = in_lab("well", "curl -sS https://api.box.test/hello; exit 7");
    assert_eq!(ran.status.code(), Some(7), "{}", stderr(&ran));
    assert_eq!(stdout(&ran), "outgate stand-in for api.box.test: /hello\n");
}

#[test]
fn both_families_and_the_name_server_work_where_nothing_is_wrong() {
    let words = "curl -4sS http://updates.box.test/; curl -6sS http://updates.box.test/; \
        ping -c1 -q 10.10.0.20 > /dev/null && echo neighbour; getent hosts nowhere.test || echo none";
    let ran = in_lab("well", words);
    let served = "outgate stand-in for updates.box.test: /\n";
    assert_eq!(
        stdout(&ran),
        format!("{served}{served}neighbour\nnone\n"),
        "{}",
        stderr(&ran)
    );
}

#[test]
fn a_fault_is_there_for_any_program() {
    let ran = in_lab("port-reset", "curl -sS telnet://mq.box.test:8883");
    assert_eq!(ran.status.code(), Some(7), "refused: {}", stderr(&ran));
    let ran = in_lab("inspection-untrusted", "curl -sS https://api.box.test/");
    assert_eq!(ran.status.code(), Some(60), "untrusted: {}", stderr(&ran));
    let ran = in_lab("inspection-trusted", "curl -sSv https://api.box.test/ 2>&1");
    assert!(
        stdout(&ran).contains("CN=Example Gateway CA"),
        "{}",
        stdout(&ran)
    );
    let ran = in_lab(
        "captive-portal",
        "curl -sS -o /dev/null -w %{redirect_url} http://updates.box.test/",
    );
    assert_eq!(stdout(&ran), "http://portal.test/login", "{}", stderr(&ran));
}

#[test]
fn without_a_command_the_product_is_checked_and_the_exit_code_is_the_checks() {
    let ran = outgate(["lab", "run", "port-dropped", "--json", "--timeout", "2"]);
    assert_eq!(ran.status.code(), Some(3), "{}", stderr(&ran));
    assert_eq!(json(&ran)["causes"][0]["kind"], "silent");
    let ran = outgate(["lab", "run", "well"]);
    assert_eq!(
        ran.status.code(),
        Some(0),
        "{}{}",
        stdout(&ran),
        stderr(&ran)
    );
}

#[test]
fn a_scenario_of_ones_own_is_read_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.toml");
    let text = "[[scenario]]\nname = 'own'\ntitle = 'Mine.'\n\
        faults = [{ kind = 'dns', answer = 'no-such-name', name = 'api.box.test' }]\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("text");
    let words = ["lab", "run", "--file", file, "own", "--"];
    let ran = outgate(words.into_iter().chain(["getent", "hosts", "api.box.test"]));
    assert_eq!(
        ran.status.code(),
        Some(2),
        "{}{}",
        stdout(&ran),
        stderr(&ran)
    );
    let unknown = outgate(["lab", "run", "--file", file, "another"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("there is no scenario `another`"));
}

/// What a lab could leave behind on the host.
fn traces() -> [String; 3] {
    let listed = |folder: &str| {
        let entries = std::fs::read_dir(folder).map(|entries| {
            let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
            let mut names: Vec<_> = names.collect();
            names.sort();
            format!("{names:?}")
        });
        entries.unwrap_or_default()
    };
    let resolver = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    [
        listed("/sys/class/net"),
        resolver,
        listed("/run/outgate-lab"),
    ]
}

/// A lab that is over when this is dropped, as it is where a test fails.
struct Lab(Child);

impl Drop for Lab {
    fn drop(&mut self) {
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Starts a lab, kills the process of it whose command line `victim` picks, and sees that nothing is
/// left. `mark` is a time to sleep that no other process has.
fn nothing_is_left_when_killed(mark: &str, victim: impl Fn(&str) -> bool) {
    let before = traces();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["lab", "run", "captive-portal", "--", "sh", "-c"])
        .arg(format!("echo up; sleep {mark} & sleep {mark}"))
        .stdout(Stdio::piped())
        .spawn()
        .map(Lab)
        .expect("outgate starts");
    let mut told = BufReader::new(lab.0.stdout.take().expect("its output"));
    let mut line = String::new();
    told.read_line(&mut line).expect("text");
    assert_eq!(line, "up\n");
    let processes = running(mark);
    let namespaces: BTreeSet<String> = processes
        .iter()
        .filter(|(_, words)| words.starts_with("sh -c"))
        .flat_map(|(process, _)| namespaces_of(process))
        .collect();
    assert_eq!(namespaces.len(), 3, "{processes:?}");
    let victims = processes.iter().filter(|(_, words)| victim(words));
    let victims: Vec<_> = victims.map(|(process, _)| process).collect();
    // A shell's child is called as the shell is until it runs what it is to.
    let children_of =
        |parent: &String| stat_of(parent, PARENT).is_some_and(|it| victims.contains(&&it));
    let oldest: Vec<_> = victims.iter().filter(|one| !children_of(one)).collect();
    let [victim] = oldest[..] else {
        panic!("{processes:?}");
    };
    let inside = |one: &String| namespaces_of(one).any(|it| namespaces.contains(&it));
    let inside = all_processes().into_iter().filter(inside);
    let inside: Vec<_> = inside
        .filter_map(|one| Some((handle_of(&one)?, one)))
        .collect();
    assert!(inside.len() >= 3, "{inside:?}");
    let killed = Command::new("kill").args(["-9", victim]).status();
    assert!(killed.expect("kill starts").success());
    // Everybody in there holds the other end: it closes when the last of them is gone.
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("text");
    lab.0.wait().expect("its end");
    // The first process of a process namespace takes all others with it (pid_namespaces(7)).
    for (handle, process) in inside {
        assert!(has_ended(&handle), "{process} goes on");
    }
    assert_eq!(running(mark), Vec::new());
    assert_eq!(traces(), before);
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let ours = |line: &str| line.starts_with("lab ");
    assert!(!mounts.lines().any(ours), "{mounts}");
}

#[test]
fn a_lab_whose_command_is_killed_leaves_nothing_behind() {
    let mark = format!("86400.1{}", std::process::id());
    nothing_is_left_when_killed(&mark, |words| {
        words.contains("outgate lab run captive-portal") && !words.contains("unshare")
    });
}

#[test]
fn a_lab_whose_keeper_of_namespaces_is_killed_leaves_nothing_behind() {
    let mark = format!("86400.2{}", std::process::id());
    nothing_is_left_when_killed(&mark, |words| words.starts_with("unshare "));
}

#[test]
fn a_lab_whose_servers_are_killed_leaves_nothing_behind() {
    let mark = format!("86400.3{}", std::process::id());
    nothing_is_left_when_killed(&mark, |words| {
        words.contains("outgate lab run --inside") && !words.starts_with("unshare ")
    });
}

#[test]
fn a_lab_whose_device_is_killed_leaves_nothing_behind() {
    let mark = format!("86400.4{}", std::process::id());
    nothing_is_left_when_killed(&mark, |words| words.starts_with("sh -c"));
}

fn all_processes() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("processes");
    let names = entries.filter_map(|one| one.ok()?.file_name().into_string().ok());
    names
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// The namespaces of a process that a lab has of its own.
fn namespaces_of(process: &str) -> impl Iterator<Item = String> + use<> {
    let links = ["net", "mnt", "pid"].map(|kind| format!("/proc/{process}/ns/{kind}"));
    links
        .into_iter()
        .filter_map(|link| Some(std::fs::read_link(link).ok()?.display().to_string()))
}

/// Where a process's parent stands in `stat` behind its name (proc_pid_stat(5), field 4).
const PARENT: usize = 1;

/// A field of a process's `stat`, counted from the one behind its name.
fn stat_of(process: &str, field: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(field).map(str::to_owned)
}

/// What stays that process's even when another has its number; nothing if it is gone already.
fn handle_of(process: &str) -> Option<OwnedFd> {
    let process = Pid::from_raw(process.parse().ok()?)?;
    pidfd_open(process, PidfdFlags::empty()).ok()
}

/// Waits until a process has ended, its namespaces let go of: what is killed takes its time.
fn has_ended(handle: &OwnedFd) -> bool {
    let mut handles = [PollFd::new(handle, PollFlags::IN)];
    let bound = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    poll(&mut handles, Some(&bound)).expect("poll") == 1
}

/// Processes with this in their command lines, with their numbers.
fn running(mark: &str) -> Vec<(String, String)> {
    let processes = all_processes().into_iter();
    let lines = processes.filter_map(|one| {
        let words = std::fs::read(format!("/proc/{one}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words.contains(mark).then_some((one, words))
    });
    lines.collect()
}

#[test]
fn an_ordinary_user_can_have_a_lab_too() {
    let folder = tempfile::tempdir().expect("a folder");
    open_to_all(folder.path());
    // Where the tests were built may be closed to others.
    let own = folder.path().join("outgate");
    std::fs::copy(env!("CARGO_BIN_EXE_outgate"), &own).expect("a copy");
    let ran = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&own)
        .args(["lab", "run", "well", "--", "sh", "-c"])
        .arg("curl -sS https://api.box.test/; cat /proc/self/uid_map")
        .current_dir(folder.path())
        .output()
        .expect("setpriv starts");
    let told = stdout(&ran);
    assert!(
        told.starts_with("outgate stand-in for api.box.test"),
        "{}",
        stderr(&ran)
    );
    assert!(
        told.contains("65534"),
        "in a user namespace of its own: {told}"
    );
}

fn open_to_all(folder: &Path) {
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, all).expect("permissions");
}

#[test]
fn where_namespaces_are_forbidden_or_programs_missing_it_is_said_with_what_to_do() {
    let nothing = tempfile::tempdir().expect("a folder");
    let ran = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["lab", "run", "well"])
        .env("PATH", nothing.path())
        .output()
        .expect("outgate starts");
    assert_eq!(ran.status.code(), Some(1));
    for word in ["unshare", "util-linux", "iproute2", "nftables"] {
        assert!(stderr(&ran).contains(word), "{word}: {}", stderr(&ran));
    }
    let forbid = "echo 0 > /proc/sys/user/max_net_namespaces; exec \"$0\" lab run well";
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", forbid])
        .arg(env!("CARGO_BIN_EXE_outgate"))
        .output()
        .expect("unshare starts");
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        stderr(&ran).contains("does not let you make network namespaces"),
        "{}",
        stderr(&ran)
    );
}

#[test]
fn the_hidden_way_in_does_nothing_outside() {
    let before = traces();
    let ran = outgate(["lab", "run", "--inside", "well"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(stderr(&ran).contains("not the first one in namespaces"));
    assert_eq!(traces(), before);
}
