//! The forms in which `outgate check` tells what it found, through the command line.

use std::process::{Command, Output};

use outgate_standin::TlsFault;
use serde_json::Value as Json;

use crate::support::{Faults, Site, Watch, json, outgate, stderr, stdout};

const CUBE: [&str; 4] = [
    "homag-cube",
    "--set=homag-cloud-host=cloud.homag.test",
    "--sample=*.tapio.one=api.tapio.one",
    "--timeout=2",
];

/// A site where nothing listens behind the names.
fn shut() -> Site {
    Site::new(
        &["api.tapio.one", "cloud.homag.test"],
        Faults {
            closed: true,
            ..Faults::default()
        },
    )
}

fn arguments(site: &Site, more: &[&str]) -> Vec<String> {
    let fixed = ["check"].iter().chain(&CUBE).chain(more);
    let fixed = fixed.map(ToString::to_string);
    fixed.chain(site.way.iter().cloned()).collect()
}

fn check(site: &Site, more: &[&str]) -> Output {
    outgate(arguments(site, more))
}

#[test]
fn a_page_for_support_is_written_in_the_customers_language_without_their_addresses() {
    let site = shut();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let name = file.display().to_string();
    let told = check(
        &site,
        &["--html", "--lang=de", "--mask-addresses", "--output", &name],
    );
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    assert_eq!(stdout(&told), "");
    let page = std::fs::read_to_string(&file).unwrap();
    for wanted in [
        "Prüfung von HOMAG CUBE",
        "Firewall oder Hersteller",
        "cloud.homag.test tcp 443 https",
        "address-1",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
    assert!(!page.contains("127.0.0.1"), "{page}");
}

#[test]
fn junit_counts_failures_and_what_was_skipped() {
    let told = check(&shut(), &["--junit"]);
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    let xml = stdout(&told);
    assert!(xml.contains("failures=\"2\""), "{xml}");
    assert_eq!(xml.matches("<failure ").count(), 2, "{xml}");
    assert!(
        xml.contains("classname=\"homag-cube.homag-cloud\""),
        "{xml}"
    );
}

#[test]
fn the_table_is_told_in_the_language_asked_for_and_in_no_unknown_one() {
    let site = shut();
    let told = stdout(&check(&site, &["--lang=sv"]));
    assert!(told.contains("avvisas"), "{told}");
    let refused = check(&site, &["--lang=fr"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("expected sv, nb, de or en"));
}

#[test]
fn rules_for_the_firewall_stand_beside_the_table_for_a_firewall_that_is_known() {
    let site = shut();
    let told = check(&site, &["--firewall=nftables"]);
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    let rule = "insert rule inet filter forward ip saddr 127.0.0.1 ip daddr 127.0.0.1 \
                tcp dport 443 counter accept comment \"flow:homag-cloud\"\n";
    assert!(stdout(&told).contains(rule), "{}", stdout(&told));
    assert!(!stdout(&check(&site, &[])).contains("insert rule"));
    let refused = check(&site, &["--firewall=fortiwall"]);
    assert_eq!(refused.status.code(), Some(2));
    for known in ["csv", "nftables"] {
        assert!(stderr(&refused).contains(known), "{}", stderr(&refused));
    }
}

#[test]
fn every_report_keeps_to_the_committed_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/report.schema.json");
    let committed: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let printed = json(&outgate(["schema", "report"]));
    assert!(
        committed == printed,
        "run `cargo xtask schema` and commit the result"
    );
    let validator = jsonschema::validator_for(&committed).unwrap();
    let names = ["api.tapio.one", "cloud.homag.test"];
    for faults in [
        Faults::default(),
        Faults {
            missing: Some("api.tapio.one"),
            tls: Some(TlsFault::Expired),
            ahead: 86_400,
            ..Faults::default()
        },
        Faults {
            closed: true,
            ..Faults::default()
        },
    ] {
        let told = CUBE.iter().copied().chain(["--firewall=nftables"]);
        let told: Vec<&str> = told.collect();
        let (report, _) = Site::new(&names, faults).check(&told);
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let mut broken = json(&check(&shut(), &["--json"]));
    broken["lanes"][0]["outcome"] = "perhaps".into();
    assert!(!validator.is_valid(&broken), "the schema allows anything");
}

#[test]
fn watching_tells_what_changes_and_gives_prometheus_the_reason() {
    let site = shut();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
    let watch = Watch::start(command.args(arguments(&site, &[])));
    assert!(watch.first.contains("FAIL: "), "{}", watch.first);
    let figures = watch.scrape();
    assert!(figures.starts_with("HTTP/1.0 200"), "{figures}");
    let wanted = "flow=\"homag-cloud\",to=\"cloud.homag.test\",transport=\"tcp\",ports=\"443\",\
                  protocol=\"https\",need=\"required\",outcome=\"fail\",reason=\"refused\"} 1";
    assert!(figures.contains(wanted), "{figures}");
    let (code, _) = watch.end();
    assert_eq!(code, Some(3));
}
