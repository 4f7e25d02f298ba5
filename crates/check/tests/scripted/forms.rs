//! The forms of a report: HTML, JUnit, Prometheus, masked.

use outgate_check::{Language, Mask, Report, html, junit, metrics};
use outgate_probe::{Ask, Attempt, Finding, Host, Outcome, PhaseName, Trouble};
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
        Host::Name(_) | Host::Address(_) | Host::SystemResolvers | Host::Role(_) => passed(),
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
    let report = report(Language::En).await;
    let mut mask = Mask::default();
    let page = mask.text(&html(&report, "Box", true));
    let mut json = serde_json::to_value(&report).unwrap();
    mask.json(&mut json);
    for text in [page, json.to_string(), mask.text(&junit(&report).unwrap())] {
        assert!(!text.contains("10.1.2.3"), "{text}");
        assert!(text.contains("address-1"), "{text}");
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
