//! Two machines on a cable: the device, and a neighbour with programs of others.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use outgate_agent::status::{Board, Status};
use outgate_testbed::{BETWEEN_LOOKS, Ends, PATIENCE, installed, on_own_machine, run};
use tokio::time::{sleep, timeout};

/// The device's address, and the neighbour's.
pub(crate) const DEVICE: &str = "10.77.0.1";
pub(crate) const NEIGHBOUR: &str = "10.77.0.2";

/// The cable, with its addresses: one that comes to a daemon later has it look for its name again,
/// and both who do so at once give way.
const CABLE: &str = "
    ip netns add neighbour
    for one in '' 'ip netns exec neighbour'; do
        $one sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
    done
    ip link add e0 type veth peer name e0 netns neighbour
    ip addr add 10.77.0.1/24 dev e0
    ip link set e0 up
    ip -n neighbour addr add 10.77.0.2/24 dev e0
    ip -n neighbour link set lo up
    ip -n neighbour link set e0 up
    for one in '' 'ip netns exec neighbour'; do
        looks=0
        until $one ip -6 -o addr show dev e0 scope link | grep -q fe80; do
            looks=$((looks + 1))
            [ $looks -lt 1200 ]
            sleep 0.05
        done
    done";

/// Users that daemons look for, even to stay what they are, and folders that they want.
const DAEMONS: &str = "
    for file in passwd group; do
        for user in avahi systemd-resolve; do
            echo $user:x:0:0::/:/bin/false >> /etc/$file
        done
    done
    mkdir -p /run/bus /run/avahi-daemon /run/systemd/resolve";

/// The neighbour's bus, by which programs there are asked.
const BUS: &str = "unix:path=/run/bus/socket";
/// On it everybody may do everything.
const BUS_RULES: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
    "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/bus/socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

/// Where avahi is, on that bus.
pub(crate) const AVAHI: &str = "--dest=org.freedesktop.Avahi";
/// How it is.
const AVAHI_STATE: [&str; 6] = [
    "dbus-send",
    "--system",
    "--print-reply",
    AVAHI,
    "/",
    "org.freedesktop.Avahi.Server.GetState",
];

/// Runs the test that calls this on a machine of its own, the device, that is on a network with a
/// neighbour.
pub(crate) fn on_a_cable<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    on_own_machine(|machine| {
        machine.shell(CABLE).unwrap();
        machine.shell(DAEMONS).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
    })
    .unwrap();
}

/// Runs a shell's script on the device.
pub(crate) fn shell(script: &str) {
    let done = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(done.success(), "{script}");
}

/// One of the two machines.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Device,
    Neighbour,
}

/// Programs that run at the neighbour, and end with this.
pub(crate) struct Neighbour {
    _programs: Vec<Ends>,
}

impl Neighbour {
    /// One with avahi, which calls itself so.
    pub(crate) async fn avahi(name: &str) -> Self {
        Self::avahi_at(Place::Neighbour, name).await
    }

    /// As [`Neighbour::avahi`], but for where it runs.
    pub(crate) async fn avahi_at(place: Place, name: &str) -> Self {
        let configuration = format!(
            "[server]\nhost-name={name}\nuse-ipv4=yes\nuse-ipv6=yes\nallow-interfaces=e0\n\
             [publish]\npublish-workstation=no\npublish-hinfo=no\n"
        );
        fs::write("/run/avahi.conf", configuration).unwrap();
        let mut daemon = Command::new("avahi-daemon");
        daemon.args(["--no-drop-root", "--no-chroot", "--no-rlimits"]);
        daemon.args(["-f", "/run/avahi.conf"]);
        let neighbour = Self::with(place, daemon, &AVAHI_STATE).await;
        // It answers before it is sure of its name, which is when it runs.
        eventually("its name", async || {
            ask_at(place, &AVAHI_STATE).await.1.contains("int32 2")
        })
        .await;
        neighbour
    }

