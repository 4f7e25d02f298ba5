//! Time told by chrony, which dnsmasq names (option 42) on a network of the test's own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use outgate_agent::clock::{Keeper, Plan};
use outgate_agent::config::Clock;
use outgate_agent::status::{Board, Status};
use outgate_testbed::{OwnMachine, Program, on_own_machine};
use tempfile::TempDir;

use super::off;
use super::peers::answers;
use super::servers::{Wrong, keep, plan, shown};

/// This machine at 10.77.0.1, and another one at 10.77.0.2.
const CABLE: &str = "
    echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
    ip netns add site
    ip link add e0 type veth peer name e0 netns site
    ip link set e0 up; ip addr add 10.77.0.1/24 dev e0
    ip -n site link set lo up; ip -n site link set e0 up; ip -n site addr add 10.77.0.2/24 dev e0";

/// What dnsmasq hands out, and the port at which it answers for names.
const DNSMASQ: &str = "--no-daemon --conf-file=/dev/null --port=5353 --user=root --no-ping \
    --bind-interfaces --interface=e0 --pid-file= --log-facility=- --no-resolv --no-hosts \
    --dhcp-range=10.77.0.50,10.77.0.60,1h --dhcp-option=42,10.77.0.2";

const THERE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// A program on the other machine.
fn there(words: &str) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", "site"])
        .args(words.split(' '));
    command
}

fn dnsmasq(folder: &TempDir) -> io::Result<Program> {
    let leases = folder.path().join("leases").display().to_string();
    let words = format!("dnsmasq {DNSMASQ} --dhcp-leasefile={leases}");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let ready = |at| std::net::TcpStream::connect(at).is_ok();
    let at = SocketAddr::from((THERE, 5353));
    Program::start_until(&mut there(&words), folder.path(), at, ready)
}

fn chrony(folder: &TempDir) -> io::Result<Program> {
    let root = folder.path().display();
    let configuration = format!(
        "local stratum 3\nbindaddress {THERE}\nallow\ncmdport 0\nbindcmdaddress /\nuser root\n\
         pidfile {root}/pid\ndriftfile {root}/drift\n"
    );
    let file = folder.path().join("chrony.conf");
    std::fs::write(&file, configuration)?;
    let words = format!("chronyd -x -d -U -f {}", file.display());
    let at = SocketAddr::from((THERE, 123));
    Program::start_until(&mut there(&words), folder.path(), at, answers)
}

/// A machine in 1970 that knows of no time server but those of DHCP, once it has asked.
fn asked(folder: &TempDir) -> (Keeper, Status) {
    let board = Board::new(None);
    let plan = plan(folder.path(), &board, &[], Wrong::In1970);
    let keeper = Keeper::new(Plan {
        clock: Clock {
            dhcp: true,
            ..plan.clock.clone()
        },
        // The leases of the machine that the test runs on are none of this network's.
        root: folder.path().to_owned(),
        ..plan
    });
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let _keeping = keep(&keeper);
        shown(&board, |status| !status.clock.asked.is_empty()).await
    });
    (keeper, status)
}

fn cabled(test: impl FnOnce(&TempDir)) {
    on_own_machine(|machine: &OwnMachine| {
        machine.shell(CABLE).unwrap();
        test(&TempDir::new().unwrap());
    })
    .unwrap();
}

#[test]
fn the_server_that_dnsmasq_names_tells_a_machine_in_1970_what_time_it_is() {
    cabled(|folder| {
        let _dnsmasq = dnsmasq(folder).unwrap();
        let _chrony = chrony(folder).unwrap();
        let (keeper, status) = asked(folder);
        assert_eq!(
            status.clock.source.as_deref(),
            Some("dhcp 10.77.0.2"),
            "{status:?}"
        );
        assert!(off(&keeper) <= 1);
    });
}

#[test]
fn a_server_in_this_machines_own_lease_is_asked_without_asking_the_network() {
    cabled(|folder| {
        let _chrony = chrony(folder).unwrap();
        let leases = folder.path().join("run/systemd/netif/leases");
        std::fs::create_dir_all(&leases).unwrap();
        std::fs::write(leases.join("2"), "NTP=10.77.0.2\n").unwrap();
        let (_, status) = asked(folder);
        assert_eq!(
            status.clock.source.as_deref(),
            Some("dhcp 10.77.0.2"),
            "{status:?}"
        );
        assert_eq!(status.clock.asked[0].refused, [""; 0]);
    });
}

#[test]
fn a_network_on_which_nobody_hands_out_anything_is_shown() {
    cabled(|folder| {
        let (_, status) = asked(folder);
        assert!(!status.clock.trusted);
        let refused = &status.clock.asked[0].refused;
        assert!(refused[0].starts_with("ntp-servers: "), "{refused:?}");
    });
}
