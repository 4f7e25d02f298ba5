//! STUN and the behaviour of NATs, against coturn: with two addresses behind a router that does
//! NAT in every manner, and over TCP and TLS.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::Command,
    time::Duration,
};

use outgate_probe::{
    Ask,
    NatBehaviour::{self, AddressAndPortDependent, AddressDependent, EndpointIndependent},
    Outcome, PhaseName, Transport, Trouble,
};
use outgate_wire::stun::{TransactionId, binding_request};
use tempfile::TempDir;

use crate::{
    asks::{ask, run},
    authority::{Authority, Identity},
    peer::{Peer, accepts, by_name_and_address, free_port, replies, write},
    site::{DEVICE, ROUTER, SERVERS, Site, on_own_site, probe},
};

/// Rules that do not belong to the kind of NAT: what a router has.
fn nat(rules: &str) -> String {
    format!("table ip nat {{\n{rules}\n}}\n")
}

const POSTROUTING: &str = "type nat hook postrouting priority srcnat;";
const PREROUTING: &str = "type nat hook prerouting priority dstnat;";

/// Source addresses are translated like this.
fn source(how: &str) -> String {
    nat(&format!(
        "chain out {{ {POSTROUTING}\n oifname \"wan\" {how}\n }}"
    ))
}

/// Everything from outside goes to the device.
fn full_cone() -> String {
    nat(&format!(
        "chain out {{ {POSTROUTING}\n oifname \"wan\" snat to {ROUTER}\n }}
         chain in {{ {PREROUTING}\n iifname \"wan\" dnat to {DEVICE}\n }}"
    ))
}

/// As that, from addresses that a port of the device has talked to.
fn address_restricted() -> String {
    full_cone()
        + "table ip filter {
             set talked { type ipv4_addr . inet_service; flags dynamic; size 1000; timeout 1m; }
             chain forward {
               type filter hook forward priority filter;
               iifname \"lan\" meta l4proto udp update @talked { ip daddr . udp sport }
               iifname \"wan\" meta l4proto udp ip saddr . udp dport != @talked drop
             }
           }
           "
}

/// Another range of ports to each address.
fn address_dependent() -> String {
    let [first, second] = SERVERS;
    nat(&format!(
        "chain out {{ {POSTROUTING}
           meta l4proto udp ip daddr {first} snat to {ROUTER}:20000-29999
           meta l4proto udp ip daddr {second} snat to {ROUTER}:30000-39999
         }}"
    ))
}

const UDP_BLOCKED: &str = "table ip filter { chain forward {
    type filter hook forward priority filter;
    meta l4proto udp drop
  }
}
";

fn answers(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let wait = Duration::from_millis(200);
    socket.set_read_timeout(Some(wait)).unwrap();
    let question = binding_request(TransactionId([7; 12]), None);
    socket.send_to(&question, server).is_ok() && socket.recv(&mut [0; 600]).is_ok()
}

fn serve_on(site: &mut Site) -> SocketAddr {
    let server: SocketAddr = format!("{}:3478", SERVERS[0]).parse().unwrap();
    let [first, second] = SERVERS;
    let arguments = [
        "-n",
        "--log-file",
        "stdout",
        "--pidfile",
        "pid",
        "--userdb",
        "db",
        "--no-auth",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--realm",
        "test",
        "--listening-ip",
        first,
        "--listening-ip",
        second,
    ];
    site.serve("turnserver", &arguments, || answers(server));
    server
}

