//! The rules beside a cause: there where rules mend it, and nowhere else.

use outgate_check::{CauseRules, Firewall, Language, Report, html, junit};
use outgate_manifest::{Empty, Selection, parse};
use outgate_probe::{
    Ask, Attempt, Finding, Host, Outcome, Path, PathConfig, PhaseName, ProxyEvidence, ResolvedBy,
    Trouble,
};
use outgate_render::rules::target;

use crate::support::{HEAD, check_in, failed, flow, passed, scripted};

const SILENT: Trouble = Trouble::TimedOut {
    phase: PhaseName::Connect,
};

fn answer(ask: &Ask) -> Finding {
    let Host::Name(name) = &ask.host else {
        return passed();
    };
    let trouble = match name.as_str() {
        "dropped.example" | "proxied.example" => SILENT,
        "missing.example" => Trouble::NameNotFound,
        "broken.example" => Trouble::HttpStatus { status: 503 },
        _ => return passed(),
    };
    // Loopback, so that this machine has an address towards it whatever networks it is on.
    let mut attempt = Attempt::new([127, 0, 0, 9].into(), Some(443));
    attempt.outcome = Outcome::Fail;
    attempt.trouble = Some(trouble.clone());
    if name == "proxied.example" {
        attempt.proxy = Some(ProxyEvidence {
            proxy: "http://127.0.0.1:3128".to_owned(),
            target: "proxied.example:443".to_owned(),
            resolved_by: ResolvedBy::Proxy,
            status: None,
            schemes: Vec::new(),
            login_given: false,
        });
    }
    Finding {
        attempts: vec![attempt],
        ..failed(trouble)
    }
}

async fn advised(flows: &str, id: &str, language: Language) -> Report {
    let mut report = check_in(language, flows, scripted(answer), 8).await;
    let manifest = parse("box.yaml", &format!("{HEAD}{flows}"), &Empty).unwrap();
    let selection = Selection::default();
    let lanes = manifest.lanes(&selection).unwrap();
    let firewall = Firewall {
        target: target(id).unwrap(),
        manifest: &manifest,
        selection: &selection,
        lanes: &lanes,
    };
    let path = Path::new(PathConfig::default()).unwrap();
    report.advise(&firewall, &path);
    report
}

fn rules<'a>(report: &'a Report, kind: &str) -> Option<&'a CauseRules> {
    let mut causes = report.causes.iter();
    let cause = causes.find(|cause| cause.kind.to_string() == kind);
    cause.unwrap_or_else(|| panic!("no {kind}")).rules.as_ref()
}

fn three() -> String {
    flow("dropped", "dropped.example", "")
        + &flow("missing", "missing.example", "")
        + &flow("broken", "broken.example", "")
        + &flow("good", "good.example", "")
}

#[tokio::test(start_paused = true)]
async fn rules_stand_beside_what_rules_mend_and_beside_nothing_else() {
    let report = advised(&three(), "nftables", Language::En).await;
    let told = rules(&report, "silent").unwrap();
    assert_eq!(told.target, "nftables");
    let rule = "insert rule inet filter forward ip saddr 127.0.0.1 ip daddr 127.0.0.9 tcp dport \
                443 counter accept comment \"flow:dropped\"\n";
    assert!(told.text.ends_with(rule), "{}", told.text);
    assert_eq!(told.text.matches("insert rule").count(), 1, "{}", told.text);
    assert_eq!(rules(&report, "name-not-found"), None);
    assert_eq!(rules(&report, "server-error"), None);
}

#[tokio::test(start_paused = true)]
async fn what_goes_through_a_proxy_has_no_rules() {
    let flows = flow("proxied", "proxied.example", "");
    let report = advised(&flows, "nftables", Language::En).await;
    assert_eq!(rules(&report, "silent"), None);
}

#[tokio::test(start_paused = true)]
async fn every_form_tells_the_rules() {
    let report = advised(&three(), "nftables", Language::De).await;
    let rule = "tcp dport 443 counter accept";
    let page = html(&report, "Box", false);
    assert!(
        page.contains("Regeln für die Firewall (nftables)"),
        "{page}"
    );
    assert!(page.contains(rule), "{page}");
    assert!(junit(&report).unwrap().contains(rule));
    let json = serde_json::to_value(&report).unwrap();
    let silent = json["causes"].as_array().unwrap().iter();
    let silent = silent.clone().find(|one| one["kind"] == "silent").unwrap();
    assert_eq!(silent["rules"]["target"], "nftables");
    assert!(silent["rules"]["text"].as_str().unwrap().contains(rule));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_only_lists_lanes_lists_those_of_the_cause() {
    let report = advised(&three(), "csv", Language::En).await;
    let told = rules(&report, "silent").unwrap();
    assert_eq!(told.lines().count(), 2, "{}", told.text);
    assert!(told.text.contains("dropped.example"), "{}", told.text);
    // The line ends of CSV are two characters, one of which a page must not show.
    assert!(!html(&report, "Box", false).contains('\u{fffd}'));
}
