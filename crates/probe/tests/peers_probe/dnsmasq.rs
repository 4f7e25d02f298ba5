//! Names, served by dnsmasq.

use std::process::Command;

use outgate_probe::{Ask, Host, Outcome, PathConfig, ResolverChoice, Transport, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{PATIENCE, ask, config_to, run},
    peer::{Peer, free_port},
};

/// A question for the root's name servers.
pub(crate) const ROOT_NS: [u8; 17] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// It knows `api.example`, `www.example` and `localhost`, and that nothing below `invalid` is.
pub(crate) fn serve() -> Peer {
    serve_at(free_port())
}

/// The same on this port.
pub(crate) fn serve_at(port: u16) -> Peer {
    let directory = TempDir::new().unwrap();
    let mut command = Command::new("dnsmasq");
    command.args([
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--pid-file=",
        "--local=/example/invalid/localhost/",
        "--host-record=localhost,127.0.0.1,::1",
        "--host-record=api.example,127.0.0.1",
        "--cname=www.example,api.example",
        "--srv-host=_sip._udp.example,api.example,5062,10,60",
    ]);
    command.arg(format!("--port={port}"));
    Peer::udp(&mut command, port, directory, &ROOT_NS)
}

fn resolving(peer: &Peer) -> PathConfig {
    PathConfig {
        resolver: ResolverChoice::at(peer.address),
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

#[tokio::test]
async fn names_resolve_with_their_aliases() {
    let peer = serve();
    let mut tcp = ask("tcp");
    tcp.host = Host::Name("www.example".to_owned());
    tcp.port = Some(peer.address.port());
    let finding = run(&tcp, resolving(&peer)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let resolution = finding.resolution.unwrap();
    let aliases: Vec<_> = resolution
        .ipv4
        .aliases
        .iter()
        .map(|alias| (alias.name.as_str(), alias.target.as_str()))
        .collect();
    assert_eq!(aliases, [("www.example.", "api.example.")]);
    assert_eq!(resolution.ipv4.addresses[0].address, peer.address.ip());
    assert_eq!(resolution.ipv6.trouble, Some(Trouble::NoAddress));
}

#[tokio::test]
async fn a_missing_name_and_a_refusing_resolver_are_told_apart() {
    let peer = serve();
    let mut tcp = ask("tcp");
    tcp.host = Host::Name("no.example".to_owned());
    let finding = run(&tcp, resolving(&peer)).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::NameNotFound))
    );
    tcp.host = Host::Name("elsewhere.test".to_owned());
    let finding = run(&tcp, resolving(&peer)).await;
    let trouble = Trouble::ResolverRefused {
        rcode: "REFUSED".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(trouble))
    );
}

#[tokio::test]
async fn the_resolver_itself_is_probed_over_udp_and_tcp() {
    let peer = serve();
    for transport in [Transport::Udp, Transport::Tcp] {
        let question = Some("www.example".to_owned());
        let ask = Ask {
            transport,
            question,
            ..ask("dns")
        };
        let finding = run(&ask, config_to(peer.address)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        let dns = finding.attempts[0].dns.clone().unwrap();
        let types: Vec<_> = dns
            .answers
            .iter()
            .map(|it| it.record_type.as_str())
            .collect();
        assert_eq!(types, ["CNAME", "A"]);
    }
}

#[tokio::test]
async fn a_service_is_followed_to_its_server() {
    let peer = serve();
    let ask = Ask {
        question: Some("_sip._udp.example".to_owned()),
        ..ask("dns")
    };
    let finding = run(&ask, config_to(peer.address)).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let services = finding.attempts[0].dns.clone().unwrap().services;
    let told = (services[0].priority, services[0].weight, services[0].port);
    assert_eq!(told, (10, 60, 5062));
    assert_eq!(services[0].addresses[0].address, peer.address.ip());
}
