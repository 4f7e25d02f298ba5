//! Names, resolved by unbound behind BIND: what it filters, and what it takes for forged.

use std::{ffi::OsString, net::IpAddr, process::Command};

use outgate_probe::{
    Ask, FamilyAnswer, Finding, Host, Outcome, PathConfig, ResolverChoice, Transport, Trouble,
};
use tempfile::TempDir;

use crate::{
    asks::{PATIENCE, ask, run},
    bind9::{Bind, FAMILIES, asked, types, zone},
    dnsmasq::ROOT_NS,
    peer::{Peer, free_port, root_of, write},
};

/// A key that has signed nothing: what is below it cannot be proven (RFC 4035 §5.5).
const NOBODYS_KEY: &str = "signed.example. DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An unbound that asks this BIND, drops private addresses (against rebinding), sends
/// `blocked.example` nowhere and wants `signed.example` signed.
fn serve(bind: &Bind) -> Peer {
    let directory = TempDir::new().unwrap();
    let port = free_port();
    let (here, up) = (directory.path().display(), bind.at(FAMILIES[0]).port());
    let configuration = format!(
        "server:
            directory: \"{here}\"
            chroot: \"\"
            username: \"\"
            pidfile: \"\"
            use-syslog: no
            do-daemonize: no
            interface: 127.0.0.1@{port}
            interface: ::1@{port}
            do-not-query-localhost: no
            target-fetch-policy: \"0 0 0 0 0\"
            module-config: \"validator iterator\"
            trust-anchor: \"{NOBODYS_KEY}\"
            private-address: 10.0.0.0/8
            local-zone: \"blocked.example.\" always_null
            num-threads: 1
        remote-control:
            control-enable: no
        forward-zone:
            name: \".\"
            forward-addr: 127.0.0.1@{up}\n"
    );
    let file = write(&directory, "unbound.conf", configuration);
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(file);
    if let Some(libraries) = libraries() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    Peer::udp(&mut command, port, directory, &ROOT_NS)
}

/// Where its libraries are, when it was unpacked and not installed: with the others, but for
/// Python's, which are set apart (see `cargo xtask peers`).
fn libraries() -> Option<OsString> {
    let others = std::env::var_os("LD_LIBRARY_PATH")?;
    let apart = root_of("unbound").join("usr/lib/python-apart");
    let all = std::env::split_paths(&others).chain([apart]);
    std::env::join_paths(all).ok()
}

fn start() -> (Bind, Peer) {
    let bind = Bind::start(&format!("{}x.signed 60 A 192.0.2.9\n", zone()));
    let peer = serve(&bind);
    (bind, peer)
}

async fn resolved(peer: &Peer, family: IpAddr, name: &str) -> Finding {
    let mut tcp = ask("tcp");
    tcp.host = Host::Name(name.to_owned());
    tcp.port = Some(peer.address.port());
    let server = (family, peer.address.port()).into();
    let config = PathConfig {
        resolver: ResolverChoice::at(server),
        timeout: PATIENCE,
        ..PathConfig::default()
    };
    run(&tcp, config).await
}

fn addresses(answer: &FamilyAnswer) -> Vec<String> {
    let records = answer.addresses.iter();
    records.map(|record| record.address.to_string()).collect()
}

#[tokio::test]
async fn unbound_is_probed_over_udp_and_tcp_by_ipv4_and_ipv6() {
    let (_bind, peer) = start();
    for family in FAMILIES {
        let server = (family, peer.address.port()).into();
        for transport in [Transport::Udp, Transport::Tcp] {
            let (finding, dns) = asked(server, transport, "www.example").await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
            assert_eq!(types(&dns), ["CNAME", "A"]);
            assert!(dns.recursion_available);
        }
        let (finding, dns) = asked(server, Transport::Udp, "many.example").await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        assert_eq!((dns.truncated, dns.over_tcp), (true, true));
        let finding = resolved(&peer, family, "www.example").await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    }
}

#[tokio::test]
async fn a_name_that_unbound_sends_nowhere_has_the_addresses_of_nobody() {
    let (_bind, peer) = start();
    for family in FAMILIES {
        let finding = resolved(&peer, family, "blocked.example").await;
        let resolution = finding.resolution.unwrap();
        assert_eq!(addresses(&resolution.ipv4), ["0.0.0.0"]);
        assert_eq!(addresses(&resolution.ipv6), ["::"]);
    }
}

#[tokio::test]
async fn a_private_address_that_unbound_drops_against_rebinding_leaves_no_address() {
    let (_bind, peer) = start();
    for family in FAMILIES {
        let finding = resolved(&peer, family, "inside.example").await;
        let none = (Outcome::Fail, Some(Trouble::NoAddress));
        assert_eq!((finding.outcome, finding.trouble), none);
        let finding = resolved(&peer, family, "mixed.example").await;
        let resolution = finding.resolution.unwrap();
        assert_eq!(addresses(&resolution.ipv4), ["192.0.2.8"]);
    }
}

#[tokio::test]
async fn what_unbound_takes_for_forged_is_told_from_a_name_server_that_fails() {
    let (_bind, peer) = start();
    for family in FAMILIES {
        let finding = resolved(&peer, family, "x.signed.example").await;
        let forged = (Outcome::Fail, Some(Trouble::SignaturesBroken));
        assert_eq!((finding.outcome, finding.trouble), forged);
        let ask = Ask {
            question: Some("x.signed.example".to_owned()),
            host: Host::Address(family),
            port: Some(peer.address.port()),
            ..ask("dns")
        };
        let finding = run(&ask, PathConfig::default()).await;
        assert_eq!(finding.trouble, Some(Trouble::SignaturesBroken));
    }
}
