//! What the command line says of products and manifests.

use std::collections::BTreeSet;

use crate::support::{json, outgate, stderr, stdout, text};
use serde_json::Value as Json;

/// The lanes that `outgate flows` gives.
fn lanes(arguments: &[&str]) -> Vec<Json> {
    let output = outgate(["flows", "--json"].iter().chain(arguments));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let view = json(&output);
    assert_eq!(view["schema"], 1);
    view["lanes"].as_array().unwrap().clone()
}

fn has(lanes: &[Json], to: &str, transport: &str, ports: [u16; 2], direction: &str) -> bool {
    lanes.iter().any(|lane| {
        (to.is_empty() || lane["to"]["value"] == to)
            && lane["transport"] == transport
            && lane["ports"] == serde_json::json!(ports)
            && lane["direction"] == direction
    })
}

fn destinations(lanes: &[Json]) -> BTreeSet<String> {
    lanes
        .iter()
        .map(|lane| text(&lane["to"]["value"]))
        .collect()
}

#[test]
fn starface_has_the_lanes_of_its_document() {
    let lanes = lanes(&["starface"]);
    assert!(
        lanes
            .iter()
            .any(|one| one["transport"] == "tcp" && one["ports"][0] == 50081)
    );
    assert!(has(&lanes, "", "udp", [10000, 20000], "inbound"));
    assert!(has(&lanes, "", "udp", [1025, 65535], "outbound"));
    for port in [80, 443, 8383] {
        assert!(
            has(
                &lanes,
                "license.starface.de",
                "tcp",
                [port, port],
                "outbound"
            ),
            "{port}"
        );
    }
    let alternatives: BTreeSet<String> = lanes
        .iter()
        .filter(|lane| lane["alternative_to"] == "cluster.starface-connect.com")
        .map(|lane| text(&lane["to"]["value"]))
        .collect();
    assert_eq!(alternatives.len(), 12);
    for host in ["dm", "api-dm", "rps", "rpscloud", "pscloud"] {
        for port in [80, 443, 8443, 8445, 8446, 9989] {
            let host = format!("{host}.yealink.com");
            assert!(
                has(&lanes, &host, "tcp", [port, port], "outbound"),
                "{host} {port}"
            );
        }
    }
}

#[test]
fn starface_versions_decide_the_push_host() {
    let old = destinations(&lanes(&["starface", "--version", "7.0.0.8"]));
    assert!(old.contains("push.starface.de") && !old.contains("push-cluster.starface.de"));
    let new = destinations(&lanes(&["starface", "--version", "7.0.0.19"]));
    assert!(new.contains("push-cluster.starface.de") && !new.contains("push.starface.de"));
    assert_eq!(
        new,
        destinations(&lanes(&["starface"])),
        "the newest is meant"
    );
}

#[test]
fn a_setting_moves_every_lane_that_uses_it() {
    let moved = lanes(&["starface", "--set", "web-port=8443"]);
    let usual = lanes(&["starface"]);
    let count = |lanes: &[Json], port: u16| {
        lanes
            .iter()
            .filter(|l| l["to"]["value"] == "device" && l["ports"][0] == port)
            .count()
    };
    assert!(count(&usual, 443) > 0);
    assert_eq!(count(&moved, 443), 0);
    assert_eq!(count(&moved, 8443), count(&usual, 443));
}

#[test]
fn homag_cube_needs_dhcp_always_and_port_45001_in_old_versions_only() {
    let port = |lanes: &[Json], port: u16| lanes.iter().any(|lane| lane["ports"][0] == port);
    let newest = lanes(&["homag-cube"]);
    assert!(has(&newest, "", "udp", [67, 67], "lan"));
    assert!(!port(&newest, 45001) && port(&newest, 80) && port(&newest, 5555));
    assert!(port(&lanes(&["homag-cube", "--version", "0.129.7"]), 45001));
    assert!(!port(
        &lanes(&["homag-cube", "--version", "0.129.8"]),
        45001
    ));
}

