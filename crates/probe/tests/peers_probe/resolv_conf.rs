//! What `/etc/resolv.conf` says, as the C library reads it, with dnsmasq behind it.

use std::{process::Command, time::Duration};

use outgate_probe::{Ask, Finding, Host, NameServer, Outcome, PathConfig, Trouble};
use tempfile::NamedTempFile;
use tokio::net::UdpSocket;

use crate::{
    asks::{ask, run},
    dnsmasq,
    unshare::in_own_network,
};

/// Where nothing answers although somebody listens.
const DEAD: &str = "127.0.0.2:53";
/// The file that says that it is to be asked first.
const DEAD_FIRST: &str = "nameserver 127.0.0.2\nnameserver 127.0.0.1\n";

fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Has the file say so where no other process sees it.
fn set_up(resolv_conf: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), resolv_conf).unwrap();
    let path = file.path().display();
    sh(&format!(
        "ip link set lo up; mount --bind {path} /etc/resolv.conf"
    ));
    file
}

/// An open port of `api.example`.
fn port_of(name: &str) -> Ask {
    let mut tcp = ask("tcp");
    tcp.host = Host::Name(name.to_owned());
    tcp.port = Some(53);
    tcp
}

fn patient() -> PathConfig {
    PathConfig {
        timeout: Duration::from_secs(5),
        ..PathConfig::default()
    }
}

fn rcode_of_a(finding: &Finding, at: usize) -> Option<String> {
    let asked = &finding.resolution.as_ref().unwrap().ipv4.asked;
    asked[at].rcode.clone()
}

#[test]
fn a_dead_first_name_server_costs_a_wait_and_is_named() {
    let name = "resolv_conf::a_dead_first_name_server_costs_a_wait_and_is_named";
    in_own_network(name, || async {
        let _file = set_up(DEAD_FIRST);
        let _dead = UdpSocket::bind(DEAD).await.unwrap();
        let _peer = dnsmasq::serve_at(53);
        let finding = run(&port_of("api.example"), patient()).await;
        let server = NameServer::At(DEAD.parse().unwrap());
        let trouble = Some(Trouble::NameServerSilent { server });
        assert_eq!(
            (finding.outcome, &finding.trouble),
            (Outcome::Warn, &trouble)
        );
        assert_eq!(rcode_of_a(&finding, 0), None);
        assert_eq!(rcode_of_a(&finding, 1).as_deref(), Some("NOERROR"));
    });
}

#[test]
fn the_lane_of_name_servers_names_the_dead_one_too() {
    let name = "resolv_conf::the_lane_of_name_servers_names_the_dead_one_too";
    in_own_network(name, || async {
        let _file = set_up(DEAD_FIRST);
        let _dead = UdpSocket::bind(DEAD).await.unwrap();
        let _peer = dnsmasq::serve_at(53);
        let mut dns = ask("dns");
        dns.host = Host::SystemResolvers;
        dns.question = Some("api.example".to_owned());
        let finding = run(&dns, patient()).await;
        assert_eq!(finding.outcome, Outcome::Warn);
        let outcomes: Vec<_> = finding.attempts.iter().map(|one| one.outcome).collect();
        assert_eq!(outcomes, [Outcome::Fail, Outcome::Pass]);
    });
}

#[test]
fn a_name_without_a_dot_is_searched_and_tcp_is_kept_to() {
    let name = "resolv_conf::a_name_without_a_dot_is_searched_and_tcp_is_kept_to";
    in_own_network(name, || async {
        let _file =
            set_up("search no.example example\noptions use-vc edns0\nnameserver 127.0.0.1\n");
        let _peer = dnsmasq::serve_at(53);
        let finding = run(&port_of("api"), patient()).await;
        assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
        let asked = &finding.resolution.unwrap().ipv4.asked;
        assert!(asked[0].over_tcp);
    });
}

#[test]
fn a_machine_without_name_servers_says_so() {
    let name = "resolv_conf::a_machine_without_name_servers_says_so";
    in_own_network(name, || async {
        let _file = set_up("# nothing\n");
        let finding = run(&port_of("api.example"), patient()).await;
        let none = (Outcome::Fail, Some(Trouble::NoNameServer));
        assert_eq!((finding.outcome, finding.trouble), none.clone());
        let mut dns = ask("dns");
        dns.host = Host::SystemResolvers;
        let finding = run(&dns, patient()).await;
        assert_eq!((finding.outcome, finding.trouble), none);
    });
}

#[test]
fn where_no_name_server_is_named_the_machine_itself_is_asked() {
    let name = "resolv_conf::where_no_name_server_is_named_the_machine_itself_is_asked";
    in_own_network(name, || async {
        let _file = set_up("# nothing\n");
        let _peer = dnsmasq::serve_at(53);
        let finding = run(&port_of("api.example"), patient()).await;
        assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
    });
}
