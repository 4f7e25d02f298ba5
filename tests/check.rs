//! `outgate check` against a site on loopback in which one thing at a time is out of order.

use crate::support::{Faults, Site, outcomes, outgate, stderr, stdout, text};
use outgate_standin::{HttpFault, StatusCode, TlsFault};

const CLOUD: &str = "api.tapio.one";
const HOMAG: &str = "cloud.homag.test";
const CUBE: [&str; 4] = [
    "homag-cube",
    "--set=homag-cloud-host=cloud.homag.test",
    "--sample=*.tapio.one=api.tapio.one",
    "--timeout=2",
];

type Outcomes = Vec<(String, String, Vec<String>)>;

/// Checks a CUBE at a site with this fault.
fn check(faults: Faults) -> (Outcomes, Option<i32>) {
    let site = Site::new(&[CLOUD, HOMAG], faults);
    let (report, code) = site.check(&CUBE);
    (outcomes(&report), code)
}

/// Outcome and causes of one flow, of which there is one lane.
fn flow<'a>(outcomes: &'a Outcomes, id: &str) -> (&'a str, Vec<&'a str>) {
    let mut found = outcomes.iter().filter(|(flow, ..)| flow == id);
    let (Some((_, outcome, causes)), None) = (found.next(), found.next()) else {
        panic!("one lane of {id} in {outcomes:?}");
    };
    (outcome, causes.iter().map(String::as_str).collect())
}

const PASS: (&str, Vec<&str>) = ("pass", vec![]);

#[test]
fn a_site_in_order_passes() {
    let (found, _) = check(Faults::default());
    for id in ["dhcp", "time", "names", "tapio-cloud", "homag-cloud"] {
        assert_eq!(flow(&found, id), PASS, "{id}");
    }
}

#[test]
fn a_name_taken_away_fails_its_lanes_and_no_other() {
    let (found, code) = check(Faults {
        missing: Some(CLOUD),
        ..Faults::default()
    });
    assert_eq!(
        flow(&found, "tapio-cloud"),
        ("fail", vec!["name-not-found"])
    );
    for id in ["time", "names", "homag-cloud"] {
        assert_eq!(flow(&found, id), PASS, "{id}");
    }
    assert_eq!(code, Some(3));
}

#[test]
fn a_name_taken_away_is_hidden_where_somebody_outside_knows_it() {
    let faults = Faults {
        missing: Some(CLOUD),
        ..Faults::default()
    };
    let site = Site::new(&[CLOUD, HOMAG], faults);
    let doh = format!("--doh={}", site.doh);
    let arguments: Vec<&str> = CUBE.into_iter().chain([doh.as_str()]).collect();
    let (report, code) = site.check(&arguments);
    let found = outcomes(&report);
    assert_eq!(flow(&found, "tapio-cloud"), ("fail", vec!["name-hidden"]));
    assert_eq!(flow(&found, "homag-cloud"), PASS);
    assert_eq!(code, Some(3));
    let said = text(&report["causes"][0]["what"]);
    let outside = site.doh.trim_end_matches("/dns-query");
    assert!(
        said.contains(&format!("{outside} knows the name")),
        "{said}"
    );
}

#[test]
fn the_plan_says_what_would_be_asked_outside_and_nobody_is_asked() {
    let words = ["--doh=https://127.0.0.1:1/mine", "--plan"];
    let output = outgate(["check"].into_iter().chain(CUBE).chain(words));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let plan = stdout(&output);
    let told = "questions for the addresses of api.tapio.one to https://127.0.0.1:1";
    assert!(plan.contains(told), "{plan}");
    let without = outgate(["check"].into_iter().chain(CUBE).chain(["--plan"]));
    assert!(!stdout(&without).contains("to https://"));
}