#[test]
fn capitech_tries_its_support_ports_in_order() {
    let lanes = lanes(&["capitech"]);
    let ladder: Vec<(u64, String, u64)> = lanes
        .iter()
        .filter(|lane| !lane["ladder"].is_null())
        .map(|lane| {
            assert_eq!(lane["to"]["value"], "*.teamviewer.com");
            let step = lane["ladder"]["step"].as_u64().unwrap();
            (
                step,
                text(&lane["transport"]),
                lane["ports"][0].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, "tcp", 5938),
        (1, "udp", 5938),
        (2, "tcp", 443),
        (3, "tcp", 80),
    ]
    .map(|(s, t, p)| (s, t.to_owned(), p));
    assert_eq!(ladder, expected);
}

#[test]
fn open_pos_needs_nothing_inbound() {
    assert!(
        lanes(&["open-pos"])
            .iter()
            .all(|lane| lane["direction"] != "inbound")
    );
}

#[test]
fn features_and_parties_narrow_the_lanes() {
    let all = lanes(&["starface"]);
    let without = lanes(&["starface", "--without", "yealink-cloud"]);
    assert_eq!(all.len() - without.len(), 30);
    let technician = lanes(&["homag-cube", "--from", "technician"]);
    assert!(!technician.is_empty() && technician.iter().all(|one| one["from"] == "technician"));
}

#[test]
fn every_profile_is_listed_and_has_no_errors() {
    let view = json(&outgate(["profiles", "--json"]));
    let ids: Vec<String> = view["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["id"]))
        .collect();
    assert_eq!(
        ids,
        [
            "capitech",
            "homag-cube",
            "open-pos",
            "qlik-forts",
            "starface"
        ]
    );
    for id in ids {
        let output = outgate(["lint", &id, "--json"]);
        assert_eq!(json(&output)["errors"], 0, "{id}");
        assert!(matches!(output.status.code(), Some(0 | 4)), "{id}");
    }
}

/// Runs `outgate` and expects bad input; gives what it says of it.
fn refused(arguments: &[&str]) -> String {
    let output = outgate(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "{}", stdout(&output));
    stderr(&output)
}

/// Arguments that are refused, and what is said of them.
const BAD_INPUT: &[(&[&str], &str)] = &[
    (&["flows", "starfce"], "did you mean `starface`?"),
    (&["flows", "starface", "--with", "yealink"], "yealink-cloud"),
    (
        &["flows", "starface", "--version", "7.0"],
        "have 4 numbers, as in 7.0.0.19",
    ),
    (
        &["flows", "starface", "--set", "web-port=x"],
        "a port from 1 to 65535",
    ),
    (
        &["flows", "starface", "--from", "phne"],
        "did you mean `phone`?",
    ),
    (
        &["flows", "./no-such.yaml"],
        "failed to open ./no-such.yaml",
    ),
    (
        &["rules", "starface", "--for", "nftable"],
        "did you mean `nftables`?",
    ),
    (
        &["check", "starface", "--connect-to", "nonsense"],
        "--connect-to",
    ),
    (
        &[
            "flows",
            "starface",
            "--set",
            "web-port=1",
            "--set",
            "web-port=2",
        ],
        "--set gives `web-port` twice",
    ),
    (
        &[
            "check",
            "open-pos",
            "--sample",
            "*.gstatic.com=www.example.com",
        ],
        "`www.example.com` is not a name below gstatic.com",
    ),
    (
        &[
            "check",
            "open-pos",
            "--sample",
            "*.gstatic.co=www.gstatic.com",
        ],
        "did you mean `*.gstatic.com`?",
    ),
    (
        &[
            "check",
            "starface",
            "--sample",
            "license.starface.de=example.com",
        ],
        "needs no sample",
    ),
    (
        &["check", "open-pos", "--path", "realtim=/checks"],
        "did you mean `realtime`?",
    ),
    (
        &["check", "homag-cube", "--path", "time=/checks"],
        "no lane of a flow `time` has a path",
    ),
    (
        &["check", "open-pos", "--path", "realtime=checks"],
        "`checks` is no path",
    ),
    (
        &[
            "check",
            "starface",
            "--without",
            "linked-systems",
            "--from",
            "linked-system",
        ],
        "`linked-system` starts no lane of starface",
    ),
    (
        &["page", "starface", "-o", "/nonexistent/page.md"],
        "failed to write /nonexistent/page.md",
    ),
    (
        &["check", "starface", "--ca", "/dev/zero"],
        "more than 4194304 bytes",
    ),
    (
        &["check", "starface", "--ca", "no-such.pem"],
        "failed to open no-such.pem",
    ),
    (&["page", "starface", "--lang", "fr"], "sv"),
    (&["page", "starface", "--format", "pdf"], "html"),
];

#[test]
fn bad_input_is_refused_with_what_was_meant() {
    for (arguments, said) in BAD_INPUT {
        let message = refused(arguments);
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
}

#[test]
fn a_command_whose_output_is_cut_short_ends_with_the_code_of_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.yaml");
    std::fs::write(&file, TEN_MISTAKES).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut lint = std::process::Command::new(env!("CARGO_BIN_EXE_outgate"));
    let status = lint
        .args(["lint", file.to_str().unwrap()])
        .stdout(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

const TEN_MISTAKES: &str = r#"manifest: 1
product: { id: box, name: Box, vendor: Boxes, versions: { parts: 3 } }
source: { document: box.html, language: en }
parties:
  device: { at: sight, name: { en: Box } }
settings:
  web-port: { kind: prot, default: 80, name: { en: web port } }
flows:
  time:
    from: device
    to: { dhcp: ntp-server }
    speaks: npt
    need: requird
    why: clock
  cloud:
    from: device
    to: [a..example.com]
    speaks: { https: [0] }
    tls: { min: "1.1" }
    aftr: [time]
    versions: "0.129.7"
    need: required
    why: { en: report }
"#;

#[test]
fn a_manifest_with_ten_mistakes_lists_ten_errors_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.yaml");
    std::fs::write(&file, TEN_MISTAKES).unwrap();
    let path = file.to_str().unwrap();
    let output = outgate(["lint", path, "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let view = json(&output);
    let found: Vec<(u64, String)> = view["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["line"].as_u64().unwrap(), text(&one["text"])))
        .collect();
    let expected = [
        (5, "sight"),
        (7, "prot"),
        (11, "ntp-server"),
        (12, "npt"),
        (13, "requird"),
        (14, "clock"),
        (17, "a..example.com"),
        (18, "0"),
        (19, "1.1"),
        (20, "aftr"),
        (21, "0.129.7"),
    ];
    let places: Vec<u64> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(places, expected.map(|(line, _)| line), "{found:?}");
    for ((_, shown), (_, offending)) in found.iter().zip(expected) {
        assert!(shown.contains(offending), "{shown} is not {offending}");
    }
    let shown = stdout(&outgate(["lint", path]));
    for (line, _) in expected {
        assert!(
            shown.contains(&format!("box.yaml:{line}:")),
            "{line}: {shown}"
        );
    }
    assert!(shown.contains("did you mean `required`?"), "{shown}");
    // The other commands say the same, on standard error, and stop.
    assert!(refused(&["flows", path]).contains("11 mistakes"));
}

#[test]
fn imports_are_found_beside_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let head = "manifest: 1\nproduct: { id: a, name: A, vendor: V }\n\
        source: { document: d, language: en }\nparties: { device: { at: site, name: { en: D } } }\n";
    let flow = "{ from: device, to: [a.example], speaks: https, need: required, why: { en: x } }";
    let outer = folder.path().join("outer.yaml");
    let imports = "imports:\n  own: { manifest: inner.yaml }\n  help: { manifest: teamviewer }\n";
    std::fs::write(&outer, format!("{head}{imports}flows:\n  web: {flow}\n")).unwrap();
    std::fs::write(
        folder.path().join("inner.yaml"),
        format!("{head}flows:\n  api: {flow}\n"),
    )
    .unwrap();
    let lanes = lanes(&[outer.to_str().unwrap()]);
    let flows: BTreeSet<String> = lanes.iter().map(|lane| text(&lane["flow"])).collect();
    assert!(
        flows.contains("own/api") && flows.iter().any(|one| one.starts_with("help/")),
        "{flows:?}"
    );
}

#[test]
fn the_examples_of_the_documents_are_sound() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");
    let files = std::fs::read_dir(examples).unwrap();
    let paths = files.map(|example| example.unwrap().path());
    let manifests: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    assert!(!manifests.is_empty(), "no manifest in {examples}");
    for path in manifests {
        let output = outgate(["lint", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    }
}

#[test]
fn every_command_has_help_with_an_example_and_shells_can_complete_it() {
    for command in [
        "demo",
        "profiles",
        "flows",
        "lint",
        "check",
        "rules",
        "page",
        "completions",
    ] {
        let help = stdout(&outgate([command, "--help"]));
        assert!(help.contains("Example"), "{command}: {help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&outgate(["completions", shell]));
        assert!(script.contains("profiles"), "{shell}");
    }
}

#[test]
fn pages_are_written_in_four_languages_and_two_forms() {
    for (lang, word) in [
        ("sv", "Brandvägg"),
        ("nb", "Brannmur"),
        ("de", "Firewall"),
        ("en", "Firewall"),
    ] {
        let page = stdout(&outgate(["page", "homag-cube", "--lang", lang]));
        assert!(
            page.to_lowercase().contains(&word.to_lowercase()),
            "{lang}: {page}"
        );
        let html = stdout(&outgate([
            "page",
            "homag-cube",
            "--lang",
            lang,
            "--format",
            "html",
        ]));
        assert!(html.contains(&format!("<html lang=\"{lang}\"")), "{lang}");
    }
}

#[test]
fn rules_name_what_they_cannot_say() {
    let output = outgate(["rules", "homag-cube", "--for", "nftables"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("*.tapio.one"),
        "{}",
        stderr(&output)
    );
    assert!(
        stdout(&output).contains("*.tapio.one"),
        "{}",
        stdout(&output)
    );
    let csv = stdout(&outgate(["rules", "starface", "--for", "csv"]));
    let lanes = lanes(&["starface"]);
    assert_eq!(csv.lines().count(), lanes.len() + 1);
    let view = json(&outgate([
        "rules", "starface", "--for", "nftables", "--json",
    ]));
    assert_eq!(
        view["ledger"].as_array().unwrap().len(),
        lanes.len(),
        "every lane has its entry"
    );
}
