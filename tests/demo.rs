//! `outgate demo`: all five products against the hub and stand-ins, and a till's day at the hub.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{json, outgate, stderr, stdout, text};

#[test]
fn all_five_products_pass_and_what_nobody_can_be_asked_is_not_run() {
    let output = outgate(["demo", "--once"]);
    let tables = stdout(&output);
    assert_eq!(output.status.code(), Some(5), "{tables}{}", stderr(&output));
    for (product, verdict) in [
        ("capitech", "pass"),
        ("homag-cube", "pass"),
        ("open-pos", "pass"),
        ("qlik-forts", "pass"),
        ("starface", "incomplete"),
    ] {
        let verdict = format!("{product} newest from all parties: {verdict}");
        assert!(tables.contains(&verdict), "{product}: {tables}");
    }
    assert_eq!(tables.matches(" 0 fail").count(), 5, "{tables}");
    assert_eq!(tables.matches(" 0 warn").count(), 5, "{tables}");
    for line in tables.lines().filter(|line| line.contains("not run  ")) {
        let reasons = [
            "does not say what is spoken",
            "is not published",
            "nobody to ask",
            "not permitted",
        ];
        assert!(reasons.iter().any(|reason| line.contains(reason)), "{line}");
    }
}

#[test]
fn one_product_can_be_played_alone() {
    let tables = stdout(&outgate(["demo", "open-pos", "--once"]));
    assert!(tables.contains("open-pos newest"), "{tables}");
    assert!(!tables.contains("starface"), "{tables}");
}

#[test]
fn all_lanes_of_open_pos_lead_to_the_hub_but_that_to_another_till() {
    let told = json(&outgate(["demo", "open-pos", "--once", "--json"]));
    let lanes = told["reports"][0]["lanes"].as_array().unwrap();
    let (to_till, to_cloud): (Vec<_>, Vec<_>) = lanes
        .iter()
        .partition(|lane| lane["lane"]["flow"] == "local");
    let attempts = |lane: &serde_json::Value| lane["probes"][0]["attempts"].clone();
    let hub = attempts(to_cloud[0])[0]["port"].clone();
    for lane in to_cloud {
        for attempt in attempts(lane).as_array().unwrap() {
            assert_eq!(attempt["port"], hub, "{lane}");
            assert_ne!(attempt["http"]["server"], "outgate-standin", "{lane}");
        }
    }
    let [till] = to_till.as_slice() else {
        panic!("{to_till:?}");
    };
    assert_eq!(attempts(till)[0]["http"]["server"], "outgate-standin");
}

