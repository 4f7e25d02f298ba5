//! What DHCPv6 hands out, told by dnsmasq and by ISC's server, and by a short Python program where no
//! good server would.

use std::net::IpAddr;

use outgate_probe::{
    Attempt, DhcpServer, Family, Finding, Host, Outcome, Transport, Trouble, Unit,
};
use tempfile::TempDir;

use crate::{
    asks::{ask, run_on},
    dhcp::{THIRD, asked, path},
    neighbour::{Neighbour, ip},
    peer::write,
    unshare::in_own_network,
};

const DNSMASQ: &str = "ip addr add fd00:77::2/64 dev e0; exec dnsmasq --no-daemon \
    --conf-file=/dev/null --port=0 --user=root --bind-interfaces --interface=e0 --pid-file= \
    --dhcp-leasefile=/run/leases --log-facility=- --dhcp-range=fd00:77::50,fd00:77::60,64,1h \
    --dhcp-option=option6:dns-server,[fd00:77::2] \
    --dhcp-option=option6:domain-search,site.test,b.test \
    --dhcp-option=option6:sntp-server,[fd00:77::3] \
    --dhcp-option=option6:ntp-server,[fd00:77::2]";
/// What it says once it listens.
const READY: &str = "IP range";

/// The part of a finding that is about IPv6.
fn v6(finding: &Finding) -> Attempt {
    let mut attempts = finding.attempts.iter();
    attempts.find(|it| it.family == Family::V6).unwrap().clone()
}

fn servers(finding: &Finding) -> Vec<DhcpServer> {
    v6(finding).dhcp.unwrap().servers
}

fn address(last: u16) -> IpAddr {
    [0xfd00, 0x77, 0, 0, 0, 0, 0, last].into()
}

#[test]
fn what_dnsmasq_hands_out_over_ipv6_is_told() {
    in_own_network(
        "dhcp6::what_dnsmasq_hands_out_over_ipv6_is_told",
        || async {
            let _site = Neighbour::start(DNSMASQ, READY);
            let finding = asked().await;
            assert_eq!(v6(&finding).outcome, Outcome::Pass, "{finding:?}");
            let [server] = servers(&finding).try_into().unwrap();
            assert!(matches!(server.server, IpAddr::V6(it) if it.is_unicast_link_local()));
            assert_eq!((server.offers, server.informs), (false, true));
            let settings = server.settings;
            assert_eq!(settings.name_servers, [address(2)]);
            assert_eq!(settings.domain.as_deref(), Some("site.test b.test"));
            let mut time_servers = settings.time_servers;
            time_servers.sort();
            assert_eq!(time_servers, [address(2), address(3)]);
            // Nobody answers over IPv4, which a machine needs all the same.
            let expected = (Outcome::Warn, Some(Trouble::DhcpSilent));
            assert_eq!((finding.outcome, finding.trouble), expected);
        },
    );
}

#[test]
fn a_time_server_of_dhcpv6_is_asked_for_the_time() {
    in_own_network(
        "dhcp6::a_time_server_of_dhcpv6_is_asked_for_the_time",
        || async {
            let script = DNSMASQ.replace(",[fd00:77::3]", ",[fd00:77::2]");
            let _site = Neighbour::start(&script, READY);
            ip(&["addr", "add", "fd00:77::1/64", "dev", "e0", "nodad"]);
            let mut time = ask("ntp");
            time.host = Host::TimeServers;
            time.transport = Transport::Udp;
            let finding = run_on(&time, &path()).await;
            // No time is served there: its port is closed.
            assert_eq!(finding.trouble, Some(Trouble::Refused), "{finding:?}");
            assert_eq!(finding.attempts[0].address, address(2));
        },
    );
}

#[test]
fn a_second_server_of_dhcpv6_is_named_beside_the_first() {
    in_own_network(
        "dhcp6::a_second_server_of_dhcpv6_is_named_beside_the_first",
        || async {
            let folder = TempDir::new().unwrap();
            let configuration = "subnet6 fd00:77::/64 { option dhcp6.name-servers fd00:77::9; }";
            let configuration = write(&folder, "dhcpd6.conf", configuration);
            let script = format!(
            "{THIRD} touch /run/isc; ip -n two addr add fd00:77::3/64 dev e0 nodad
             two dhcpd -6 -f -d -cf {} -lf /run/isc --no-pid e0; heard 'Server starting'; {DNSMASQ}",
            configuration.display()
        );
            let _site = Neighbour::start(&script, READY);
            let finding = asked().await;
            let Some(Trouble::DhcpServersDiffer { servers }) = v6(&finding).trouble else {
                panic!("{finding:?}");
            };
            assert_eq!(servers.len(), 2);
            let second = servers
                .iter()
                .filter(|it| it.ends_with("hands out name server fd00:77::9"));
            assert_eq!(second.count(), 1, "{servers:?}");
        },
    );
}

/// Answers every question with rubbish, or without end.
const PYTHON: &str = "
import socket, struct, sys
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.bind(('::', 547))
one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
               socket.inet_pton(socket.AF_INET6, 'ff02::1:2')
               + struct.pack('@I', socket.if_nametoindex('e0')))
print('ready', flush=True)
while True:
    query, peer = one.recvfrom(1500)
    if sys.argv[1] == 'rubbish':
        one.sendto(b'\\7' + query[1:4] + b'\\0\\2\\0\\1\\7\\0\\x38\\1\\0', peer)
    else:
        for number in range(3000):
            one.sendto(b'\\7' + query[1:4] + b'\\0\\x09\\0\\0', peer)
";

/// What comes of a server that answers so.
fn answered(how: &str, name: &str, expected: impl Fn(Trouble) -> bool) {
    in_own_network(&format!("dhcp6::{name}"), || async {
        let folder = TempDir::new().unwrap();
        let program = write(&folder, "dhcp6.py", PYTHON);
        let script = format!("exec python3 {} {how}", program.display());
        let _site = Neighbour::start(&script, "ready");
        let attempt = v6(&asked().await);
        assert_eq!(attempt.outcome, Outcome::Fail);
        assert!(expected(attempt.trouble.clone().unwrap()), "{attempt:?}");
    });
}

#[test]
fn rubbish_over_ipv6_is_named_as_such() {
    answered(
        "rubbish",
        "rubbish_over_ipv6_is_named_as_such",
        |trouble| matches!(trouble, Trouble::Malformed { what } if what.contains("cut off")),
    );
}

#[test]
fn endless_answers_over_ipv6_are_cut_off() {
    let (bound, unit) = (1000, Unit::Datagrams);
    answered(
        "endless",
        "endless_answers_over_ipv6_are_cut_off",
        |trouble| trouble == Trouble::TooMuch { bound, unit },
    );
}
