//! Names that resolve, names that do not, and every reason why.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use futures_util::future::join_all;
use hickory_proto::{
    op::ResponseCode,
    rr::{
        RData, RecordType,
        rdata::{A, AAAA},
    },
};
use outgate_probe::{
    AddressRecord, Alias, Finding, Host, Outcome, Path, PathConfig, ResolverChoice, Trouble,
};

use crate::{
    asks::{PATIENCE, ask, nowhere, run_on},
    resolver::{Resolver, Say},
};

const LOCALHOST: RData = RData::A(A(std::net::Ipv4Addr::LOCALHOST));

fn config(resolver: ResolverChoice) -> PathConfig {
    PathConfig {
        resolver,
        timeout: PATIENCE,
        ..PathConfig::default()
    }
}

async fn resolve(say: fn(&str, RecordType) -> Say) -> Finding {
    let resolver = Resolver::start(say).await;
    let path = Path::new(config(ResolverChoice::at(resolver.address))).unwrap();
    run_on(&ask("tcp"), &path).await
}

async fn trouble_with(say: fn(&str, RecordType) -> Say) -> Option<Trouble> {
    let finding = resolve(say).await;
    assert_eq!(finding.outcome, Outcome::Fail);
    assert_eq!(finding.attempts, []);
    finding.trouble
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_found() {
    let trouble = trouble_with(|_, _| Say::Code(ResponseCode::NXDomain)).await;
    assert_eq!(trouble, Some(Trouble::NameNotFound));
}

#[tokio::test]
async fn a_name_without_addresses_is_told_from_one_that_does_not_exist() {
    let trouble = trouble_with(|_, _| Say::Records(Vec::new())).await;
    assert_eq!(trouble, Some(Trouble::NoAddress));
}

#[tokio::test]
async fn a_resolver_that_fails_or_refuses_is_quoted() {
    let trouble = trouble_with(|_, _| Say::Code(ResponseCode::ServFail)).await;
    assert_eq!(
        trouble,
        Some(Trouble::ResolverRefused {
            rcode: "SERVFAIL".to_owned()
        })
    );
    let trouble = trouble_with(|_, _| Say::Code(ResponseCode::Refused)).await;
    assert_eq!(
        trouble,
        Some(Trouble::ResolverRefused {
            rcode: "REFUSED".to_owned()
        })
    );
}

#[tokio::test]
async fn a_resolver_that_says_nothing_is_silent() {
    assert_eq!(
        trouble_with(|_, _| Say::Nothing).await,
        Some(Trouble::ResolverSilent)
    );
}

#[tokio::test]
async fn a_resolver_that_is_not_there_is_unreachable() {
    let path = Path::new(config(nowhere())).unwrap();
    let finding = run_on(&ask("tcp"), &path).await;
    let expected = (Outcome::Fail, Some(Trouble::ResolverUnreachable));
    assert_eq!((finding.outcome, finding.trouble), expected);
}

#[tokio::test]
async fn a_name_with_one_broken_family_is_not_called_missing() {
    let trouble = trouble_with(|_, record_type| match record_type {
        RecordType::A => Say::Records(Vec::new()),
        _ => Say::Code(ResponseCode::ServFail),
    })
    .await;
    assert_eq!(
        trouble,
        Some(Trouble::ResolverRefused {
            rcode: "SERVFAIL".to_owned()
        })
    );
}

#[tokio::test]
async fn the_alias_chain_and_times_to_live_are_evidence() {
    let finding = resolve(|_, record_type| match record_type {
        RecordType::A => Say::Chain(vec!["edge.example.", "host.example."], LOCALHOST),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let resolution = finding.resolution.unwrap();
    let alias = |name: &str, target: &str| Alias {
        name: name.to_owned(),
        target: target.to_owned(),
        ttl_seconds: 30,
    };
    assert_eq!(
        resolution.ipv4.aliases,
        [
            alias("api.example.", "edge.example."),
            alias("edge.example.", "host.example.")
        ],
    );
    let address = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(
        resolution.ipv4.addresses,
        [AddressRecord {
            address,
            ttl_seconds: 60
        }]
    );
    assert_eq!(resolution.ipv6.trouble, Some(Trouble::NoAddress));
    assert_eq!(resolution.name, "api.example");
}

#[tokio::test]
async fn fifty_lanes_of_one_name_ask_once_for_each_family() {
    let resolver = Resolver::start(|_, record_type| match record_type {
        RecordType::A => Say::Records(vec![LOCALHOST]),
        _ => Say::Code(ResponseCode::NXDomain),
    })
    .await;
    let path = Path::new(config(ResolverChoice::at(resolver.address))).unwrap();
    let mut asks = vec![ask("tcp"); 50];
    asks[7].host = Host::Name("API.example.".to_owned());
    join_all(asks.iter().map(|ask| run_on(ask, &path))).await;
    let mut asked = resolver.asked();
    asked.sort();
    let expected = [RecordType::A, RecordType::AAAA];
    assert_eq!(
        asked,
        expected.map(|record_type| ("api.example.".to_owned(), record_type))
    );
}

#[tokio::test]
async fn more_addresses_than_the_bound_are_left_out() {
    let finding = resolve(|_, record_type| match record_type {
        RecordType::AAAA => Say::Records(vec![RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)); 40]),
        _ => Say::Records(Vec::new()),
    })
    .await;
    assert_eq!(finding.resolution.unwrap().ipv6.addresses.len(), 32);
    assert!(finding.attempts.len() <= 2);
}

#[tokio::test]
async fn a_text_that_is_no_name_is_a_bad_ask_and_nobody_is_asked() {
    let resolver = Resolver::start(|_, _| Say::Nothing).await;
    let path = Path::new(config(ResolverChoice::at(resolver.address))).unwrap();
    let mut bad = ask("tcp");
    bad.host = Host::Name(format!("{}.example", "x".repeat(64)));
    let finding = run_on(&bad, &path).await;
    assert!(
        matches!(finding.trouble, Some(Trouble::BadAsk { .. })),
        "{:?}",
        finding.trouble
    );
    assert_eq!(resolver.asked(), []);
}

#[tokio::test]
async fn a_role_without_a_detour_is_not_run() {
    let path = Path::new(config(nowhere())).unwrap();
    let mut time = ask("ntp");
    time.host = Host::Role("time-server".to_owned());
    let finding = run_on(&time, &path).await;
    let trouble = Trouble::AddressUnknown {
        role: "time-server".to_owned(),
    };
    assert_eq!(
        (finding.outcome, finding.trouble),
        (Outcome::NotRun, Some(trouble))
    );
}

#[tokio::test]
async fn a_detour_may_lead_to_another_name() {
    let resolver = Resolver::start(|name, record_type| match (name, record_type) {
        ("other.example.", RecordType::A) => Say::Records(vec![LOCALHOST]),
        _ => Say::Records(Vec::new()),
    })
    .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let SocketAddr::V4(address) = listener.local_addr().unwrap() else {
        panic!("IPv4")
    };
    let mut config = config(ResolverChoice::at(resolver.address));
    config.connect_to = vec![
        format!("api.example:443:other.example:{}", address.port())
            .parse()
            .unwrap(),
    ];
    let finding = run_on(&ask("tcp"), &Path::new(config).unwrap()).await;
    assert_eq!((finding.outcome, finding.trouble), (Outcome::Pass, None));
}
