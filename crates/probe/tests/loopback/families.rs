//! IPv4 and IPv6 apart: each is tried, each has its own evidence.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{
    RData, RecordType,
    rdata::{A, AAAA},
};
use outgate_probe::{Family, Finding, Outcome, Path, PathConfig, ResolverChoice, Trouble};
use tokio::net::TcpListener;

use crate::{
    asks::{PATIENCE, ask, run_on},
    resolver::{Resolver, Say},
};

async fn finding(say: fn(&str, RecordType) -> Say, port: u16) -> Finding {
    let resolver = Resolver::start(say).await;
    let config = PathConfig {
        resolver: ResolverChoice::at(resolver.address),
        timeout: PATIENCE,
        ..PathConfig::default()
    };
    let mut ask = ask("tcp");
    ask.port = Some(port);
    run_on(&ask, &Path::new(config).unwrap()).await
}

fn both(_: &str, record_type: RecordType) -> Say {
    Say::Records(match record_type {
        RecordType::A => vec![RData::A(A(Ipv4Addr::LOCALHOST))],
        RecordType::AAAA => vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST))],
        _ => Vec::new(),
    })
}

/// A port that is free in both families, listening in one or both.
async fn listen(addresses: &[&str]) -> (Vec<TcpListener>, u16) {
    let first = TcpListener::bind((addresses[0], 0)).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let mut listeners = vec![first];
    for address in &addresses[1..] {
        listeners.push(TcpListener::bind((*address, port)).await.unwrap());
    }
    (listeners, port)
}

#[tokio::test]
async fn both_families_open_pass() {
    let (_listeners, port) = listen(&["::1", "127.0.0.1"]).await;
    let finding = finding(both, port).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    let families: Vec<_> = finding
        .attempts
        .iter()
        .map(|attempt| attempt.family)
        .collect();
    assert_eq!(families, [Family::V4, Family::V6]);
}

#[tokio::test]
async fn one_family_closed_is_a_warning_with_its_reason() {
    let (_listeners, port) = listen(&["127.0.0.1"]).await;
    let finding = finding(both, port).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(Trouble::Refused))
    );
    let outcomes: Vec<_> = finding
        .attempts
        .iter()
        .map(|attempt| (attempt.family, attempt.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [(Family::V4, Outcome::Pass), (Family::V6, Outcome::Fail)]
    );
}

#[tokio::test]
async fn both_families_closed_fail() {
    let (listeners, port) = listen(&["127.0.0.1"]).await;
    drop(listeners);
    let finding = finding(both, port).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Fail, Some(Trouble::Refused))
    );
}

#[tokio::test]
async fn a_name_without_ipv6_addresses_is_judged_by_ipv4_alone() {
    let (_listeners, port) = listen(&["127.0.0.1"]).await;
    let v4_only = |name: &str, record_type| match record_type {
        RecordType::A => both(name, record_type),
        _ => Say::Records(Vec::new()),
    };
    let finding = finding(v4_only, port).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
    assert_eq!(finding.attempts.len(), 1);
}

#[tokio::test]
async fn a_family_whose_question_fails_is_a_warning_too() {
    let (_listeners, port) = listen(&["127.0.0.1"]).await;
    let v6_broken = |name: &str, record_type| match record_type {
        RecordType::A => both(name, record_type),
        _ => Say::Code(hickory_proto::op::ResponseCode::ServFail),
    };
    let finding = finding(v6_broken, port).await;
    let trouble = Trouble::ResolverRefused {
        rcode: "SERVFAIL".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(trouble))
    );
}

#[tokio::test]
async fn the_second_address_of_a_family_is_tried_and_the_third_is_not() {
    // 127.0.0.2 listens, 127.0.0.1 does not.
    let (_listeners, port) = listen(&["127.0.0.2"]).await;
    let addresses = |_: &str, record_type| {
        let last = [1, 2, 3].map(|last| RData::A(A(Ipv4Addr::new(127, 0, 0, last))));
        Say::Records(if record_type == RecordType::A {
            last.into()
        } else {
            Vec::new()
        })
    };
    let finding = finding(addresses, port).await;
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::Warn, Some(Trouble::Refused))
    );
    let outcomes: Vec<_> = finding
        .attempts
        .iter()
        .map(|attempt| attempt.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Pass]);
}
