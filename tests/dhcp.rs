//! `outgate check` where dnsmasq hands out what the product needs: a time server that chrony is, and
//! a proxy script; in network namespaces of the test's own.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::support::{json, outgate, stderr, stdout, text};

/// A product that takes its time server from DHCP, and has one server of its own.
const MANIFEST: &str = "
manifest: 1
product: { id: box, name: Box, vendor: Example }
source: { document: box, language: en }
parties:
  device: { at: site, name: { en: the box } }
  dhcp-server: { at: site, name: { en: DHCP server } }
flows:
  dhcp: { from: device, to: dhcp-server, speaks: dhcp, need: required, why: { en: settings } }
  time:
    from: device
    to: { dhcp: ntp-servers }
    speaks: ntp
    need: required
    after: [dhcp]
    why: { en: the right time }
  updates: { from: device, to: [updates.box.test], speaks: http, need: optional, why: { en: new } }
";

/// Two machines on one cable: here the box, there what serves it. All of it ends with the script.
const SCRIPT: &str = "
set -e
mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add there
ip link add e0 type veth peer name e0 netns there
ip link set lo up; ip link set e0 up; ip addr add 10.77.0.1/24 dev e0
ip route add default via 10.77.0.2
ip -n there link set lo up; ip -n there link set e0 up; ip -n there addr add 10.77.0.2/24 dev e0
cd \"$FOLDER\"
there() { ip netns exec there \"$@\" > said 2>&1 & }
listens() { until ip netns exec there grep -q \":$1 \" /proc/net/$2; do sleep 0.02; done; }
there chronyd -x -d -U -f chrony.conf; listens 007B udp
there python3 -m http.server --bind 10.77.0.2 80; listens 0050 tcp
there dnsmasq --no-daemon --conf-file=/dev/null --port=0 --user=root --no-ping --pid-file= \\
    --bind-interfaces --interface=e0 --dhcp-leasefile=leases --dhcp-range=10.77.0.50,10.77.0.60 \\
    $OPTIONS; listens 0043 udp
$BEFORE \"$OUTGATE\" check box.yaml --json --timeout 5 --proxy none \\
    --connect-to updates.box.test:80:10.77.0.2:80 $MORE
";

/// Runs a check behind a DHCP server with these options.
fn check(options: &str, before: &str, more: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("box.yaml", MANIFEST);
    write(
        "wpad.dat",
        "function FindProxyForURL() { return 'PROXY 10.77.0.2:9'; }",
    );
    let chrony = "local stratum 4\nallow\ncmdport 0\nbindcmdaddress /\nuser root\npidfile /run/c\n";
    write("chrony.conf", chrony);
    run(folder.path(), options, before, more)
}

fn run(folder: &Path, options: &str, before: &str, more: &str) -> Output {
    let more = more.to_owned();
    let script = match more.is_empty() {
        true => SCRIPT.to_owned(),
        false => SCRIPT.replace("--proxy none", ""),
    };
    Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "sh", "-c", &script])
        .env("FOLDER", folder)
        .env("OUTGATE", env!("CARGO_BIN_EXE_outgate"))
        .env("OPTIONS", options)
        .env("BEFORE", before)
        .env("MORE", more)
        .output()
        .unwrap()
}

fn lane(report: &Json, flow: &str) -> Json {
    let lanes = report["lanes"].as_array().unwrap();
    let found = lanes.iter().find(|it| it["lane"]["flow"] == flow);
    found.unwrap().clone()
}

fn causes(report: &Json) -> Vec<[String; 2]> {
    let causes = report["causes"].as_array().unwrap().iter();
    let causes = causes.map(|one| ["kind", "owner"].map(|part| text(&one[part])));
    causes.collect()
}

