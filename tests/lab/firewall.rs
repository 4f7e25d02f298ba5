//! The rules that stand beside a cause, loaded into the firewall that is the cause.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::in_lab;
use crate::support::{json as report, stdout};

/// Checks, puts the rules that are printed into the router's own chain, and checks again. The
/// first check is in `folder`.
fn mended(scenario: &str, folder: &Path) -> Json {
    let product = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/products/lab-box.yaml");
    let check = format!(
        "{} check {} --ca \"$OUTGATE_LAB_CA\" --timeout 2",
        env!("CARGO_BIN_EXE_outgate"),
        product.display()
    );
    let (told, first) = (folder.join("told"), folder.join("first"));
    let (told, first) = (told.display(), first.display());
    // The router of the lab forwards with the chain `forward` of its table `site`.
    in_lab_report(
        scenario,
        &format!(
            "{check} --json > {first}; {check} --firewall nftables > {told}; \
             grep '^insert rule' {told} | sed 's/inet filter forward/inet site forward/' | \
             nsenter --net=/run/netns/router nft -f - || exit 1; {check} --json"
        ),
    )
}

fn in_lab_report(scenario: &str, words: &str) -> Json {
    let ran = in_lab(scenario, words);
    assert!(!stdout(&ran).is_empty(), "{scenario}: {ran:?}");
    report(&ran)
}

#[test]
fn the_rules_beside_a_cause_mend_it_when_they_are_loaded() {
    for (scenario, cause) in [
        ("port-dropped", "silent"),
        ("support-port-rejected", "prohibited"),
        ("port-reset", "refused"),
        ("udp-dropped", "silent"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let after = mended(scenario, folder.path());
        let before = std::fs::read_to_string(folder.path().join("first")).expect("a report");
        let before: Json = serde_json::from_str(&before).expect("JSON");
        assert_eq!(before["causes"][0]["kind"], cause, "{scenario}: {before}");
        assert_eq!(before["verdict"], "fail", "{scenario}: {before}");
        assert_eq!(after["verdict"], "pass", "{scenario}: {after}");
        assert_eq!(after["causes"], json!([]), "{scenario}");
    }
}
