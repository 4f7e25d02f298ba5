//! `outgate lab` on this machine: what runs in it, what it leaves behind, and how right the check
//! is in it. Needs `ip`, `nft`, `curl` and namespaces.

mod accuracy;
mod causes;
mod firewall;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// Starts a lab, kills the process of it whose command line `victim` picks, and sees that nothing is
/// left. `mark` is a time to sleep that no other process has.
fn nothing_is_left_when_killed(mark: &str, victim: impl Fn(&str) -> bool) {
    let before = traces();
    let mut lab = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["lab", "run", "captive-portal", "--", "sh", "-c"])
        .arg(format!("echo up; sleep {mark} & sleep {mark}"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("outgate starts");
    let mut told = BufReader::new(lab.stdout.take().expect("its output"));
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
    let victims: Vec<_> = processes
        .iter()
        .filter(|(_, words)| victim(words))
        .collect();
    let [(victim, _)] = victims[..] else {
        panic!("{processes:?}");
    };
    let killed = Command::new("kill").args(["-9", victim]).status();
    assert!(killed.expect("kill starts").success());
    // Everybody in there holds the other end: it closes when the last of them is gone.
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("text");
    lab.wait().expect("its end");
    assert_eq!(running(mark), Vec::new());
    assert_eq!(traces(), before);
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let ours = |line: &str| line.starts_with("lab ");
    assert!(!mounts.lines().any(ours), "{mounts}");
    let others = all_processes().into_iter().filter(|one| !is_ending(one));
    let kept: Vec<String> = others
        .filter(|one| namespaces_of(one).any(|namespace| namespaces.contains(&namespace)))
        .collect();
    assert!(kept.is_empty(), "{kept:?} are still in {namespaces:?}");
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

/// Whether a process is on its way out: it has let go of its files, and of its namespaces in a
/// moment (PF_EXITING, the ninth field of `stat`, proc_pid_stat(5)).
fn is_ending(process: &str) -> bool {
    const PF_EXITING: u32 = 4;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let flags = after_name.split_whitespace().nth(6);
    flags
        .and_then(|flags| flags.parse().ok())
        .is_none_or(|flags: u32| flags & PF_EXITING != 0)
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