    /// One with systemd-resolved, on a machine that is called so.
    pub(crate) async fn resolved(name: &str) -> Self {
        let configuration = "[Resolve]\nLLMNR=yes\nMulticastDNS=yes\nDNSStubListener=no\n";
        fs::create_dir_all("/etc/systemd").unwrap();
        fs::write("/etc/systemd/resolved.conf", configuration).unwrap();
        let program = resolved().join("lib/systemd/systemd-resolved");
        let mut daemon = Command::new("unshare");
        let named = format!("hostname {name}; exec {}", program.display());
        daemon.args(["--uts", "sh", "-ec", &named]);
        let neighbour = Self::with(
            Place::Neighbour,
            daemon,
            &["resolvectl", "llmnr", "e0", "yes"],
        )
        .await;
        let (done, said) = ask(&["resolvectl", "mdns", "e0", "yes"]).await;
        assert!(done, "{said}");
        neighbour
    }

    /// One with this daemon, that is asked over a bus and is there once `ready` says so.
    async fn with(place: Place, daemon: Command, ready: &[&str]) -> Self {
        fs::write("/run/bus/rules", BUS_RULES).unwrap();
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--config-file=/run/bus/rules", "--nofork", "--nopidfile"]);
        let mut programs = vec![start(place, bus)];
        eventually("the bus", async || fs::exists("/run/bus/socket").unwrap()).await;
        programs.push(start(place, daemon));
        eventually("the daemon", async || ask_at(place, ready).await.0).await;
        Self {
            _programs: programs,
        }
    }
}

/// Where systemd-resolved is unpacked, or the machine's own.
fn resolved() -> PathBuf {
    let program = installed("resolvectl").unwrap();
    program.ancestors().nth(3).unwrap().to_owned()
}

/// The same command on that machine.
fn at(place: Place, command: &Command) -> Command {
    let mut libraries = resolved()
        .join("usr/lib/x86_64-linux-gnu/systemd")
        .into_os_string();
    if let Some(others) = std::env::var_os("LD_LIBRARY_PATH") {
        libraries.push(":");
        libraries.push(others);
    }
    let mut there = match place {
        Place::Device => Command::new("env"),
        Place::Neighbour => Command::new("ip"),
    };
    if let Place::Neighbour = place {
        there.args(["netns", "exec", "neighbour"]);
    }
    there
        .arg(command.get_program())
        .args(command.get_args())
        .env("DBUS_SYSTEM_BUS_ADDRESS", BUS)
        .env("LD_LIBRARY_PATH", libraries);
    there
}

/// Its log goes where the test's does.
fn start(place: Place, command: Command) -> Ends {
    Ends(at(place, &command).stdin(Stdio::null()).spawn().unwrap())
}

/// Runs a client at the neighbour to its end: whether it succeeded, and what it wrote.
pub(crate) async fn ask(words: &[&str]) -> (bool, String) {
    ask_at(Place::Neighbour, words).await
}

/// As [`ask`], but for where it runs.
pub(crate) async fn ask_at(place: Place, words: &[&str]) -> (bool, String) {
    let (program, arguments) = words.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments);
    let (status, said) = run(&mut at(place, &command).into()).await.unwrap();
    (status.success(), said)
}

/// Waits until it is so, which is far sooner than it is given up.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, is_so).await;
}

/// As [`eventually`], where it may take longer.
pub(crate) async fn eventually_within(
    longest: Duration,
    what: &str,
    mut is_so: impl AsyncFnMut() -> bool,
) {
    let waited = timeout(longest, async {
        while !is_so().await {
            sleep(BETWEEN_LOOKS).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

/// Waits until the board shows it, and gives what it shows.
pub(crate) async fn shown(board: &Board, is_so: impl Fn(&Status) -> bool) -> Status {
    let mut watch = board.watch();
    let waited = timeout(PATIENCE, watch.wait_for(|status| is_so(status))).await;
    let waited = waited.map(|status| status.unwrap().clone());
    waited.unwrap_or_else(|_| panic!("{:?}", board.status()))
}
