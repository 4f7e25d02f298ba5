//! `outgate agent` as a process on a site's network: by its product's manifest alone it is found,
//! answers pings as seldom as it should, and is judged by a technician's check beside it. There is no
//! hub.

use std::process::Command;
use std::time::Instant;

use outgate_testbed::{BETWEEN_LOOKS, OwnMachine, PATIENCE, on_own_machine};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::agent::Agent;

/// The device and, in a network namespace, a technician's laptop.
const NETWORK: &str = "
    ip netns add laptop
    for one in '' 'ip netns exec laptop'; do
        $one sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
    done
    ip link add e0 type veth peer name e0 netns laptop
    ip addr add 10.77.0.1/24 dev e0
    ip link set e0 up
    ip -n laptop addr add 10.77.0.2/24 dev e0
    ip -n laptop link set lo up
    ip -n laptop link set e0 up";

/// What is configured beside the hub.
const SITE: &str = "
[product]
profile = 'homag-cube'
version = '0.129.7'
[names]
host = 'cube'
llmnr = true
[ping]
limit = true
";

/// Nobody: there is no way to a hub.
const NOWHERE: u16 = 9;

/// The flows that the technician's check finds in order.
const FLOWS: [&str; 4] = [
    "diagnostics-page-until-0-129-7",
    "connector-page",
    "mdns",
    "ping-in",
];

/// The agent's status, once it answers to both names and bounds pings.
fn settled(agent: &Agent) {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let status = agent.json("/status");
        let network = &status["network"];
        if network["names"] == json!(["cube", "cube.local"]) && network["ping"]["limit"] == "on" {
            return;
        }
        let troubles = &status["troubles"];
        let of_site = |it: &Json| it["part"] == "names" || it["part"] == "ping";
        let failed = troubles
            .as_array()
            .is_some_and(|all| all.iter().any(of_site));
        assert!(!failed && Instant::now() < give_up, "{status}");
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Looks whether the bound on pings is there.
fn tables(machine: &OwnMachine, is_there: bool) {
    let script = if is_there {
        "nft list table inet outgate_agent | grep --quiet 'rate 1/second'"
    } else {
        "! nft list tables | grep outgate"
    };
    machine.shell(script).unwrap();
}

#[test]
fn a_technician_beside_the_device_finds_it_and_what_it_leaves_is_taken_over_and_taken_away() {
    on_own_machine(|machine| {
        machine.shell(NETWORK).unwrap();
        let folder = TempDir::new().unwrap();
        let agent = Agent::start_with(folder.path(), NOWHERE, "token", SITE);
        settled(&agent);
        tables(machine, true);
        agent.kill();
        tables(machine, true);
        let agent = Agent::start_with(folder.path(), NOWHERE, "token", SITE);
        settled(&agent);
        tables(machine, true);

        let mut status = Command::new(env!("CARGO_BIN_EXE_outgate"));
        let status = status.args(["agent", "status", "--config"]);
        let shown = status.arg(agent.config()).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        for line in ["cube.local", "at most 1/second"] {
            assert!(shown.contains(line), "{shown}");
        }
        let mut check = Command::new("ip");
        check.args(["netns", "exec", "laptop"]);
        check.arg(env!("CARGO_BIN_EXE_outgate"));
        check.args(["check", "homag-cube", "--version", "0.129.7", "--json"]);
        check.args(["--from", "technician", "--connect-to", "device::10.77.0.1:"]);
        let done = check.output().unwrap();
        let report: Json = serde_json::from_slice(&done.stdout).unwrap();
        let lanes = report["lanes"].as_array().unwrap();
        for flow in FLOWS {
            let mut of_flow = lanes.iter().filter(|lane| lane["lane"]["flow"] == flow);
            let passes = of_flow.any(|lane| lane["outcome"] == "pass");
            assert!(passes, "{flow}: {report}");
        }
        assert!(agent.terminate().success());
        tables(machine, false);
    })
    .unwrap();
}
