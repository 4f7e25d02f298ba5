//! Running plans of scripted probes in virtual time: order, limits, and joining to causes.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use outgate_check::{CauseKind, MAX_CONCURRENT, Owner, Report, Verdict};
use outgate_probe::{
    Ask, Attempt, ExpectedTrust, Finding, Outcome, PhaseName, RtpEvidence, SipEvidence,
    TlsEvidence, Trouble,
};

use crate::support::{check, failed, flow, passed, passed_at, scripted};

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.lanes.iter().map(|lane| lane.outcome).collect()
}

fn early_and_late() -> String {
    flow("late", "late.example", ", after: [early]") + &flow("early", "early.example", "")
}

#[tokio::test(start_paused = true)]
async fn what_a_lane_needs_first_starts_before_it_and_is_not_waited_for() {
    let probe = scripted(|_| passed());
    let report = check(&early_and_late(), probe, 8).await;
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(
        *probe.order.lock().unwrap(),
        [
            "start early.example",
            "start late.example",
            "end early.example",
            "end late.example"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_lanes_run_at_once_than_allowed() {
    let probe = scripted(|_| passed());
    let flows: String = (0..10)
        .map(|n| flow(&format!("f{n}"), &format!("{n}.example"), ""))
        .collect();
    let started = tokio::time::Instant::now();
    check(&flows, probe, 3).await;
    assert_eq!(probe.most.load(Ordering::SeqCst), 3);
    assert_eq!(
        started.elapsed().as_secs(),
        4,
        "ten lanes of a second, three at a time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_takes_as_long_as_its_slowest_lane_however_lanes_hang_together() {
    let probe = scripted(|_| {
        failed(Trouble::TimedOut {
            phase: PhaseName::Connect,
        })
    });
    // A chain of needs, and then as many lanes as a check takes at once.
    let chain = |n: u16| match n {
        1..=9 => format!(", after: [f{}]", n - 1),
        _ => String::new(),
    };
    let flows: String = (0..MAX_CONCURRENT)
        .map(|n| flow(&format!("f{n}"), &format!("{n}.example"), &chain(n)))
        .collect();
    let started = tokio::time::Instant::now();
    let report = check(&flows, probe, MAX_CONCURRENT).await;
    assert_eq!(started.elapsed().as_secs(), 1, "every lane takes a second");
    assert_eq!(report.lanes.len(), usize::from(MAX_CONCURRENT));
}

#[tokio::test(start_paused = true)]
async fn a_lane_says_that_what_it_needs_first_has_failed() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "early.example" => failed(Trouble::TimedOut {
            phase: PhaseName::Connect,
        }),
        _ => passed(),
    });
    let report = check(&early_and_late(), probe, 8).await;
    assert_eq!(outcomes(&report), [Outcome::Warn, Outcome::Fail]);
    assert_eq!(report.lanes[0].blocked_by, ["early"]);
    assert_eq!(
        report.lanes[0].reason.as_deref(),
        Some("works by itself, but needs early first, which failed")
    );
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.causes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_resolve_is_one_cause_for_all_its_lanes() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "gone.example" => failed(Trouble::NameNotFound),
        _ => passed(),
    });
    let flows = flow("a", "gone.example, here.example", "") + &flow("b", "gone.example", "");
    let report = check(&flows, probe, 8).await;
    assert_eq!(
        outcomes(&report),
        [Outcome::Fail, Outcome::Pass, Outcome::Fail]
    );
    assert_eq!(report.causes.len(), 1, "{:#?}", report.causes);
    let cause = &report.causes[0];
    assert_eq!(
        (cause.kind, cause.owner),
        (CauseKind::NameNotFound, Owner::Dns)
    );
    assert_eq!(cause.subject, "gone.example");
    assert_eq!(cause.lanes, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_port_is_one_cause_for_all_hosts_behind_it() {
    let probe = scripted(|_| {
        failed(Trouble::TimedOut {
            phase: PhaseName::Connect,
        })
    });
    let report = check(&flow("a", "a.example, b.example", ""), probe, 8).await;
    assert_eq!(report.causes.len(), 1);
    assert_eq!(report.causes[0].subject, "TCP 443");
    assert_eq!(
        report.causes[0].act,
        "allow TCP 443 to a.example, b.example"
    );
}

#[tokio::test(start_paused = true)]
async fn one_rung_of_a_ladder_is_enough_but_a_later_one_is_worth_a_warning() {
    let flows = flow("a", "a.example", ", else: [{ speaks: { https: 8443 } }]");
    let first_blocked = scripted(|ask| match ask.port {
        Some(443) => failed(Trouble::Refused),
        _ => passed(),
    });
    let report = check(&flows, first_blocked, 8).await;
    assert_eq!(outcomes(&report), [Outcome::Fail, Outcome::Pass]);
    assert_eq!(report.verdict, Verdict::Warn);

    let later_blocked = scripted(|ask| match ask.port {
        Some(8443) => failed(Trouble::Refused),
        _ => passed(),
    });
    assert_eq!(check(&flows, later_blocked, 8).await.verdict, Verdict::Pass);

    let all_blocked = scripted(|_| failed(Trouble::Refused));
    assert_eq!(check(&flows, all_blocked, 8).await.verdict, Verdict::Fail);
}

#[tokio::test(start_paused = true)]
async fn every_destination_of_a_ladder_needs_a_rung_that_works() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "b.example" => failed(Trouble::Refused),
        _ => passed(),
    });
    let rungs = ", else: [{ speaks: { https: 8443 } }]";
    let report = check(&flow("a", "a.example, b.example", rungs), probe, 8).await;
    assert_eq!(report.verdict, Verdict::Fail, "nothing reaches b.example");
    let moving = ", else: [{ to: [a.example], speaks: { https: 8443 } }]";
    let report = check(&flow("a", "b.example", moving), probe, 8).await;
    assert_eq!(
        report.verdict,
        Verdict::Warn,
        "a.example stands in for b.example"
    );
}