#[test]
fn a_url_that_is_none_of_a_name_server_is_bad_input() {
    for url in [
        "http://192.0.2.53",
        "192.0.2.53",
        "https://me:it@192.0.2.53",
    ] {
        let doh = format!("--doh={url}");
        let output = outgate(["check"].into_iter().chain(CUBE).chain([doh.as_str()]));
        assert_eq!(output.status.code(), Some(2), "{url}");
        let expected = "expected a URL such as https://192.0.2.53/dns-query";
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn a_closed_port_is_refused() {
    let (found, code) = check(Faults {
        closed: true,
        ..Faults::default()
    });
    for id in ["tapio-cloud", "homag-cloud"] {
        assert_eq!(flow(&found, id), ("fail", vec!["refused"]), "{id}");
    }
    assert_eq!((flow(&found, "time"), flow(&found, "names")), (PASS, PASS));
    assert_eq!(code, Some(3));
}

#[test]
fn certificates_are_told_apart_by_what_is_wrong_with_them() {
    for (fault, cause) in [
        (TlsFault::OtherAuthority, "certificate-untrusted"),
        (TlsFault::Expired, "certificate-out-of-date"),
        (TlsFault::NotYetValid, "certificate-out-of-date"),
        (TlsFault::WrongName, "certificate-wrong-name"),
    ] {
        let (found, code) = check(Faults {
            tls: Some(fault),
            ..Faults::default()
        });
        for id in ["tapio-cloud", "homag-cloud"] {
            assert_eq!(flow(&found, id), ("fail", vec![cause]), "{id}");
        }
        assert_eq!((flow(&found, "time"), flow(&found, "names")), (PASS, PASS));
        assert_eq!(code, Some(3));
    }
}

#[test]
fn a_server_that_only_speaks_old_tls_is_named_as_such() {
    let (found, _) = check(Faults {
        tls: Some(TlsFault::OldVersions),
        ..Faults::default()
    });
    assert_eq!(flow(&found, "tapio-cloud"), ("fail", vec!["tls-too-old"]));
}

#[test]
fn servers_that_answer_wrongly_or_not_at_all_fail() {
    let status = |code| TlsFault::Http(HttpFault::Status(code));
    for (fault, cause) in [
        (TlsFault::Silent, "stalled"),
        (TlsFault::CloseAtOnce, "cut"),
        (TlsFault::Http(HttpFault::CloseAtOnce), "cut"),
        (status(StatusCode::SERVICE_UNAVAILABLE), "server-error"),
        (
            status(StatusCode::PROXY_AUTHENTICATION_REQUIRED),
            "proxy-login",
        ),
    ] {
        let (found, code) = check(Faults {
            tls: Some(fault),
            ..Faults::default()
        });
        assert_eq!(flow(&found, "tapio-cloud"), ("fail", vec![cause]));
        assert_eq!(code, Some(3));
    }
}

#[test]
fn a_time_server_a_day_off_fails_alone_because_other_servers_contradict_it() {
    for ahead in [86_400, -86_400] {
        let (found, code) = check(Faults {
            ahead,
            ..Faults::default()
        });
        assert_eq!(flow(&found, "time"), ("fail", vec!["time-server-wrong"]));
        assert_eq!(flow(&found, "names"), PASS);
        let (outcome, causes) = flow(&found, "tapio-cloud");
        assert_eq!(
            (outcome, causes.len()),
            ("warn", 0),
            "it needs the time first"
        );
        assert_eq!(code, Some(3));
    }
}

#[test]
fn realtime_falls_back_where_websocket_is_stripped_and_not_where_it_is_accepted_and_dropped() {
    let realtime = |fault| {
        let site = Site::new(
            &[
                "devices.pos.prod.op3n.dev",
                "ingest.logging.tools.openpos.tech",
                "cdnassetsstorage.blob.core.windows.net",
            ],
            Faults {
                tls: Some(TlsFault::Http(fault)),
                ..Faults::default()
            },
        );
        let (report, _) = site.check(&["open-pos", "--timeout=2"]);
        let found = outcomes(&report);
        let (outcome, causes) = flow(&found, "realtime");
        let causes: Vec<String> = causes.into_iter().map(str::to_owned).collect();
        let what = report["causes"].as_array().unwrap().iter();
        let what = what.map(|cause| cause["what"].as_str().unwrap().to_owned());
        (outcome.to_owned(), causes, what.collect::<String>())
    };
    let (outcome, causes, what) = realtime(HttpFault::WebSocketStripped);
    assert_eq!(outcome, "warn");
    assert_eq!(causes, ["websocket-stripped"]);
    let meanwhile = "; meanwhile SignalR goes over ServerSentEvents, LongPolling";
    assert!(what.contains(meanwhile), "{what}");
    let (outcome, causes, what) = realtime(HttpFault::WebSocketDropped);
    assert_eq!(outcome, "fail");
    assert_eq!(causes, ["websocket-closed"]);
    assert!(what.contains("its clients stop at WebSockets"), "{what}");
}

/// Checks with the site's authority in this machine's own store, as an inspecting proxy has it.
fn check_inspected(site: &Site, arguments: &[&str]) -> Outcomes {
    let (ca, way) = site.way.split_at(2);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_outgate"))
        .args(["check", "--json"])
        .args(arguments)
        .args(way)
        .env("SSL_CERT_FILE", &ca[1])
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    outcomes(&crate::support::json(&output))
}

#[test]
fn inspected_tls_fails_where_the_destination_must_be_exempt() {
    let site = Site::new(
        &["devices.pos.prod.op3n.dev", CLOUD, HOMAG],
        Faults::default(),
    );
    let found = check_inspected(&site, &["open-pos", "--timeout=2"]);
    assert_eq!(flow(&found, "backend"), ("fail", vec!["tls-inspected"]));
    let found = check_inspected(&site, &CUBE);
    assert_eq!(
        flow(&found, "tapio-cloud"),
        PASS,
        "the document asks for no public authority"
    );
}

#[test]
fn evidence_holds_phases_chain_and_aliases() {
    let site = Site::new(&[CLOUD, HOMAG], Faults::default());
    let (report, _) = site.check(&CUBE);
    let lanes = report["lanes"].as_array().unwrap();
    let cloud = lanes
        .iter()
        .find(|lane| lane["lane"]["flow"] == "tapio-cloud")
        .unwrap();
    let probe = &cloud["probes"][0];
    assert_eq!(text(&probe["host"]), CLOUD);
    assert_eq!(text(&probe["resolution"]["name"]), CLOUD);
    let attempt = &probe["attempts"][0];
    let phases: Vec<String> = attempt["phases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|phase| text(&phase["name"]))
        .collect();
    assert_eq!(phases, ["connect", "tls", "first-byte", "body"]);
    assert!(
        attempt["tls"]["chain"].as_array().unwrap().len() >= 2,
        "the whole chain"
    );
    assert_eq!(attempt["tls"]["version"], "TLS 1.3");
    assert_eq!(attempt["http"]["status"], 200);
    let time = lanes
        .iter()
        .find(|lane| lane["lane"]["flow"] == "time")
        .unwrap();
    let ntp = &time["probes"][0]["attempts"][0]["ntp"];
    assert!(
        ntp["offset_millis"].as_i64().unwrap().abs() < 5_000,
        "{ntp}"
    );
}

#[test]
fn a_flow_is_asked_at_the_path_that_the_site_says() {
    let asked = |more: &[&str]| {
        let words = ["check", "open-pos", "--plan"];
        let output = outgate(words.iter().chain(more));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(asked(&[]).contains("POST /negotiate?"));
    let plan = asked(&["--path", "realtime=/checks"]);
    assert!(plan.contains("POST /checks/negotiate?"), "{plan}");
    assert!(!plan.contains("POST /negotiate?"), "{plan}");
}

#[test]
fn a_plan_says_what_would_be_sent_and_sends_nothing() {
    // Nothing listens at the resolver's address; a plan does not notice.
    let output = outgate([
        "check",
        "starface",
        "--plan",
        "--resolver=127.0.0.1:1",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let plan = crate::support::json(&output);
    let lanes = plan["lanes"].as_array().unwrap();
    let licence = lanes
        .iter()
        .find(|lane| {
            lane["lane"]["to"]["value"] == "license.starface.de" && lane["lane"]["ports"][0] == 8383
        })
        .unwrap();
    assert_eq!(text(&licence["probes"][0]["host"]), "license.starface.de");
    assert!(!licence["probes"][0]["sends"].as_array().unwrap().is_empty());
    let table = stdout(&outgate(["check", "homag-cube", "--plan"]));
    assert!(table.contains("DHCPDISCOVER"), "{table}");
}

#[test]
fn a_table_names_lane_outcome_time_cause_and_what_to_do() {
    let site = Site::new(
        &[CLOUD, HOMAG],
        Faults {
            closed: true,
            ..Faults::default()
        },
    );
    let arguments = CUBE
        .iter()
        .map(ToString::to_string)
        .chain(site.way.iter().cloned());
    let output = outgate(["check".to_owned()].into_iter().chain(arguments));
    let table = stdout(&output);
    let heading = table.lines().next().unwrap();
    for column in ["LANE", "OUTCOME", "TIME", "CAUSE", "WHAT TO DO"] {
        assert!(heading.contains(column), "{table}");
    }
    assert!(table.contains("FAIL"), "{table}");
    assert!(
        table.contains("[1] as above"),
        "a cause is told once: {table}"
    );
    assert!(
        !table.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
}

/// A product that has nothing but TLS, and its vendor's own witness in the clear.
const WITNESSED: &str = r#"
manifest: 1
product: { id: box, name: Box, vendor: Box }
source: { document: none, language: en }
parties: { device: { at: site, name: { en: box } } }
flows:
  cloud:
    from: device
    to: [api.box.test]
    speaks: https
    need: required
    why: { en: Data }
  witness:
    from: device
    to: [connect.box.test]
    speaks: http
    probe: { path: /here, status: [204] }
    need: diagnostic
    why: { en: Tells a login page from the internet }
    blocked: { en: A login page is not named as the cause }
"#;

#[test]
fn a_vendors_own_witness_shows_the_portal_that_tls_alone_would_not() {
    let site = Site::new(
        &["api.box.test", "connect.box.test"],
        Faults {
            tls: Some(TlsFault::OtherAuthority),
            http: HttpFault::Portal,
            ..Faults::default()
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let causes = |name: &str, manifest: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, manifest).unwrap();
        let (report, _) = site.check(&[file.to_str().unwrap(), "--timeout=2"]);
        let causes = report["causes"].as_array().unwrap().iter();
        let kinds = causes.map(|cause| cause["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(causes("with.yaml", WITNESSED), ["captive-portal"]);
    let (without, _) = WITNESSED.split_once("  witness:").unwrap();
    assert_eq!(causes("without.yaml", without), ["certificate-untrusted"]);
}

#[test]
fn the_plan_of_a_flow_with_a_service_says_that_its_servers_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("box.yaml");
    let manifest = "manifest: 1\nproduct: { id: box, name: Box, vendor: Boxes }\n\
        source: { document: box.txt, language: en }\n\
        parties: { device: { at: site, name: { en: Box } } }\n\
        flows:\n  names: { from: device, to: { dhcp: dns-servers }, speaks: dns, \
        need: required, why: { en: names }, probe: { service: _sip._udp.example.com } }\n";
    std::fs::write(&file, manifest).unwrap();
    let output = outgate(["check", file.to_str().unwrap(), "--plan"]);
    let plan = stdout(&output);
    assert!(
        plan.contains("the servers of _sip._udp.example.com"),
        "{plan}{}",
        stderr(&output)
    );
}
