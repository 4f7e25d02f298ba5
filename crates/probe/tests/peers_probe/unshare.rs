//! Networks of a test's own, made by util-linux's `unshare`: without any route, and with a
//! packet filter (nftables) that turns packets away in every manner.

use std::{
    future::Future,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use outgate_probe::{Finding, Host, Outcome, PathConfig, PhaseName, Trouble};

use crate::asks::{ask, nowhere, run};

/// Set in the child that has a network of its own.
const INSIDE: &str = "OUTGATE_TEST_OWN_NETWORK";

/// The filter: each port is turned away in another manner.
const FILTER: &str = "
table inet filter {
    chain input {
        type filter hook input priority 0; policy accept;
        tcp dport 1001 reject with icmpx type admin-prohibited
        tcp dport 1002 reject with tcp reset
        tcp dport 1003 drop
        udp dport 1005 reject with icmpx type port-unreachable
        udp dport 1006 reject with icmpx type admin-prohibited
        udp dport 1007 drop
    }
}
";

/// Runs the test of this path again in a network of its own, with mounts that nobody else sees, and
/// `work` there.
pub(crate) fn in_own_network<F: Future<Output = ()>>(name: &str, work: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(work());
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

async fn probe(protocol: &str, address: &str, port: u16) -> Finding {
    let mut ask = ask(protocol);
    ask.host = Host::Address(address.parse().unwrap());
    ask.port = Some(port);
    let timeout = Duration::from_secs(2);
    run(
        &ask,
        PathConfig {
            resolver: nowhere(),
            timeout,
            ..PathConfig::default()
        },
    )
    .await
}

#[test]
fn without_a_route_nothing_is_sent_and_the_network_is_unreachable() {
    in_own_network(
        "unshare::without_a_route_nothing_is_sent_and_the_network_is_unreachable",
        || async {
            for address in ["192.0.2.1", "2001:db8::1"] {
                let finding = probe("tcp", address, 443).await;
                let expected = (Outcome::Fail, Some(Trouble::NetworkUnreachable));
                assert_eq!((finding.outcome, finding.trouble), expected);
                assert_eq!(finding.attempts[0].outcome, Outcome::NotApplicable);
                assert_eq!(finding.attempts[0].phases, []);
            }
        },
    );
}

#[test]
fn a_packet_filter_is_known_by_how_it_turns_packets_away() {
    in_own_network(
        "unshare::a_packet_filter_is_known_by_how_it_turns_packets_away",
        || async {
            set_up_filter();
            let (v4, v6) = ("127.0.0.1", "::1");
            let silence = |phase| Trouble::TimedOut { phase };
            let prohibited = Trouble::HostUnreachable { at_once: true };
            for (protocol, address, port, trouble) in [
                ("tcp", v4, 1001, prohibited.clone()),
                ("tcp", v6, 1001, Trouble::AdminProhibited),
                ("tcp", v4, 1002, Trouble::Refused),
                ("tcp", v4, 1003, silence(PhaseName::Connect)),
                ("ntp", v4, 1005, Trouble::Refused),
                ("ntp", v6, 1005, Trouble::Refused),
                ("ntp", v4, 1006, prohibited.clone()),
                ("ntp", v6, 1006, Trouble::AdminProhibited),
                ("ntp", v4, 1007, silence(PhaseName::Exchange)),
            ] {
                let finding = probe(protocol, address, port).await;
                let trouble_found = match finding.trouble {
                    // On loopback the message may come while the kernel is still inside connect(),
                    // and then counts only after the second try a second later.
                    Some(Trouble::HostUnreachable { at_once: _ }) => Some(prohibited.clone()),
                    other @ (Some(_) | None) => other,
                };
                let found = (finding.outcome, trouble_found);
                assert_eq!(
                    found,
                    (Outcome::Fail, Some(trouble)),
                    "{protocol} {address} {port}"
                );
            }
        },
    );
}

fn set_up_filter() {
    load(FILTER);
}

/// Has the network's loopback, which this brings up, filter what comes in by these rules alone.
pub(crate) fn load_rules(rules: &str) {
    let chain = "type filter hook input priority 0; policy accept;";
    load(&format!(
        "table inet filter {{\nchain input {{\n{chain}\n{rules}\n}}\n}}\n"
    ));
}

fn load(ruleset: &str) {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .unwrap();
    assert!(up.success());
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = nft.stdin.take().unwrap();
    write!(input, "flush ruleset\n{ruleset}").unwrap();
    drop(input);
    assert!(nft.wait().unwrap().success());
}