#[tokio::test(start_paused = true)]
async fn addresses_in_place_of_a_name_decide_nothing() {
    let flow = "  a: { from: device, to: { name: a.example, or: [192.0.2.1, 192.0.2.2] }, \
                speaks: https, need: required, why: { en: x } }\n";
    let only = |works: &'static str| {
        scripted(move |ask: &Ask| match ask.host.to_string() == works {
            true => passed(),
            false => failed(Trouble::Refused),
        })
    };
    let by_address = check(flow, only("192.0.2.2"), 8).await;
    assert_eq!(
        by_address.verdict,
        Verdict::Fail,
        "the product uses the name"
    );
    let by_name = check(flow, only("a.example"), 8).await;
    assert_eq!(by_name.verdict, Verdict::Pass);
    assert_eq!(
        outcomes(&by_name),
        [
            Outcome::Pass,
            Outcome::NotApplicable,
            Outcome::NotApplicable
        ]
    );
    assert!(by_name.causes.is_empty(), "{:#?}", by_name.causes);
}

#[tokio::test(start_paused = true)]
async fn a_rung_needs_all_its_ports_and_one_of_tcp_and_udp() {
    let ladder = |ports: &str| {
        format!(
            "  a: {{ from: device, to: [a.example], speaks: {{ sip: {ports} }}, need: required, \
             why: {{ en: x }}, else: [{{ speaks: {{ https: 9 }} }}] }}\n"
        )
    };
    let only_one = scripted(|ask| match ask.port {
        Some(1) => passed(),
        _ => failed(Trouble::Refused),
    });
    let report = check(&ladder("{ tcp: [1, 2] }"), only_one, 8).await;
    assert_eq!(report.verdict, Verdict::Fail, "port 2 is needed too");
    let report = check(&ladder("{ tcp: 1, udp: 1 }"), only_one, 8).await;
    assert_eq!(report.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_was_not_run_is_no_worse_than_it_is_known_to_be() {
    let probe = scripted(|ask| match ask.port {
        Some(443) => Finding::not_run(Trouble::NotPermitted { what: "x".into() }),
        _ => passed(),
    });
    let flows = flow("a", "a.example", ", else: [{ speaks: { https: 8443 } }]");
    let report = check(&flows, probe, 8).await;
    assert_eq!(outcomes(&report), [Outcome::NotRun, Outcome::Pass]);
    assert_eq!(report.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_connection_stood_is_not_a_dropped_packet() {
    let probe = scripted(|_| {
        failed(Trouble::TimedOut {
            phase: PhaseName::FirstByte,
        })
    });
    let report = check(&flow("a", "a.example", ""), probe, 8).await;
    assert_eq!(report.causes[0].kind, CauseKind::Stalled);
    assert_eq!(report.causes[0].owner, Owner::FirewallOrVendor);
}

#[tokio::test(start_paused = true)]
async fn a_cause_speaks_only_of_the_hosts_that_it_took_down() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "a.example" => failed(Trouble::Refused),
        _ => failed(Trouble::NameNotFound),
    });
    let report = check(&flow("a", "a.example, b.example", ""), probe, 8).await;
    let refused = report
        .causes
        .iter()
        .find(|cause| cause.kind == CauseKind::Refused)
        .unwrap();
    assert!(!refused.what.contains("b.example"), "{}", refused.what);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_the_devices_certificate_was_reached() {
    let tls = |asked| TlsEvidence {
        server_name: None,
        version: None,
        cipher_suite: None,
        alpn: None,
        chain: Vec::new(),
        trusted_by: Vec::new(),
        expected: ExpectedTrust::Public,
        client_certificate_asked: asked,
        legacy: None,
    };
    let flows = flow("a", "a.example", ", tls: { mutual: true }");
    let asking = scripted(|_| failed(Trouble::ClientCertificateWanted));
    assert_eq!(check(&flows, asking, 8).await.verdict, Verdict::Pass);
    let not_asking = scripted(move |_| {
        let mut attempt = Attempt::new("192.0.2.1".parse().unwrap(), Some(443));
        attempt.tls = Some(tls(false));
        Finding {
            attempts: vec![attempt],
            ..passed()
        }
    });
    assert_eq!(check(&flows, not_asking, 8).await.verdict, Verdict::Warn);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_could_exercise_makes_the_check_incomplete() {
    let probe = scripted(|_| {
        Finding::not_run(Trouble::NotPermitted {
            what: "ICMP".into(),
        })
    });
    let report = check(&flow("a", "a.example", ""), probe, 8).await;
    assert_eq!(report.verdict, Verdict::Incomplete);
    assert_eq!(report.counts.not_run, 1);
}

const DAY_MILLIS: i64 = 86_400_000;

fn time_and_web() -> String {
    let time = "from: device, to: [time.example], speaks: ntp, need: required, why: { en: x }";
    format!("  time: {{ {time} }}\n{}", flow("web", "web.example", ""))
}

#[tokio::test(start_paused = true)]
async fn a_time_server_that_all_others_contradict_is_wrong() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "time.example" => failed(Trouble::ClockOff {
            offset_millis: DAY_MILLIS,
        }),
        _ => passed_at(400),
    });
    let report = check(&time_and_web(), probe, 8).await;
    assert_eq!(outcomes(&report), [Outcome::Fail, Outcome::Pass]);
    assert_eq!(report.causes[0].kind, CauseKind::TimeServerWrong);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_all_others_contradict_is_wrong_and_so_explains_certificates() {
    let now = SystemTime::now();
    let probe = scripted(move |ask| match ask.host.to_string().as_str() {
        "time.example" => failed(Trouble::ClockOff {
            offset_millis: DAY_MILLIS,
        }),
        _ => failed(Trouble::CertificateNotYetValid {
            subject: "CN=web.example".into(),
            not_before: (now + Duration::from_secs(3600)).into(),
        }),
    });
    let report = check(&time_and_web(), probe, 8).await;
    assert_eq!(outcomes(&report), [Outcome::Warn, Outcome::Fail]);
    assert_eq!(report.causes.len(), 1, "{:#?}", report.causes);
    assert_eq!(report.causes[0].kind, CauseKind::ClockWrong);
    assert_eq!(report.causes[0].lanes, [0, 1]);
    assert_eq!(
        report.causes[0].what,
        "this machine's clock is 1 day 0 h behind"
    );
}

#[tokio::test(start_paused = true)]
async fn two_clocks_without_a_witness_are_not_judged() {
    let probe = scripted(|ask| match ask.host.to_string().as_str() {
        "time.example" => failed(Trouble::ClockOff {
            offset_millis: -DAY_MILLIS,
        }),
        _ => failed(Trouble::Refused),
    });
    let report = check(&time_and_web(), probe, 8).await;
    assert_eq!(outcomes(&report), [Outcome::Fail, Outcome::Fail]);
    assert!(
        report
            .causes
            .iter()
            .any(|cause| cause.kind == CauseKind::ClocksDiffer)
    );
}

#[tokio::test(start_paused = true)]
async fn a_range_of_which_a_sample_was_asked_says_so_although_it_passes() {
    let probe = scripted(|_| {
        let mut attempt = Attempt::new([192, 0, 2, 1].into(), Some(1024));
        attempt.rtp = Some(RtpEvidence {
            first: 1024,
            last: 65_535,
            asked: 9217,
            step: 7,
            answered: 9217,
            blocked: Vec::new(),
            stream: None,
        });
        Finding {
            attempts: vec![attempt],
            ..passed()
        }
    });
    let report = check(&flow("speech", "pbx.example", ""), probe, 8).await;
    assert_eq!(
        report.lanes[0].reason.as_deref(),
        Some("9217 ports of 1024-65535 were asked, one in 7; all of them answered")
    );
}

/// A range of which nothing came back.
fn silent_range(ask: &Ask, closed: bool) -> Finding {
    let mut attempt = Attempt::new([192, 0, 2, 1].into(), ask.port);
    attempt.outcome = Outcome::NotRun;
    attempt.trouble = Some(Trouble::NobodyEchoes { closed });
    attempt.rtp = Some(RtpEvidence {
        first: 10_000,
        last: 20_000,
        asked: 9,
        step: 1251,
        answered: 0,
        blocked: Vec::new(),
        stream: None,
    });
    Finding {
        outcome: Outcome::NotRun,
        trouble: attempt.trouble.clone(),
        attempts: vec![attempt],
        ..passed()
    }
}

/// SIP that is answered by an echo, or by somebody who is none.
fn sip(ask: &Ask, echoed: bool) -> Finding {
    let mut attempt = Attempt::new([192, 0, 2, 1].into(), ask.port);
    attempt.sip = Some(SipEvidence {
        status: 200,
        reason: "OK".to_owned(),
        server: None,
        local: None,
        received: None,
        received_port: None,
        echoed,
        rewritten: Vec::new(),
    });
    Finding {
        attempts: vec![attempt],
        ..passed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_range_is_blocked_only_where_the_machine_sends_packets_back() {
    let flows = flow("signalling", "sip.example", "") + &flow("speech", "rtp.example", "");
    for (echoed, closed, blocked) in [
        (true, false, true),
        (false, false, false),
        // Whoever says that a port is closed was reached.
        (true, true, false),
    ] {
        let probe = scripted(move |ask| match ask.host.to_string().as_str() {
            "sip.example" => sip(ask, echoed),
            _ => silent_range(ask, closed),
        });
        let report = check(&flows, probe, 8).await;
        let speech = &report.lanes[1];
        let kinds: Vec<_> = report.causes.iter().map(|cause| cause.kind).collect();
        if blocked {
            assert_eq!(speech.outcome, Outcome::Fail);
            assert_eq!(kinds, [CauseKind::RtpBlocked]);
        } else {
            assert_eq!(speech.outcome, Outcome::NotRun, "{echoed} {closed}");
            assert_eq!(kinds, [], "{echoed} {closed}");
        }
    }
}