#[test]
fn a_till_of_open_pos_uses_all_of_the_hub_that_is_made_for_it() {
    let output = outgate(["demo", "open-pos", "homag-cube", "--once", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = json(&output);
    assert_eq!(told["version"], 1);
    let reports = told["reports"].as_array().unwrap();
    let products: Vec<_> = reports.iter().map(|one| text(&one["product"])).collect();
    assert_eq!(products, ["open-pos", "homag-cube"]);
    let steps = told["till"].as_array().unwrap();
    let of = |field: &str| -> Vec<String> { steps.iter().map(|one| text(&one[field])).collect() };
    assert_eq!(
        of("step"),
        [
            "sign-in",
            "configuration",
            "change",
            "sale",
            "price",
            "receipt",
            "logs",
            "assets",
            "database",
            "revocation",
        ]
    );
    assert!(of("outcome").iter().all(|one| one == "pass"), "{steps:?}");
    assert!(of("seen").iter().all(|one| !one.is_empty()), "{steps:?}");
    assert!(steps.iter().all(|one| one["took_micros"].is_u64()));
}

/// The sites that were played, and their steps, all of which pass.
fn sites(told: &serde_json::Value) -> Vec<(String, Vec<String>)> {
    let sites = told["sites"].as_array().unwrap().iter();
    let played = sites.map(|site| {
        let steps = site["steps"].as_array().unwrap();
        let names = steps.iter().map(|step| {
            assert_eq!(step["outcome"], "pass", "{site}");
            text(&step["step"])
        });
        (text(&site["site"]), names.collect())
    });
    played.collect()
}

#[test]
fn where_nobody_may_have_namespaces_the_sites_stand_on_loopback() {
    // Without the programs that make namespaces.
    let output = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["demo", "homag-cube", "open-pos", "--once", "--json"])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = json(&output);
    for site in told["sites"].as_array().unwrap() {
        assert_eq!(site["ground"], "loopback");
        let because = text(&site["because"]);
        assert!(because.contains("util-linux"), "{because}");
    }
    let [factory, shop] = sites(&told).try_into().unwrap();
    assert_eq!(factory.0, "factory");
    assert_eq!(
        factory.1,
        ["link", "state", "question", "settings", "page", "offline"]
    );
    assert_eq!(shop.0, "shop");
    assert_eq!(
        shop.1,
        ["link", "neighbours", "numbers", "orders", "offline"]
    );
}

#[cfg(feature = "namespaces")]
#[test]
fn two_sites_with_agents_stand_behind_routers_that_let_nothing_in() {
    let told = json(&outgate([
        "demo",
        "homag-cube",
        "open-pos",
        "--once",
        "--json",
    ]));
    for site in told["sites"].as_array().unwrap() {
        assert_eq!(site["ground"], "network namespaces");
    }
    let [factory, shop] = sites(&told).try_into().unwrap();
    assert_eq!(
        factory.1,
        ["link", "state", "question", "settings", "page", "offline"]
    );
    assert_eq!(
        shop.1,
        [
            "link",
            "neighbours",
            "numbers",
            "orders",
            "offline",
            "apart"
        ]
    );
}

/// What a terminal of Capitech does at its hub, and what comes of it, wherever it stands.
const OFFICE: [(&str, &str); 12] = [
    (
        "provisioning",
        "T7 is assigned to a hub; another group's key is refused",
    ),
    (
        "messages",
        "over WebSocket and TLS; a token of another key is refused",
    ),
    (
        "clocking",
        "the vendor has the clocking of card 17 at 07:58",
    ),
    ("method", "unlock: 200 {\"unlocked\":true}"),
    (
        "message",
        "`The canteen is closed today`, and the vendor knows it has come",
    ),
    ("twin", "desired and reported {\"language\":\"nb\"}"),
    (
        "file",
        "491500 bytes, resumed at 245750; the key opens no other file and writes none",
    ),
    ("log", "logs/today.txt: the vendor reads its 2 lines"),
    (
        "look-up",
        "card 17 has +2:30; a wrong fleet key and another path lead nowhere",
    ),
    (
        "support",
        "`printer: no paper`: allowed by Kari, recorded, ended; a shell that nobody set up is refused",
    ),
    (
        "withdrawal",
        "4 connections closed: MQTT, WebSocket, download, look-up; all refused, and to register",
    ),
    (
        "restoration",
        "clocks and looks up again; the old key and the old address stay out",
    ),
];

/// Holds each line of what the terminal did, and gives what it stood on.
fn office(told: &serde_json::Value) -> (String, serde_json::Value) {
    let [office] = told["sites"].as_array().unwrap().as_slice() else {
        panic!("{told}");
    };
    assert_eq!(office["site"], "office");
    assert_eq!(office["product"], "capitech");
    let steps = office["steps"].as_array().unwrap();
    let done: Vec<_> = steps
        .iter()
        .map(|step| (text(&step["step"]), text(&step["seen"])))
        .collect();
    let expected = OFFICE.map(|(step, seen)| (step.to_owned(), seen.to_owned()));
    assert_eq!(done, expected);
    assert!(steps.iter().all(|step| step["outcome"] == "pass"));
    (text(&office["ground"]), office["because"].clone())
}

#[test]
fn a_terminal_of_capitech_uses_all_of_the_hub_that_is_made_for_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["demo", "capitech", "--once", "--json"])
        // Without the programs that make namespaces.
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (ground, because) = office(&json(&output));
    assert_eq!(ground, "loopback");
    assert!(text(&because).contains("util-linux"), "{because}");
}