#[test]
fn the_time_server_that_dhcp_hands_out_is_asked_for_the_time() {
    let options = "--dhcp-option=42,10.77.0.2 --dhcp-option=66,http://10.77.0.2/phones";
    let ran = check(options, "", "");
    assert_eq!(
        ran.status.code(),
        Some(0),
        "{}{}",
        stdout(&ran),
        stderr(&ran)
    );
    let report = json(&ran);
    let dhcp = lane(&report, "dhcp");
    let told = text(&dhcp["reason"]);
    assert!(told.contains("time server 10.77.0.2"), "{told}");
    assert!(told.contains("option 66 http://10.77.0.2/phones"), "{told}");
    let time = lane(&report, "time");
    let attempt = &time["probes"][0]["attempts"][0];
    assert_eq!(attempt["address"], "10.77.0.2");
    assert_eq!(attempt["ntp"]["stratum"], 4);
    assert!(
        attempt["ntp"]["offset_millis"].as_i64().unwrap().abs() < 1000,
        "{attempt}"
    );
}

#[test]
fn dhcp_without_a_time_server_is_the_dhcp_servers_fault() {
    // dnsmasq would hand out itself; an empty option says nobody.
    let ran = check("--dhcp-option=42", "", "");
    assert_eq!(
        ran.status.code(),
        Some(3),
        "{}{}",
        stdout(&ran),
        stderr(&ran)
    );
    let report = json(&ran);
    assert_eq!(causes(&report), [["no-time-server", "dhcp"]]);
    let what = text(&report["causes"][0]["what"]);
    assert!(
        what.contains("DHCP (10.77.0.2) hands out no time server"),
        "{what}"
    );
    assert_eq!(lane(&report, "dhcp")["outcome"], "pass");
    assert_eq!(lane(&report, "time")["outcome"], "fail");
}

#[test]
fn without_the_right_to_port_68_nothing_is_judged_and_what_is_missing_is_said() {
    let before = "setpriv --inh-caps=-net_bind_service --bounding-set=-net_bind_service";
    let ran = check("--dhcp-option=42,10.77.0.2", before, "");
    assert_eq!(
        ran.status.code(),
        Some(5),
        "{}{}",
        stdout(&ran),
        stderr(&ran)
    );
    let report = json(&ran);
    assert_eq!(causes(&report), Vec::<[String; 2]>::new());
    for flow in ["dhcp", "time"] {
        let lane = lane(&report, flow);
        assert_eq!(lane["outcome"], "not-run");
        let reason = text(&lane["reason"]);
        assert!(reason.contains("CAP_NET_BIND_SERVICE"), "{reason}");
        assert_eq!(
            reason.contains("--connect-to 'ntp-servers:123"),
            flow == "time",
            "{reason}"
        );
    }
}

#[test]
fn the_proxy_script_that_dhcp_names_is_used_only_where_somebody_says_so() {
    let options = "--dhcp-option=42,10.77.0.2 --dhcp-option=252,http://10.77.0.2/wpad.dat";
    let direct = json(&check(options, "", ""));
    assert_eq!(lane(&direct, "updates")["outcome"], "pass");
    let scripted = json(&check(options, "", "--proxy-script dhcp"));
    assert_eq!(causes(&scripted), [["proxy-unreachable", "proxy"]]);
    let what = text(&scripted["causes"][0]["what"]);
    assert!(what.contains("10.77.0.2:9"), "{what}");
    let without = json(&check(
        "--dhcp-option=42,10.77.0.2",
        "",
        "--proxy-script dhcp",
    ));
    assert_eq!(causes(&without), [["proxy-script", "proxy"]]);
    let what = text(&without["causes"][0]["what"]);
    assert!(
        what.contains("DHCP (10.77.0.2) names none (option 252)"),
        "{what}"
    );
}

#[test]
fn nmap_reads_what_the_labs_dhcp_server_hands_out() {
    let nmap = "nmap --script broadcast-dhcp-discover -e eth0 \
        --script-args broadcast-dhcp-discover.timeout=2s";
    let words = ["lab", "run", "dhcp-well", "--"];
    let ran = outgate(words.into_iter().chain(nmap.split_whitespace()));
    let told = stdout(&ran);
    assert_eq!(ran.status.code(), Some(0), "{told}{}", stderr(&ran));
    for line in [
        "Response 1 of 1",
        "IP Offered: 10.10.0.10",
        "DHCP Message Type: DHCPOFFER",
        "Server Identifier: 10.10.0.53",
        "IP Address Lease Time: 1h00m00s",
        "Router: 10.10.0.1",
        "Domain Name Server: 10.10.0.53",
        "NTP Servers: 203.0.113.",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
