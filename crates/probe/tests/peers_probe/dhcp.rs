//! What DHCP hands out, told by dnsmasq and by ISC's server on another machine of the local network,
//! and by a short Python program where no good server would.

use std::net::UdpSocket;

use outgate_probe::{
    Ask, DhcpServer, DhcpSettings, Finding, Host, Outcome, Path, PathConfig, Source, Transport,
    Trouble, Unit, probe_for,
};
use tempfile::TempDir;

use crate::{
    asks::{ask, nowhere, run_on},
    neighbour::Neighbour,
    peer::write,
    unshare::in_own_network,
};

/// A server that hands out everything that is asked for.
const DNSMASQ: &str = "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --user=root --no-ping \
    --bind-interfaces --interface=e0 --pid-file= --dhcp-leasefile=/run/leases --log-facility=- \
    --dhcp-range=10.77.0.50,10.77.0.60,1h";
const OPTIONS: &str = "--domain=site.test --dhcp-option=3,10.77.0.2 --dhcp-option=6,10.77.0.2 \
    --dhcp-option=42,10.77.0.4,10.77.0.5 --dhcp-option=43,01:02:03 \
    --dhcp-option=66,http://10.77.0.2/phones --dhcp-option=252,http://10.77.0.2/wpad.dat";
/// What it says once it listens.
const READY: &str = "IP range";