#[cfg(feature = "namespaces")]
#[test]
fn the_terminal_of_capitech_stands_behind_a_router_that_lets_out_its_port_alone() {
    let told = json(&outgate(["demo", "capitech", "--once", "--json"]));
    let (ground, because) = office(&told);
    assert_eq!(ground, "network namespaces");
    assert!(because.is_null());
}

#[test]
fn the_steps_of_the_terminal_are_a_table_under_its_lanes() {
    let tables = stdout(&outgate(["demo", "capitech", "--once"]));
    assert!(tables.contains("OFFICE WITH A TERMINAL"), "{tables}");
    for (step, seen) in OFFICE {
        let line = tables.lines().find(|line| line.contains(seen));
        let line = line.unwrap_or_else(|| panic!("{seen}: {tables}"));
        assert!(
            line.trim_start().starts_with(&format!("{step}: ")),
            "{line}"
        );
    }
}

#[test]
fn all_lanes_of_capitech_lead_to_the_hub_but_those_of_remote_support() {
    let told = json(&outgate(["demo", "capitech", "--once", "--json"]));
    let lanes = told["reports"][0]["lanes"].as_array().unwrap();
    let is_own = |lane: &&serde_json::Value| !text(&lane["lane"]["flow"]).starts_with("remote-");
    let (own, others): (Vec<_>, Vec<_>) = lanes.iter().partition(is_own);
    let attempts = |lanes: Vec<&serde_json::Value>| -> Vec<serde_json::Value> {
        let probes = lanes.into_iter().map(|lane| lane["probes"][0].clone());
        let attempts = probes.filter_map(|probe| probe["attempts"].as_array().cloned());
        attempts.flatten().collect()
    };
    let (own, others) = (attempts(own), attempts(others));
    assert_eq!((own.len(), others.len()), (3, 3), "{told}");
    for attempt in &own {
        assert_eq!(attempt["port"], own[0]["port"], "{attempt}");
        assert_ne!(attempt["http"]["server"], "outgate-standin", "{attempt}");
    }
    assert!(others.iter().all(|other| other["port"] != own[0]["port"]));
}

#[test]
fn without_open_pos_there_is_no_till() {
    let told = json(&outgate(["demo", "homag-cube", "--once", "--json"]));
    assert_eq!(told["till"], serde_json::json!([]));
    let tables = stdout(&outgate(["demo", "homag-cube", "--once"]));
    assert!(!tables.contains("TILL"), "{tables}");
}

/// Kills a process when the test ends, however it ends.
struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_servers_stay_up_for_a_check_of_ones_own_until_they_are_told_to_end() {
    let child = Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["demo", "open-pos"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut guard = Guard(child);
    let mut said = BufReader::new(guard.0.stderr.take().unwrap()).lines();
    let command = said.find_map(|line| {
        let line = line.unwrap();
        line.trim().strip_prefix("xargs -a ").map(str::to_owned)
    });
    let command = command.expect("a command to try");
    let file = command.split_whitespace().next().unwrap().to_owned();
    let report = Command::new("xargs")
        .args([
            "-a",
            &file,
            env!("CARGO_BIN_EXE_outgate"),
            "check",
            "open-pos",
        ])
        .output()
        .unwrap();
    let table = stdout(&report);
    assert!(
        table.contains("open-pos newest from device: pass"),
        "{table}{}",
        stderr(&report)
    );
    assert!(table.contains(" 0 fail"), "{table}");

    let pid = guard.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(guard.0.wait().unwrap().code(), Some(0));
    assert!(
        !std::path::Path::new(&file).exists(),
        "the folder is taken away"
    );
}
