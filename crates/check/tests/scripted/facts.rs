//! What the probes of several lanes show together, and what one alone does not.

use std::net::IpAddr;
use std::time::Duration;

use outgate_check::{CauseKind, Owner, Report};
use outgate_probe::{
    AddressRecord, Ask, Attempt, Elsewhere, FamilyAnswer, Finding, NameServer, Outcome, PhaseName,
    Resolution, ServerAnswer, Transport, Trouble,
};

use crate::support::{check, failed, flow, passed, scripted};

/// What one host came to: its name, its addresses, and the trouble with each, if any.
type Seen = (&'static str, &'static [(&'static str, Option<Trouble>)]);

fn answer(addresses: impl Iterator<Item = IpAddr>) -> FamilyAnswer {
    let record = |address| AddressRecord {
        address,
        ttl_seconds: 60,
    };
    FamilyAnswer {
        addresses: addresses.map(record).collect(),
        aliases: Vec::new(),
        asked: Vec::new(),
        trouble: None,
        took: Duration::ZERO,
    }
}

fn finding((name, attempts): &Seen) -> Finding {
    let tried = |(address, trouble): &(&str, Option<Trouble>)| {
        let mut attempt = Attempt::new(address.parse().unwrap(), Some(443));
        attempt.outcome = match trouble {
            None => Outcome::Pass,
            Some(Trouble::NotPermitted { .. }) => Outcome::NotRun,
            Some(_) => Outcome::Fail,
        };
        attempt.trouble.clone_from(trouble);
        attempt
    };
    let attempts: Vec<Attempt> = attempts.iter().map(tried).collect();
    let addresses = |v4| {
        let all = attempts.iter().map(|one| one.address);
        answer(all.filter(move |one| one.is_ipv4() == v4))
    };
    let resolution = Resolution {
        name: (*name).to_owned(),
        resolvers: Vec::new(),
        ipv4: addresses(true),
        ipv6: addresses(false),
        elsewhere: None,
    };
    let trouble = attempts.iter().find_map(|one| one.trouble.clone());
    let mut finding = trouble.map_or_else(passed, failed);
    if attempts.iter().any(|one| one.outcome == Outcome::Pass) && finding.trouble.is_some() {
        finding.outcome = Outcome::Warn;
    }
    Finding {
        resolution: Some(resolution),
        attempts,
        ..finding
    }
}

async fn report(seen: &'static [Seen]) -> Report {
    let flows: String = seen
        .iter()
        .map(|(name, _)| {
            let reach = if name.ends_with(".lan") {
                ", reach: site"
            } else {
                ""
            };
            flow(name.split('.').next().unwrap(), name, reach)
        })
        .collect();
    let probe = scripted(move |ask: &Ask| {
        let host = ask.host.to_string();
        finding(seen.iter().find(|(name, _)| *name == host).unwrap())
    });
    check(&flows, probe, 8).await
}

/// Kind and subject of each cause.
async fn causes(seen: &'static [Seen]) -> Vec<(CauseKind, String)> {
    let report = report(seen).await;
    let causes = report.causes.into_iter();
    causes.map(|cause| (cause.kind, cause.subject)).collect()
}

fn blocked(name: &str) -> (CauseKind, String) {
    (CauseKind::NameBlocked, name.to_owned())
}

const PUBLIC: Seen = ("b.example", &[("192.0.2.2", None)]);

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_nowhere_is_blocked_by_the_name_server() {
    const SEEN: &[Seen] = &[(
        "a.example",
        &[
            ("0.0.0.0", Some(Trouble::Refused)),
            ("::", Some(Trouble::Refused)),
        ],
    )];
    let report = report(SEEN).await;
    assert_eq!(report.causes.len(), 1, "{:#?}", report.causes);
    assert_eq!(report.causes[0].kind, CauseKind::NameBlocked);
    assert_eq!(report.causes[0].owner, Owner::Dns);
    assert_eq!(report.causes[0].subject, "a.example");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_stays_at_home_is_blocked_where_others_lead_outside() {
    const HOME: Seen = ("a.example", &[("10.10.0.20", Some(Trouble::Refused))]);
    assert_eq!(causes(&[HOME, PUBLIC]).await, [blocked("a.example")]);
    let alone = causes(&[HOME]).await;
    assert_eq!(alone, [(CauseKind::Refused, "TCP 443".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_stays_at_home_is_blocked_where_somebody_outside_leads_elsewhere() {
    const HOME: Seen = ("a.example", &[("10.10.0.20", Some(Trouble::Refused))]);
    for (told, kind) in [
        ("192.0.2.1", CauseKind::NameBlocked),
        ("10.10.0.20", CauseKind::Refused),
    ] {
        let probe = scripted(move |_: &Ask| {
            let mut finding = finding(&HOME);
            let address: IpAddr = told.parse().unwrap();
            let elsewhere = Elsewhere {
                resolver: NameServer::Https("https://dns.example".to_owned()),
                ipv4: answer(std::iter::once(address)),
                ipv6: answer(std::iter::empty()),
            };
            if let Some(resolution) = &mut finding.resolution {
                resolution.elsewhere = Some(Box::new(elsewhere));
            }
            finding
        });
        let report = check(&flow("a", "a.example", ""), probe, 8).await;
        assert_eq!(report.causes[0].kind, kind, "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_second_opinion_says_of_a_name_has_an_owner() {
    let elsewhere = || NameServer::Https("https://dns.example".to_owned());
    let hidden = Trouble::NameHidden {
        here: Box::new(Trouble::NameNotFound),
        elsewhere: elsewhere(),
    };
    let gone = Trouble::NameNowhere {
        elsewhere: elsewhere(),
    };
    for (trouble, kind, owner) in [
        (hidden, CauseKind::NameHidden, Owner::Dns),
        (gone, CauseKind::NameGone, Owner::Vendor),
        (
            Trouble::NoNameServer,
            CauseKind::NoNameServer,
            Owner::ThisMachine,
        ),
    ] {
        let probe = scripted(move |_: &Ask| failed(trouble.clone()));
        let report = check(&flow("a", "a.example", ""), probe, 8).await;
        let cause = &report.causes[0];
        assert_eq!((cause.kind, cause.owner), (kind, owner));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_a_company_runs_itself_under_a_public_name_is_not_blocked() {
    const OWN: Seen = (
        "a.example",
        &[("10.10.0.20", Some(Trouble::HttpStatus { status: 503 }))],
    );
    let found = causes(&[OWN, PUBLIC]).await;
    assert_eq!(found, [(CauseKind::ServerError, "a.example".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_name_with_a_public_address_beside_a_private_one_is_not_blocked() {
    const MIXED: Seen = (
        "a.example",
        &[
            ("10.10.0.20", Some(Trouble::Refused)),
            ("2001:db8::1", None),
        ],
    );
    let found = causes(&[MIXED, PUBLIC]).await;
    assert_eq!(found, [(CauseKind::Refused, "TCP 443".to_owned())]);
}

const LOST: Option<Trouble> = Some(Trouble::HostUnreachable { at_once: true });
const SILENT: Option<Trouble> = Some(Trouble::TimedOut {
    phase: PhaseName::Connect,
});

#[tokio::test(start_paused = true)]
async fn a_lost_host_is_forbidden_where_others_outside_answer_in_the_same_family() {
    let forbidden = [(CauseKind::Prohibited, "TCP 443".to_owned())];
    let found = causes(&[("a.example", &[("192.0.2.1", LOST)]), PUBLIC]);
    assert_eq!(found.await, forbidden);
    let found = causes(&[
        (
            "a.example",
            &[("192.0.2.1", Some(Trouble::NetworkUnreachable))],
        ),
        PUBLIC,
    ]);
    assert_eq!(found.await, forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_a_blocked_name_and_the_other_family_show_no_way_out() {
    let unreachable = [(CauseKind::Unreachable, String::new())];
    let found = causes(&[
        ("a.example", &[("192.0.2.1", LOST)]),
        ("n.lan", &[("192.0.2.9", None)]),
    ]);
    assert_eq!(found.await, unreachable);
    let found = causes(&[
        ("a.example", &[("192.0.2.1", LOST)]),
        ("b.example", &[("2001:db8::2", None)]),
    ]);
    assert_eq!(found.await, unreachable);
    let found = causes(&[
        ("a.example", &[("192.0.2.1", LOST)]),
        ("b.example", &[("0.0.0.0", Some(Trouble::Refused))]),
    ]);
    let kinds: Vec<_> = found.await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [CauseKind::NameBlocked, CauseKind::Unreachable]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_asked_answers_nothing_where_nothing_comes_back() {
    let report = report(
        const {
            &[
                ("a.example", &[("192.0.2.1", SILENT)]),
                ("b.example", &[("192.0.2.2", SILENT)]),
                ("c.example", &[("192.0.2.3", SILENT)]),
                ("n.lan", &[("10.0.0.9", SILENT)]),
                (
                    "d.example",
                    &[(
                        "192.0.2.4",
                        Some(Trouble::NotPermitted {
                            what: String::new(),
                        }),
                    )],
                ),
            ]
        },
    )
    .await;
    let nothing = &report.causes[0];
    assert_eq!(nothing.kind, CauseKind::NothingPasses);
    assert_eq!(nothing.lanes.len(), 3, "the neighbour's silence is its own");
}

/// A time server, and a telephone system over UDP and TCP; `udp` says what comes of each over UDP.
async fn over_udp(
    udp: impl Fn(&str) -> Option<Trouble> + Send + Sync + 'static,
    tcp: Option<Trouble>,
) -> Vec<(CauseKind, String)> {
    let flows = "  time: { from: device, to: [time.example], speaks: ntp, need: required, why: { en: x } }\n  \
                 calls: { from: device, to: [pbx.example], speaks: sip, need: required, why: { en: x } }\n";
    let probe = scripted(move |ask: &Ask| {
        let trouble = match ask.transport {
            Transport::Udp => udp(&ask.host.to_string()),
            Transport::Tcp | Transport::Icmp => tcp.clone(),
        };
        let mut attempt = Attempt::new("192.0.2.1".parse().unwrap(), ask.port);
        if trouble.is_some() {
            attempt.outcome = Outcome::Fail;
        }
        attempt.trouble.clone_from(&trouble);
        Finding {
            attempts: vec![attempt],
            ..trouble.map_or_else(passed, failed)
        }
    });
    let report = check(flows, probe, 8).await;
    let causes = report.causes.into_iter();
    causes.map(|cause| (cause.kind, cause.subject)).collect()
}

const UNANSWERED: Trouble = Trouble::TimedOut {
    phase: PhaseName::Exchange,
};

#[tokio::test(start_paused = true)]
async fn udp_is_blocked_where_nobody_answers_over_it_and_one_of_them_does_over_tcp() {
    let blocked = [(CauseKind::UdpBlocked, String::new())];
    assert_eq!(over_udp(|_| Some(UNANSWERED), None).await, blocked);
}

#[tokio::test(start_paused = true)]
async fn one_answer_over_udp_or_none_over_tcp_shows_no_block_of_udp() {
    let one = |host: &str| (host == "pbx.example").then_some(UNANSWERED);
    let sip = [(CauseKind::Silent, "UDP 5060".to_owned())];
    assert_eq!(over_udp(one, None).await, sip);
    let refused = |host: &str| match host {
        "pbx.example" => Some(UNANSWERED),
        _ => Some(Trouble::Refused),
    };
    let found = over_udp(refused, None).await;
    assert!(
        found.iter().all(|(kind, _)| *kind != CauseKind::UdpBlocked),
        "{found:?}"
    );
    let silent_too = Trouble::TimedOut {
        phase: PhaseName::Connect,
    };
    let found = over_udp(|_| Some(UNANSWERED), Some(silent_too)).await;
    assert!(
        found.iter().all(|(kind, _)| *kind != CauseKind::UdpBlocked),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn long_packets_that_are_lost_are_one_cause_whoever_is_asked() {
    let found = causes(&[
        (
            "a.example",
            &[("192.0.2.1", Some(Trouble::LongPacketsLost { segment: 536 }))],
        ),
        (
            "b.example",
            &[("192.0.2.2", Some(Trouble::LongPacketsLost { segment: 536 }))],
        ),
        ("c.example", &[("192.0.2.3", STALLED)]),
    ]);
    let hole = (CauseKind::MtuHole, String::new());
    // What stalls with short packets too is another matter.
    let stalled = (CauseKind::Stalled, "TCP 443".to_owned());
    assert_eq!(found.await, [hole, stalled]);
}

const STALLED: Option<Trouble> = Some(Trouble::TimedOut {
    phase: PhaseName::Tls,
});

/// What one name server said.
fn told(last: u8, rcode: Option<&str>) -> ServerAnswer {
    let silent = Trouble::TimedOut {
        phase: PhaseName::Exchange,
    };
    ServerAnswer {
        server: NameServer::At(([192, 0, 2, last], 53).into()),
        rcode: rcode.map(str::to_owned),
        trouble: rcode.is_none().then_some(silent),
        over_tcp: false,
        took: Duration::ZERO,
    }
}

/// A host that the second name server knew, with or without a trouble of its own.
fn known_to_the_second(name: &'static str, trouble: Option<Trouble>) -> Finding {
    let mut finding = finding(&(name, &[("192.0.2.9", None)]));
    if let Some(resolution) = &mut finding.resolution {
        resolution.ipv4.asked = vec![told(1, None), told(2, Some("NOERROR"))];
    }
    let server = NameServer::At(([192, 0, 2, 1], 53).into());
    finding.outcome = match trouble {
        None => Outcome::Warn,
        Some(_) => Outcome::Fail,
    };
    finding.trouble = trouble.or(Some(Trouble::NameServerSilent { server }));
    finding
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_server_is_one_cause_beside_whatever_else_is_wrong() {
    let flows = flow("a", "a.example", "") + &flow("b", "b.example", "");
    let probe = scripted(|ask: &Ask| match ask.host.to_string().as_str() {
        "a.example" => known_to_the_second("a.example", None),
        _ => known_to_the_second("b.example", Some(Trouble::NotHttp)),
    });
    let report = check(&flows, probe, 8).await;
    let causes: Vec<_> = report
        .causes
        .iter()
        .map(|cause| (cause.kind, cause.subject.as_str(), cause.lanes.as_slice()))
        .collect();
    assert_eq!(
        causes,
        [
            (CauseKind::NameServerSilent, "192.0.2.1", &[0, 1][..]),
            (CauseKind::WrongProtocol, "b.example", &[1][..]),
        ]
    );
    assert_eq!(report.causes[0].owner, Owner::Dns);
}