/// A kind of NAT: its name, the router's rules, and the mapping and filtering that they make.
/// Without rules there is no NAT.
type Cell = (&'static str, String, NatBehaviour, NatBehaviour);

fn cells() -> [Cell; 7] {
    let (independent, address, both) = (
        EndpointIndependent,
        AddressDependent,
        AddressAndPortDependent,
    );
    [
        ("none", String::new(), independent, independent),
        ("full cone", full_cone(), independent, independent),
        ("restricted", address_restricted(), independent, address),
        ("Linux", source("masquerade"), independent, both),
        ("by address", address_dependent(), address, both),
        ("random", source("masquerade random"), both, both),
        (
            "fully random",
            source("masquerade fully-random"),
            both,
            both,
        ),
    ]
}

#[test]
fn each_kind_of_nat_is_named_by_the_words_of_rfc_5780() {
    let name = "coturn::each_kind_of_nat_is_named_by_the_words_of_rfc_5780";
    on_own_site(name, |mut site| async move {
        let server = serve_on(&mut site);
        for (kind, rules, mapping, filtering) in cells() {
            site.route_by(&rules);
            let translated = !rules.is_empty();
            let finding = probe(ask("stun"), server).await;
            let stun = finding.attempts[0].stun.clone();
            let stun = stun.unwrap_or_else(|| panic!("{kind}: {:?}", finding.trouble));
            let found = (stun.translated, stun.mapping, stun.filtering);
            assert_eq!(
                found,
                (Some(translated), mapping, filtering),
                "{kind}: {stun:?}"
            );
            assert_eq!(stun.not_known, None, "{kind}");
            assert_eq!(stun.local.unwrap().ip().to_string(), DEVICE, "{kind}");
            let seen_as = if translated { ROUTER } else { DEVICE };
            assert_eq!(stun.reflexive.ip().to_string(), seen_as, "{kind}");
            let expected = if mapping == EndpointIndependent {
                (Outcome::Pass, None)
            } else {
                (Outcome::Warn, Some(Trouble::NatVaries { mapping }))
            };
            assert_eq!((finding.outcome, finding.trouble), expected, "{kind}");
        }
        site.route_by(UDP_BLOCKED);
        let finding = probe(ask("stun"), server).await;
        let phase = PhaseName::Exchange;
        let expected = (Outcome::Fail, Some(Trouble::TimedOut { phase }));
        assert_eq!((finding.outcome, finding.trouble), expected);
    });
}

/// A server in the clear over UDP and TCP, and its port for TLS.
fn serve(identity: &Identity) -> (Peer, u16) {
    let directory = TempDir::new().unwrap();
    let certificate = write(&directory, "certificate.pem", &identity.certificate);
    let key = write(&directory, "key.pem", &identity.key);
    let (plain, secure) = (free_port(), free_port());
    let mut command = Command::new("turnserver");
    command
        .args([
            "-n",
            "--log-file",
            "stdout",
            "--pidfile",
            "pid",
            "--userdb",
            "db",
            "--no-auth",
        ])
        .args([
            "--no-cli",
            "--no-dtls",
            "--realm",
            "test",
            "--listening-ip",
            "127.0.0.1",
            "--listening-ip",
            "::1",
        ])
        .args(["--listening-port", &plain.to_string()])
        .args(["--tls-listening-port", &secure.to_string()])
        .arg("--cert")
        .arg(certificate)
        .arg("--pkey")
        .arg(key);
    let question = binding_request(TransactionId([7; 12]), None);
    let peer = Peer::on_both(&mut command, plain, directory, |at| {
        let with_tls = SocketAddr::new(at.ip(), secure);
        accepts(at) && accepts(with_tls) && replies(at, &question)
    });
    (peer, secure)
}

#[tokio::test]
async fn a_binding_goes_over_udp_tcp_and_tls() {
    let authority = Authority::new("Vendor CA");
    let (peer, secure) = serve(&authority.right());
    let ways = peer.addresses().into_iter().flat_map(|at| {
        [
            ("stun", Transport::Udp, at),
            ("stun", Transport::Tcp, at),
            ("stuns", Transport::Tcp, SocketAddr::new(at.ip(), secure)),
        ]
    });
    for (protocol, transport, at) in ways {
        let over = Ask {
            transport,
            ..ask(protocol)
        };
        for ask in by_name_and_address(&over, at) {
            let finding = run(&ask, authority.config_to(at)).await;
            let ended = (finding.outcome, finding.trouble);
            assert_eq!(ended, (Outcome::Pass, None), "{ask:?} at {at}");
            let stun = finding.attempts[0].stun.clone().unwrap();
            assert_eq!(stun.local, Some(stun.reflexive), "{protocol} at {at}");
            assert_eq!(stun.mapping, NatBehaviour::NotKnown, "{protocol} at {at}");
            assert!(stun.software.unwrap().contains("Coturn"), "{protocol}");
        }
    }
}
