//! The forms of a report: HTML, JUnit, Prometheus, masked.

use outgate_check::{Language, Mask, Report, html, junit, metrics, tell_texts};
use outgate_probe::{
    Ask, Attempt, DhcpEvidence, DhcpServer, DhcpSettings, Finding, Host, NatBehaviour, Outcome,
    Path, PathConfig, PhaseName, ProxyChoice, ProxyEvidence, Proxying, ResolvedBy, RewrittenLine,
    SipEvidence, StunEvidence, TlsEnds, Trouble, WhoamiEvidence,
};
use quick_xml::events::Event;

use crate::support::{check_in, failed, flow, passed, scripted};

/// What a hostile peer might say.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e} & \u{1b}[31m]]> 10.1.2.3";

fn answer(ask: &Ask) -> Finding {
    match &ask.host {
        Host::Name(name) if name == "shut.example" => {
            let trouble = Trouble::Malformed {
                what: HOSTILE.to_owned(),
            };
            let mut attempt = Attempt::new([10, 1, 2, 3].into(), Some(443));
            attempt.trouble = Some(trouble.clone());
            Finding {
                attempts: vec![attempt],
                ..failed(trouble)
            }
        }
        Host::Name(name) if name == "slow.example" => Finding {
            outcome: Outcome::Warn,
            ..failed(Trouble::TimedOut {
                phase: PhaseName::Connect,
            })
        },
        Host::Name(name) if name == "nowhere.example" => Finding::not_run(Trouble::BadAsk {
            what: "nothing to ask".to_owned(),
        }),
        Host::Name(_)
        | Host::Address(_)
        | Host::SystemResolvers
        | Host::TimeServers
        | Host::Role(_) => passed(),
    }
}

async fn report(language: Language) -> Report {
    let flows = flow("good", "good.example", "")
        + &flow("shut", "shut.example", "")
        + &flow("slow", "slow.example", "")
        + &flow("nowhere", "nowhere.example", "");
    check_in(language, &flows, scripted(answer), 8).await
}

