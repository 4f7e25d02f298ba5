//! Questions to name servers and to everybody, from one of two networks.

use std::{process::Command, time::Duration};

use outgate_probe::{
    Ask, Finding, Host, Outcome, PathConfig, ResolverChoice, Source, Transport, Trouble,
};

use crate::{
    asks::{ask, nowhere, run},
    avahi::avahi,
    neighbour::Neighbour,
    unshare::in_own_network,
};

/// This machine on the neighbour's network, and on one with nobody else.
const OURS: &str = "10.77.0.1";
const LONELY: &str = "10.77.0.9";

fn interface(name: &str) -> Source {
    Source::Interface(name.to_owned())
}

fn address(text: &str) -> Source {
    Source::Address(text.parse().unwrap())
}

/// A second network, which this machine would choose on the way to the neighbour.
fn add_second_network() {
    let script = format!(
        "ip link add second type veth peer name far
         ip link set far up
         ip addr add {LONELY}/25 dev second
         ip link set second up"
    );
    let status = Command::new("sh").args(["-ec", &script]).status().unwrap();
    assert!(status.success());
}

/// dnsmasq next door. It hears only questions from the address that is not the lonely one.
fn name_server() -> Neighbour {
    let script = "exec dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user=root \
        --listen-address=10.77.0.2 --bind-interfaces --pid-file= --log-queries \
        --local=/example/ --host-record=api.example,10.77.0.2";
    Neighbour::start(script, "started")
}

/// What the one name server is asked, and what it comes to.
async fn resolved_from(source: Source) -> Finding {
    let mut tcp = ask("tcp");
    tcp.host = Host::Name("api.example".to_owned());
    tcp.port = Some(53);
    let config = PathConfig {
        source,
        resolver: ResolverChoice::at("10.77.0.2:53".parse().unwrap()),
        timeout: Duration::from_secs(2),
        ..PathConfig::default()
    };
    run(&tcp, config).await
}

#[test]
fn questions_to_name_servers_set_out_from_the_chosen_interface_or_address() {
    let name = "sources::questions_to_name_servers_set_out_from_the_chosen_interface_or_address";
    in_own_network(name, || async {
        let _neighbour = name_server();
        let finding = resolved_from(address(OURS)).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
        add_second_network();
        for source in [Source::Any, interface("second"), address(LONELY)] {
            let finding = resolved_from(source.clone()).await;
            let unheard = matches!(
                finding.trouble,
                Some(Trouble::ResolverSilent | Trouble::ResolverUnreachable)
            );
            assert!(unheard, "{source:?}: {:?}", finding.trouble);
        }
        let finding = resolved_from(interface("e0")).await;
        assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    });
}

async fn asked_from(protocol: &str, group: &str, source: Source) -> Finding {
    let asked = Ask {
        host: Host::Address(group.parse().unwrap()),
        port: Some(if protocol == "mdns" { 5353 } else { 5355 }),
        transport: Transport::Udp,
        question: Some("cube.local".to_owned()),
        ..ask(protocol)
    };
    let config = PathConfig {
        source,
        resolver: nowhere(),
        ..PathConfig::default()
    };
    run(&asked, config).await
}

fn interfaces(finding: &Finding) -> Vec<String> {
    let evidence = finding.attempts[0].multicast.as_ref();
    evidence.map_or_else(Vec::new, |it| it.interfaces.clone())
}

#[test]
fn everybody_is_asked_on_the_chosen_network_alone() {
    let name = "sources::everybody_is_asked_on_the_chosen_network_alone";
    in_own_network(name, || async {
        let _avahi = avahi();
        add_second_network();
        let (v4, v6) = ("224.0.0.251", "ff02::fb");
        let both = vec!["e0".to_owned(), "second".to_owned()];
        let (e0, second) = (vec!["e0".to_owned()], vec!["second".to_owned()]);
        for (group, source, asked) in [
            (v4, Source::Any, &both),
            (v4, interface("e0"), &e0),
            (v6, interface("e0"), &e0),
            (v4, address(OURS), &e0),
        ] {
            let finding = asked_from("mdns", group, source.clone()).await;
            let found = (finding.outcome, finding.trouble.clone());
            assert_eq!(found, (Outcome::Pass, None), "{group} {source:?}");
            assert_eq!(interfaces(&finding), *asked, "{group} {source:?}");
        }
        for (protocol, group, source) in [
            ("mdns", v4, interface("second")),
            ("mdns", v6, interface("second")),
            ("mdns", v4, address(LONELY)),
            ("llmnr", "224.0.0.252", interface("second")),
            ("llmnr", "ff02::1:3", interface("second")),
        ] {
            let finding = asked_from(protocol, group, source.clone()).await;
            let nobody = Some(Trouble::NobodyAnswered);
            assert_eq!(finding.trouble, nobody, "{group} {source:?}");
            assert_eq!(interfaces(&finding), second, "{group} {source:?}");
        }
        // A group of the other family is out of reach from an address.
        let finding = asked_from("mdns", v6, address(OURS)).await;
        assert_eq!(finding.attempts[0].outcome, Outcome::NotApplicable);
    });
}