/// Makes a third machine, on interface `e0` of the namespace `two` at 10.77.0.3.
pub(crate) const THIRD: &str = "
    mkdir -p /run/netns && ip netns add two
    ip link add m0 link e0 type macvlan mode bridge
    ip link set m0 netns two name e0
    ip -n two link set lo up; ip -n two link set e0 up; ip -n two addr add 10.77.0.3/24 dev e0
    two() { setpriv --pdeathsig KILL ip netns exec two \"$@\" > /run/said 2>&1 & }
    heard() { while ! grep -q \"$1\" /run/said; do sleep 0.05; done; }
";

/// What [`DNSMASQ`] with [`OPTIONS`] hands out.
fn everything() -> DhcpSettings {
    let address = |last: u8| [10, 77, 0, last].into();
    DhcpSettings {
        routers: vec![address(2)],
        name_servers: vec![address(2)],
        domain: Some("site.test".to_owned()),
        time_servers: vec![address(4), address(5)],
        vendor: Some("010203".to_owned()),
        lease_seconds: Some(3600),
        tftp_server: Some("http://10.77.0.2/phones".to_owned()),
        time_server_names: Vec::new(),
        boot_file: None,
        proxy_script: Some("http://10.77.0.2/wpad.dat".to_owned()),
    }
}

pub(crate) fn wanted() -> Ask {
    let mut ask = ask("dhcp");
    ask.host = Host::Role("dhcp-server".to_owned());
    ask.port = Some(67);
    ask.transport = Transport::Udp;
    ask
}

pub(crate) fn path() -> Path {
    let config = PathConfig {
        resolver: nowhere(),
        source: Source::Interface("e0".to_owned()),
        ..PathConfig::default()
    };
    Path::new(config).unwrap()
}

pub(crate) async fn asked() -> Finding {
    run_on(&wanted(), &path()).await
}

fn servers(finding: &Finding) -> Vec<DhcpServer> {
    finding.attempts[0].dhcp.clone().unwrap().servers
}

#[test]
fn everything_that_dnsmasq_hands_out_is_told_and_no_address_is_taken() {
    in_own_network(
        "dhcp::everything_that_dnsmasq_hands_out_is_told_and_no_address_is_taken",
        || async {
            // The leases lie in a folder that both machines see.
            let folder = TempDir::new().unwrap();
            let leases = folder.path().join("leases");
            let dnsmasq = DNSMASQ.replace("/run/leases", &leases.display().to_string());
            let _site = Neighbour::start(&format!("exec {dnsmasq} {OPTIONS}"), READY);
            let finding = asked().await;
            assert_eq!(
                (finding.outcome, finding.trouble.clone()),
                (Outcome::Pass, None)
            );
            let evidence = finding.attempts[0].dhcp.clone().unwrap();
            assert_eq!(
                (evidence.interfaces, evidence.sent),
                (vec!["e0".to_owned()], 1)
            );
            let expected = DhcpServer {
                server: [10, 77, 0, 2].into(),
                interface: Some("e0".to_owned()),
                offers: true,
                informs: true,
                settings: everything(),
            };
            assert_eq!(servers(&finding), [expected]);
            assert_eq!(std::fs::read_to_string(leases).unwrap_or_default(), "");
        },
    );
}

#[test]
fn a_machine_without_an_address_asks_for_offers_alone() {
    in_own_network(
        "dhcp::a_machine_without_an_address_asks_for_offers_alone",
        || async {
            let _site = Neighbour::start(&format!("exec {DNSMASQ} {OPTIONS}"), READY);
            crate::neighbour::ip(&["addr", "flush", "dev", "e0"]);
            let finding = asked().await;
            assert_eq!(
                (finding.outcome, finding.trouble.clone()),
                (Outcome::Pass, None)
            );
            let servers = servers(&finding);
            assert_eq!(
                (servers.len(), servers[0].offers, servers[0].informs),
                (1, true, false)
            );
            assert_eq!(servers[0].settings, everything());
        },
    );
}

#[test]
fn a_second_server_that_says_otherwise_is_named_beside_the_first() {
    in_own_network(
        "dhcp::a_second_server_that_says_otherwise_is_named_beside_the_first",
        || async {
            let folder = TempDir::new().unwrap();
            let configuration = "default-lease-time 600; ping-check false;
                subnet 10.77.0.0 netmask 255.255.255.0 {
                    range 10.77.0.70 10.77.0.80; option routers 10.77.0.3;
                }";
            let configuration = write(&folder, "dhcpd.conf", configuration);
            let script = format!(
                "{THIRD} touch /run/isc; \
                 two dhcpd -4 -f -d -cf {} -lf /run/isc --no-pid e0; heard 'Server starting'; \
                 exec {DNSMASQ} {OPTIONS}",
                configuration.display()
            );
            let _site = Neighbour::start(&script, READY);
            let finding = asked().await;
            assert_eq!(finding.outcome, Outcome::Warn);
            let Some(Trouble::DhcpServersDiffer { mut servers }) = finding.trouble.clone() else {
                panic!("{:?}", finding.trouble);
            };
            servers.sort();
            assert!(
                servers[0].starts_with("10.77.0.2 hands out router 10.77.0.2,"),
                "{servers:?}"
            );
            assert_eq!(servers[1..], ["10.77.0.3 hands out router 10.77.0.3"]);
            // It has no authority over the network, and so tells nothing but an offer.
            let second = self::servers(&finding)
                .into_iter()
                .find(|it| !it.informs)
                .unwrap();
            assert!(second.offers);
            assert_eq!(second.settings.lease_seconds, Some(600));
        },
    );
}

#[test]
fn two_servers_that_say_the_same_are_a_pair_and_no_trouble() {
    in_own_network(
        "dhcp::two_servers_that_say_the_same_are_a_pair_and_no_trouble",
        || async {
            let second = DNSMASQ
                .replace("/run/leases", "/run/others")
                .replace("50,10.77.0.60,1h", "70,10.77.0.80,2h");
            let script = format!(
                "{THIRD} two {second} {OPTIONS}; heard '{READY}'; exec {DNSMASQ} {OPTIONS}"
            );
            let _site = Neighbour::start(&script, READY);
            let finding = asked().await;
            assert_eq!(
                (finding.outcome, finding.trouble.clone()),
                (Outcome::Pass, None)
            );
            assert_eq!(servers(&finding).len(), 2);
        },
    );
}

#[test]
fn where_nobody_answers_nothing_is_handed_out_and_a_port_that_is_taken_is_named() {
    in_own_network(
        "dhcp::where_nobody_answers_nothing_is_handed_out_and_a_port_that_is_taken_is_named",
        || async {
            let _site = Neighbour::start("echo ready; exec sleep 600", "ready");
            let finding = asked().await;
            let expected = (Outcome::Fail, Some(Trouble::DhcpSilent));
            assert_eq!((finding.outcome, finding.trouble.clone()), expected);
            assert_eq!(finding.attempts[0].dhcp.clone().unwrap().sent, 2);

            let _taken = UdpSocket::bind("0.0.0.0:68").unwrap();
            let finding = asked().await;
            assert_eq!(finding.outcome, Outcome::NotRun);
            let Some(Trouble::NotPermitted { what }) = finding.trouble else {
                panic!("{:?}", finding.trouble);
            };
            assert!(what.contains("holds UDP port 68"), "{what}");
        },
    );
}

/// Answers every question as told: with rubbish, without end, or late.
const PYTHON: &str = "
import socket, sys, time
how = sys.argv[1]
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'e0')
one.bind(('', 67))
print('ready', flush=True)
begun = 0
def say(query, options):
    one.sendto(b'\\2' + query[1:240] + options, ('255.255.255.255', 68))
while True:
    query, peer = one.recvfrom(1500)
    begun = begun or time.monotonic()
    if how == 'rubbish':
        one.sendto(b'rubbish', ('255.255.255.255', 68))
        say(query, b'\\x35\\x01\\x02\\x2a\\xff\\x01')
    elif how == 'endless':
        for number in range(3000):
            say(query, b'\\x35\\x01\\x02\\x36\\x04\\x0a\\x4d' + number.to_bytes(2, 'big') + b'\\xff')
    elif how == 'endless-rubbish':
        for number in range(3000):
            say(query, b'\\x35\\x01\\x02\\x2a\\xff\\x01')
    elif how == 'huge':
        say(query, b'\\x35\\x01\\x02' + b'\\x42\\xff' + b'x' * 255 + b'\\xfc\\xff' * 1 + b'\\n' * 255
            + b'\\x2a\\xf8' + b'\\1' * 248 + b'\\x2b\\xff' + b'\\1' * 255 + b'\\xff')
    elif how == 'late' and time.monotonic() - begun > 1.5:
        say(query, b'\\x35\\x01\\x02\\x36\\x04\\x0a\\x4d\\0\\2\\xff')
";

/// What comes of a server that answers so.
fn answered(how: &str, name: &str, judge: impl Fn(Finding)) {
    in_own_network(&format!("dhcp::{name}"), || async {
        let folder = TempDir::new().unwrap();
        let program = write(&folder, "dhcp.py", PYTHON);
        let script = format!("exec python3 {} {how}", program.display());
        let _site = Neighbour::start(&script, "ready");
        judge(asked().await);
    });
}

#[test]
fn rubbish_is_named_as_such() {
    answered("rubbish", "rubbish_is_named_as_such", |finding| {
        assert_eq!(finding.outcome, Outcome::Fail);
        assert!(
            matches!(finding.trouble, Some(Trouble::Malformed { .. })),
            "{finding:?}"
        );
        assert_eq!(servers(&finding), []);
    });
}

#[test]
fn endless_servers_are_kept_up_to_a_bound() {
    answered(
        "endless",
        "endless_servers_are_kept_up_to_a_bound",
        |finding| {
            let (bound, unit) = (1000, Unit::Datagrams);
            let expected = (Outcome::Warn, Some(Trouble::TooMuch { bound, unit }));
            assert_eq!((finding.outcome, finding.trouble.clone()), expected);
            assert_eq!(servers(&finding).len(), 16);
        },
    );
}

#[test]
fn endless_rubbish_is_cut_off() {
    answered("endless-rubbish", "endless_rubbish_is_cut_off", |finding| {
        let (bound, unit) = (1000, Unit::Datagrams);
        let expected = (Outcome::Fail, Some(Trouble::TooMuch { bound, unit }));
        assert_eq!((finding.outcome, finding.trouble), expected);
    });
}

#[test]
fn long_settings_are_cut_and_cleaned() {
    answered("huge", "long_settings_are_cut_and_cleaned", |finding| {
        let settings = servers(&finding)[0].settings.clone();
        assert_eq!(settings.time_servers.len(), 8);
        assert_eq!(settings.vendor.unwrap().len(), 256);
        assert_eq!(settings.tftp_server.unwrap().len(), 255);
        assert!(
            settings
                .proxy_script
                .unwrap()
                .chars()
                .all(|it| it == '\u{fffd}')
        );
    });
}

#[test]
fn an_answer_that_takes_its_time_to_the_second_question_is_heard() {
    answered(
        "late",
        "an_answer_that_takes_its_time_to_the_second_question_is_heard",
        |finding| {
            assert_eq!(
                (finding.outcome, finding.trouble.clone()),
                (Outcome::Pass, None)
            );
            assert_eq!(finding.attempts[0].dhcp.clone().unwrap().sent, 2);
            assert_eq!(servers(&finding)[0].settings, DhcpSettings::default());
        },
    );
}

#[test]
fn the_plan_says_all_that_is_sent_and_that_nothing_is_taken() {
    let sends = probe_for("dhcp").unwrap().sends(&wanted());
    assert_eq!(sends.len(), 3);
    assert!(
        sends
            .iter()
            .all(|one| one.bytes_at_most <= 300 && one.times_at_most == 2)
    );
    assert!(sends[1].what.contains("not taken"), "{sends:?}");
}
