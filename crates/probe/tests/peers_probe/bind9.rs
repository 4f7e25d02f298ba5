//! Names, served by BIND: over UDP, TCP and HTTPS, by IPv4 and IPv6.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
};

use outgate_probe::{
    Ask, DnsEvidence, Finding, Host, NameServer, Outcome, Path, PathConfig, Proxy, ProxyChoice,
    ProxyKind, Proxying, ResolverChoice, Transport, Trouble,
};
use tempfile::TempDir;

use crate::{
    asks::{PATIENCE, ask, config_to, run, run_on},
    authority::Authority,
    dnsmasq::ROOT_NS,
    peer::{Peer, free_port, write},
    proxies,
};

/// Both addresses of this machine.
pub(crate) const FAMILIES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// What is at the root, so that nothing is asked of the real one.
const ROOT: &str = "@ 60 SOA ns.example. root.example. 1 60 60 60 60\n@ 60 NS ns.example.\n";

/// A running BIND.
pub(crate) struct Bind {
    peer: Peer,
    https: u16,
    authority: Authority,
}

impl Bind {
    /// It answers for all names that there are: those of `zone`, below `example`.
    pub(crate) fn start(zone: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("BIND's authority");
        let identity = authority.right();
        write(&directory, "certificate.pem", &identity.certificate);
        write(&directory, "key.pem", &identity.key);
        write(&directory, "root.zone", ROOT);
        let start = "@ 60 SOA ns root 1 60 60 60 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n";
        write(&directory, "example.zone", format!("{start}{zone}"));
        let (port, https) = (free_port(), free_port());
        let here = directory.path().display();
        let configuration = format!(
            "tls own {{ cert-file \"{here}/certificate.pem\"; key-file \"{here}/key.pem\"; }};
            http own {{ endpoints {{ \"/dns-query\"; }}; }};
            controls {{ }};
            options {{
                directory \"{here}\"; pid-file none; session-keyfile none; lock-file none;
                listen-on port {port} {{ 127.0.0.1; }};
                listen-on-v6 port {port} {{ ::1; }};
                listen-on port {https} tls own http own {{ 127.0.0.1; }};
                listen-on-v6 port {https} tls own http own {{ ::1; }};
                recursion yes; dnssec-validation no; empty-zones-enable no;
                notify no; minimal-responses yes; max-udp-size 1232;
            }};
            zone \".\" {{ type primary; file \"root.zone\"; }};
            zone \"example\" {{ type primary; file \"example.zone\"; }};\n"
        );
        let file = write(&directory, "named.conf", configuration);
        let mut command = Command::new("named");
        command.args(["-g", "-n", "1"]).arg("-c").arg(file);
        Self {
            peer: Peer::udp(&mut command, port, directory, &ROOT_NS),
            https,
            authority,
        }
    }

    /// Where it answers over UDP and TCP.
    pub(crate) fn at(&self, family: IpAddr) -> SocketAddr {
        (family, self.peer.address.port()).into()
    }

    /// A path on which it is asked for a second opinion by this address, and `resolver` otherwise.
    fn outside(&self, resolver: SocketAddr, family: IpAddr) -> PathConfig {
        let url = format!(
            "https://{}/dns-query",
            SocketAddr::from((family, self.https))
        );
        PathConfig {
            connect_to: Vec::new(),
            resolver: ResolverChoice::at(resolver),
            second_opinion: Some(url.parse().unwrap()),
            timeout: PATIENCE,
            ..self.authority.config_to(resolver)
        }
    }
}

/// Names outside, and one with more addresses than a datagram holds.
pub(crate) fn zone() -> String {
    let many: String = (1..=100)
        .map(|last| format!("many 60 A 192.0.2.{last}\n"))
        .collect();
    format!(
        "api 60 A 127.0.0.1\napi 60 AAAA ::1\nwww 60 CNAME api\nhidden 60 A 192.0.2.7\n\
         inside 60 A 10.1.2.3\nmixed 60 A 10.1.2.3\nmixed 60 A 192.0.2.8\n{many}"
    )
}

/// What a name server says, asked itself.
pub(crate) async fn asked(
    server: SocketAddr,
    transport: Transport,
    question: &str,
) -> (Finding, DnsEvidence) {
    let ask = Ask {
        transport,
        question: Some(question.to_owned()),
        ..ask("dns")
    };
    let finding = run(&ask, config_to(server)).await;
    let dns = finding.attempts[0].dns.clone().unwrap();
    (finding, dns)
}

pub(crate) fn types(dns: &DnsEvidence) -> Vec<&str> {
    let answers = dns.answers.iter();
    answers.map(|it| it.record_type.as_str()).collect()
}

#[tokio::test]
async fn bind_is_probed_over_udp_and_tcp_by_ipv4_and_ipv6() {
    let bind = Bind::start(&zone());
    for family in FAMILIES {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (finding, dns) = asked(bind.at(family), transport, "www.example").await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
            assert_eq!(types(&dns), ["CNAME", "A"]);
            assert_eq!(finding.attempts[0].address, family);
            let (finding, dns) = asked(bind.at(family), transport, "no.example").await;
            assert_eq!(finding.outcome, Outcome::Pass, "it did its work");
            assert_eq!(dns.rcode, "NXDOMAIN");
        }
    }
}

#[tokio::test]
async fn an_answer_of_bind_that_is_too_long_for_udp_comes_over_tcp() {
    let bind = Bind::start(&zone());
    for family in FAMILIES {
        let (finding, dns) = asked(bind.at(family), Transport::Udp, "many.example").await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        assert_eq!((dns.truncated, dns.over_tcp), (true, true));
        assert_eq!(dns.answers.len(), 32, "the bound");
    }
}

#[tokio::test]
async fn names_resolve_by_bind_in_both_families() {
    let bind = Bind::start(&zone());
    for family in FAMILIES {
        let mut tcp = ask("tcp");
        tcp.host = Host::Name("www.example".to_owned());
        tcp.port = Some(bind.peer.address.port());
        let config = PathConfig {
            resolver: ResolverChoice::at(bind.at(family)),
            timeout: PATIENCE,
            ..PathConfig::default()
        };
        let finding = run(&tcp, config).await;
        assert_eq!((finding.outcome, &finding.trouble), (Outcome::Pass, &None));
        let resolution = finding.resolution.unwrap();
        let addresses: Vec<_> = resolution.addresses().collect();
        assert_eq!(addresses, FAMILIES);
        assert_eq!(resolution.ipv6.aliases[0].target, "api.example.");
    }
}

fn outside_ask(name: &str) -> Ask {
    Ask {
        host: Host::Name(name.to_owned()),
        outside: true,
        ..ask("tcp")
    }
}

#[tokio::test]
async fn bind_gives_a_second_opinion_over_https_by_ipv4_and_ipv6() {
    let inside = Bind::start("");
    let outside = Bind::start(&zone());
    for family in FAMILIES {
        let config = outside.outside(inside.at(FAMILIES[0]), family);
        let path = Path::new(config).unwrap();
        let finding = run_on(&outside_ask("hidden.example"), &path).await;
        let url = format!("https://{}", SocketAddr::from((family, outside.https)));
        let elsewhere = NameServer::Https(url);
        let trouble = Trouble::NameHidden {
            here: Box::new(Trouble::NameNotFound),
            elsewhere: elsewhere.clone(),
        };
        assert_eq!(finding.trouble, Some(trouble));
        let told = finding.resolution.unwrap().elsewhere.unwrap();
        let addresses: Vec<_> = told.addresses().collect();
        assert_eq!(addresses, [IpAddr::from([192, 0, 2, 7])]);
        assert_eq!(told.ipv6.trouble, Some(Trouble::NoAddress));
        assert_eq!(told.ipv4.asked[0].rcode.as_deref(), Some("NOERROR"));
        let finding = run_on(&outside_ask("no.example"), &path).await;
        assert_eq!(finding.trouble, Some(Trouble::NameNowhere { elsewhere }));
    }
}

#[tokio::test]
async fn bind_gives_a_second_opinion_through_a_proxy() {
    let inside = Bind::start("");
    let outside = Bind::start(&zone());
    let proxy = proxies::tinyproxy(false);
    let (host, port) = (Host::Address(proxy.address.ip()), proxy.address.port());
    let proxy = Proxy::new(ProxyKind::Http, host, port);
    let config = PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Always(proxy),
            ..Proxying::default()
        },
        ..outside.outside(inside.at(FAMILIES[0]), FAMILIES[0])
    };
    // Only datagrams have their names resolved here behind a proxy.
    let ask = Ask {
        transport: Transport::Udp,
        protocol: "ntp".to_owned(),
        ..outside_ask("hidden.example")
    };
    let finding = run(&ask, config).await;
    let hidden = matches!(finding.trouble, Some(Trouble::NameHidden { .. }));
    assert!(hidden, "{finding:?}");
}

/// Services: with two servers, with one server of two that has no address, with none that has, one
/// that is not offered, and one under another name.
const SERVICES: &str = "_sip._udp 60 SRV 20 0 5060 spare\n_sip._udp 60 SRV 10 60 5062 api\n\
    spare 60 A 192.0.2.20\nspare 60 AAAA 2001:db8::20\n_half._tcp 60 SRV 1 0 1 api\n\
    _half._tcp 60 SRV 2 0 2 lost\nlost 60 TXT lost\n_lost._tcp 60 SRV 1 0 1 lost\n\
    _off._tcp 60 SRV 0 0 0 .\n_alias._udp 60 CNAME _sip._udp\n";

#[tokio::test]
async fn a_service_is_followed_to_its_servers_over_udp_and_tcp_by_ipv4_and_ipv6() {
    let bind = Bind::start(&format!("{}{SERVICES}", zone()));
    for family in FAMILIES {
        for transport in [Transport::Udp, Transport::Tcp] {
            for name in ["_sip._udp.example", "_alias._udp.example"] {
                let (finding, dns) = asked(bind.at(family), transport, name).await;
                assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
                assert_eq!(dns.record_type, "SRV");
                let told: Vec<_> = dns
                    .services
                    .iter()
                    .map(|it| (it.priority, it.weight, it.port, it.target.as_str()))
                    .collect();
                let expected = [
                    (10, 60, 5062, "api.example."),
                    (20, 0, 5060, "spare.example."),
                ];
                assert_eq!(told, expected);
                let addresses = |at: usize| -> Vec<String> {
                    let records = dns.services[at].addresses.iter();
                    records.map(|one| one.address.to_string()).collect()
                };
                assert_eq!(addresses(0), ["127.0.0.1", "::1"]);
                assert_eq!(addresses(1), ["192.0.2.20", "2001:db8::20"]);
            }
        }
    }
}

#[tokio::test]
async fn a_service_that_leads_nowhere_says_why() {
    let bind = Bind::start(&format!("{}{SERVICES}", zone()));
    let name = |name: &str| name.to_owned();
    let lost = || Trouble::ServiceWithoutAddress {
        target: name("lost.example."),
    };
    for (asked_for, outcome, trouble) in [
        ("_half._tcp.example", Outcome::Warn, lost()),
        ("_lost._tcp.example", Outcome::Fail, lost()),
        (
            "_off._tcp.example",
            Outcome::Fail,
            Trouble::ServiceNotOffered {
                name: name("_off._tcp.example"),
            },
        ),
        (
            "_no._tcp.example",
            Outcome::Fail,
            Trouble::ServiceUnknown {
                name: name("_no._tcp.example"),
            },
        ),
    ] {
        let (finding, _) = asked(bind.at(FAMILIES[1]), Transport::Udp, asked_for).await;
        assert_eq!((finding.outcome, finding.trouble), (outcome, Some(trouble)));
    }
}