#[tokio::test(start_paused = true)]
async fn the_page_tells_verdict_causes_lanes_and_evidence_and_runs_nothing() {
    let page = html(&report(Language::En).await, "Box", false);
    for wanted in [
        "Check of Box",
        "Something required does not work",
        "good: good.example tcp 443 https",
        "TCP 443 to slow.example",
        "firewall or vendor",
        "10.1.2.3",
        "default-src &#39;none&#39;",
    ] {
        let quoted = wanted.replace("&#39;", "'");
        assert!(
            page.contains(wanted) || page.contains(&quoted),
            "{wanted}\n{page}"
        );
    }
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains(['\u{1b}', '\u{202e}']), "{page}");
    let outside = ["http://", "https://", "src=", "@import", "url("];
    for one in outside {
        assert!(!page.contains(one), "{one}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_speaks_the_readers_language() {
    for (language, title, owner) in [
        (Language::De, "Prüfung von Box", "Firewall oder Hersteller"),
        (Language::Nb, "Kontroll av Box", "brannmur eller leverandør"),
        (
            Language::Sv,
            "Kontroll av Box",
            "brandvägg eller leverantör",
        ),
    ] {
        let page = html(&report(language).await, "Box", false);
        let tag = format!("<html lang=\"{language}\">");
        for wanted in [tag.as_str(), title, owner] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
        assert!(!page.contains("What to do"), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_masked_report_holds_no_address_of_the_network_in_any_form() {
    for text in masked_forms(&report(Language::En).await) {
        assert!(!text.contains("10.1.2.3"), "{text}");
    }
}

/// A report in each of its forms, masked as for sending on.
fn masked_forms(report: &Report) -> [String; 4] {
    let path = Path::new(PathConfig {
        proxying: Proxying {
            choice: ProxyChoice::Always("http://gate.acme.example:3128".parse().unwrap()),
            ..Proxying::default()
        },
        ..PathConfig::default()
    });
    let path = path.unwrap();
    let mut json = serde_json::to_value(report).unwrap();
    let mut mask = Mask::of(report, &path);
    tell_texts(&mut json, &mut |text| mask.text(text));
    let texts = [
        html(report, "Box", true),
        json.to_string(),
        junit(report).unwrap(),
        metrics(report).unwrap(),
    ];
    texts.map(|text| Mask::of(report, &path).text(&text))
}

/// Servers that see the network as 198.51.100.7, 198.51.100.9 and 2001:db8:7::9, a gateway that
/// writes 198.51.100.8 into SIP, and a proxy that tells of 198.51.100.10.
fn answer_from_outside(ask: &Ask) -> Finding {
    let mut attempt = Attempt::new([203, 0, 113, 5].into(), Some(443));
    if matches!(&ask.host, Host::Name(name) if name == "stun.example") {
        attempt.stun = Some(StunEvidence {
            local: "[2001:db8:7::9]:4000".parse().ok(),
            reflexive: "198.51.100.7:4000".parse().unwrap(),
            translated: Some(true),
            mapping: NatBehaviour::NotKnown,
            filtering: NatBehaviour::NotKnown,
            not_known: None,
            other_address: "203.0.113.6:3479".parse().ok(),
            software: None,
            round_trip: None,
        });
        let trouble = Trouble::Malformed {
            what: "seen from 198.51.100.7:4000 [2001:db8:7::9]".to_owned(),
        };
        return Finding {
            attempts: vec![attempt],
            ..failed(trouble)
        };
    }
    attempt.whoami = Some(WhoamiEvidence {
        ends: TlsEnds::Different,
        not_known: None,
        address: "198.51.100.9".parse().ok(),
        port: Some(4000),
        translated: Some(true),
        version: None,
        alpn: None,
        server_name: None,
        added: vec!["x-forwarded-for: 198.51.100.10".to_owned()],
    });
    let (sent, arrived) = ("o=- 0 0 IN IP4 10.0.0.7", "o=- 0 0 IN IP4 198.51.100.8");
    attempt.sip = Some(SipEvidence {
        status: 200,
        reason: "OK".to_owned(),
        server: None,
        local: None,
        received: "198.51.100.7".parse().ok(),
        received_port: None,
        echoed: true,
        rewritten: vec![RewrittenLine {
            sent: Some(sent.to_owned()),
            arrived: Some(arrived.to_owned()),
        }],
    });
    Finding {
        attempts: vec![attempt],
        ..failed(Trouble::SipRewritten {
            lines: 1,
            sent: sent.to_owned(),
            arrived: arrived.to_owned(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_masked_report_does_not_tell_as_whom_the_network_is_seen_from_outside() {
    let flows = flow("stun", "stun.example", "") + &flow("sip", "sip.example", "");
    let probes = scripted(answer_from_outside);
    let report = check_in(Language::En, &flows, probes, 8).await;
    let own = [
        "198.51.100.7",
        "198.51.100.8",
        "198.51.100.9",
        "198.51.100.10",
        "2001:db8:7::9",
        "10.0.0.7",
    ];
    let told = serde_json::to_string(&report).unwrap();
    for address in own {
        assert!(told.contains(address), "{address} {told}");
    }
    for text in masked_forms(&report) {
        for address in own {
            assert!(!text.contains(address), "{address} {text}");
        }
    }
    let [page, ..] = masked_forms(&report);
    for server in ["203.0.113.5", "203.0.113.6"] {
        assert!(page.contains(server), "{server} {page}");
    }
}

/// A proxy of the customer's at a public address, and a DHCP server that tells where everything is.
fn answer_from_inside(ask: &Ask) -> Finding {
    if matches!(&ask.host, Host::Name(name) if name == "dhcp.example") {
        let mut attempt = Attempt::new([203, 0, 113, 5].into(), Some(67));
        attempt.dhcp = Some(DhcpEvidence {
            servers: vec![DhcpServer {
                server: [198, 51, 100, 20].into(),
                interface: None,
                offers: true,
                informs: false,
                settings: DhcpSettings {
                    routers: vec![[198, 51, 100, 21].into()],
                    domain: Some("acme.example".to_owned()),
                    proxy_script: Some("http://scripts.acme.test/p?key=s3cret".to_owned()),
                    tftp_server: Some("http://me:s3cret@setup.example/".to_owned()),
                    ..DhcpSettings::default()
                },
            }],
            ..DhcpEvidence::default()
        });
        return Finding {
            attempts: vec![attempt],
            ..failed(Trouble::DhcpSilent)
        };
    }
    let mut attempt = Attempt::new([198, 51, 100, 22].into(), Some(3128));
    attempt.proxy = Some(ProxyEvidence {
        proxy: "http://gate.acme.example:3128".to_owned(),
        target: "cloud.example:443".to_owned(),
        resolved_by: ResolvedBy::Proxy,
        status: None,
        schemes: Vec::new(),
        login_given: false,
    });
    Finding {
        attempts: vec![attempt],
        ..failed(Trouble::ProxyUnreachable {
            proxy: "http://gate.acme.example:3128".to_owned(),
            why: Box::new(Trouble::Refused),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_masked_report_does_not_tell_where_the_customers_proxy_and_dhcp_server_are() {
    let flows = flow("dhcp", "dhcp.example", "") + &flow("cloud", "cloud.example", "");
    let report = check_in(Language::En, &flows, scripted(answer_from_inside), 8).await;
    let told = serde_json::to_string(&report).unwrap();
    assert!(!told.contains("s3cret"), "{told}");
    let own = [
        "198.51.100.20",
        "198.51.100.21",
        "198.51.100.22",
        "gate.acme.example",
        "acme.example",
        "scripts.acme.test",
    ];
    for one in own {
        assert!(told.contains(one), "{one} {told}");
    }
    for text in masked_forms(&report) {
        for one in own {
            assert!(!text.contains(one), "{one} {text}");
        }
        assert!(text.contains("cloud.example"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn junit_has_a_case_a_lane_and_stays_well_formed() {
    let xml = junit(&report(Language::En).await).unwrap();
    let mut reader = quick_xml::Reader::from_str(&xml);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) | Event::Empty(tag) => {
                found.push(tag.name().as_ref().to_owned());
            }
            Event::Eof => break,
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
    let expected = [
        "testsuites",
        "testsuite",
        "testcase",
        "testcase",
        "failure",
        "testcase",
        "system-out",
        "testcase",
        "skipped",
    ];
    assert_eq!(found, expected, "{xml}");
    assert!(
        xml.contains("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""),
        "{xml}"
    );
    assert!(!xml.contains('\u{1b}'), "{xml}");
}

#[tokio::test(start_paused = true)]
async fn metrics_say_why_and_take_what_was_not_run_for_neither_up_nor_down() {
    let text = metrics(&report(Language::En).await).unwrap();
    let lane = |flow: &str| {
        let host = format!("{flow}.example");
        format!(
            "product=\"box\",flow=\"{flow}\",to=\"{host}\",transport=\"tcp\",ports=\"443\",\
             protocol=\"https\",need=\"required\""
        )
    };
    for line in [
        format!("outgate_check_lane_up{{{}}} 1", lane("good")),
        format!("outgate_check_lane_up{{{}}} 0", lane("shut")),
        format!("outgate_check_lane_up{{{}}} 1", lane("slow")),
        format!(
            "outgate_check_lane_outcome{{{},outcome=\"warn\",reason=\"silent\"}} 1",
            lane("slow")
        ),
        "outgate_check_verdict{product=\"box\"} 3".to_owned(),
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let up = format!("outgate_check_lane_up{{{}}}", lane("nowhere"));
    assert!(!text.contains(&up), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}
