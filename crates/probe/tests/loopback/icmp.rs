//! Echoes of this machine itself.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use futures_util::future::join;
use outgate_probe::{Ask, Host, Outcome, Path, PathConfig, Transport, Trouble};
use socket2::{Domain, Protocol, Socket, Type};

use crate::asks::{nowhere, run_on};

fn path() -> Path {
    Path::new(PathConfig {
        resolver: nowhere(),
        timeout: Duration::from_secs(4),
        ..PathConfig::default()
    })
    .unwrap()
}

fn echo(address: IpAddr) -> Ask {
    Ask::new("icmp-echo", Host::Address(address), None, Transport::Icmp)
}

/// Whether this process may have such a socket at all, found out independently.
fn permitted(address: IpAddr) -> bool {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    [Type::DGRAM, Type::RAW]
        .into_iter()
        .any(|kind| Socket::new(domain, kind, Some(protocol)).is_ok())
}

#[tokio::test]
async fn this_machine_echoes_where_the_process_may_ask() {
    for address in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let finding = run_on(&echo(address), &path()).await;
        if permitted(address) {
            assert_eq!(
                (finding.outcome, finding.trouble),
                (Outcome::Pass, None),
                "{address}"
            );
            let icmp = finding.attempts[0].icmp.clone().unwrap();
            assert_eq!(icmp.sent, 1);
            assert!(icmp.round_trip > Duration::ZERO);
        } else {
            assert_eq!(finding.outcome, Outcome::NotRun);
            assert!(matches!(
                finding.trouble,
                Some(Trouble::NotPermitted { .. })
            ));
        }
    }
}

#[tokio::test]
async fn echoes_to_one_address_keep_their_distance() {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let path = path();
    let ask = echo(address);
    let start = tokio::time::Instant::now();
    let (first, second) = join(run_on(&ask, &path), run_on(&ask, &path)).await;
    let expected = if permitted(address) {
        Outcome::Pass
    } else {
        Outcome::NotRun
    };
    assert_eq!([first.outcome, second.outcome], [expected; 2]);
    if expected == Outcome::Pass {
        assert!(start.elapsed() >= Duration::from_secs(1));
    }
}
