//! Multicast DNS, answered by avahi on another machine of the local network.

use std::{net::IpAddr, process::Command};

use outgate_probe::{Finding, Host, MulticastAnswer, Outcome, PathConfig, Transport, Trouble};
use tempfile::TempDir;

use crate::{
    asks::{ask, nowhere, run},
    neighbour::Neighbour,
    peer::write,
    unshare::in_own_network,
};

const GROUPS: [&str; 2] = ["224.0.0.251", "ff02::fb"];

/// A neighbour `cube` with avahi.
pub(crate) fn avahi() -> (Neighbour, TempDir) {
    let directory = TempDir::new().unwrap();
    let configuration = "[server]\nhost-name=cube\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=no\n\
        allow-interfaces=e0\n[publish]\npublish-workstation=yes\npublish-hinfo=no\n";
    let configuration = write(&directory, "avahi.conf", configuration);
    // It looks for a user and a group of its own, even to stay what it is.
    let script = format!(
        "for file in passwd group; do
             {{ cat /etc/$file; echo avahi:x:0:0::/:/bin/false; }} > /run/$file
             mount --bind /run/$file /etc/$file
         done
         mkdir -p /run/avahi-daemon
         exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f {}",
        configuration.display()
    );
    (
        Neighbour::start(&script, "Server startup complete"),
        directory,
    )
}

async fn asked(group: &str, name: Option<&str>) -> Finding {
    let mut ask = ask("mdns");
    ask.host = Host::Address(group.parse().unwrap());
    ask.port = Some(5353);
    ask.transport = Transport::Udp;
    ask.question = name.map(str::to_owned);
    let config = PathConfig {
        resolver: nowhere(),
        ..PathConfig::default()
    };
    run(&ask, config).await
}

fn answers(finding: &Finding) -> Vec<MulticastAnswer> {
    let evidence = finding.attempts[0].multicast.clone().unwrap();
    assert_eq!(evidence.interfaces, ["e0"]);
    evidence.answers
}

#[test]
fn avahi_answers_for_its_name_and_its_services_over_ipv4_and_ipv6() {
    in_own_network(
        "avahi::avahi_answers_for_its_name_and_its_services_over_ipv4_and_ipv6",
        || async {
            let _avahi = avahi();
            for group in GROUPS {
                let finding = asked(group, Some("cube.local")).await;
                let found = (finding.outcome, finding.trouble.clone());
                assert_eq!(found, (Outcome::Pass, None), "{group}");
                let answers = answers(&finding);
                let records = &answers[0].records;
                assert_eq!(records[0].name, "cube.local.");
                let finding = asked(group, None).await;
                assert_eq!(
                    (finding.outcome, finding.trouble.clone()),
                    (Outcome::Pass, None)
                );
                let answers = self::answers(&finding);
                let workstation = "_workstation._tcp.local.";
                let offers = answers[0].records.iter().any(|it| it.data == workstation);
                assert!(offers, "{answers:?}");
                let v4 = IpAddr::from([10, 77, 0, 2]);
                assert!(group.contains(':') || answers[0].from == v4);
            }
        },
    );
}

#[test]
fn silence_is_a_failure_for_a_name_and_a_warning_for_nobody_in_particular() {
    in_own_network(
        "avahi::silence_is_a_failure_for_a_name_and_a_warning_for_nobody_in_particular",
        || async {
            let _avahi = avahi();
            let nobody = Some(Trouble::NobodyAnswered);
            let finding = asked(GROUPS[0], Some("other.local")).await;
            assert_eq!(
                (finding.outcome, finding.trouble),
                (Outcome::Fail, nobody.clone())
            );
            // A switch that lets no multicast through.
            let filter = "table netdev f { chain c { \
                type filter hook ingress device e0 priority 0; policy drop; }; }";
            let filtered = Command::new("nft").arg(filter).status().unwrap();
            assert!(filtered.success());
            let finding = asked(GROUPS[0], None).await;
            assert_eq!((finding.outcome, finding.trouble), (Outcome::Warn, nobody));
        },
    );
}

#[test]
fn a_machine_on_no_network_has_nobody_to_ask() {
    in_own_network(
        "avahi::a_machine_on_no_network_has_nobody_to_ask",
        || async {
            let finding = asked(GROUPS[1], None).await;
            let expected = (Outcome::Fail, Some(Trouble::NetworkUnreachable));
            assert_eq!((finding.outcome, finding.trouble), expected);
            assert_eq!(finding.attempts[0].outcome, Outcome::NotApplicable);
        },
    );
}
