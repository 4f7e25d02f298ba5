//! `outgate check` against other people's servers.

use std::net::TcpStream;
use std::process::Command;
use std::time::SystemTime;

use crate::support::{Faults, Site, json, outcomes, outgate};
use outgate_standin::{Authority, HttpFault, Place, Stage, SystemClock, Validity};
use outgate_testbed::{Program, free, nginx};

const NAME: &str = "api.box.example";

/// Checks the example product's cloud at an `openssl s_server` with these options.
fn check_openssl(options: &[&str]) -> Vec<(String, String, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(SystemTime::now()).unwrap();
    let names = [NAME.to_owned(), "eu.data.box.example".to_owned()];
    let identity = authority
        .issue(&names, Validity::around(SystemTime::now()))
        .unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = write("ca.pem", &authority.pem());
    let chain = write("chain.pem", identity.chain_pem());
    let key = write("key.pem", &identity.key_pem());
    let address = free().unwrap();
    let mut server = Command::new("openssl");
    server
        .args(["s_server", "-quiet", "-www"])
        .args(["-accept", &address.to_string()])
        .arg("-cert")
        .arg(&chain)
        .arg("-cert_chain")
        .arg(&chain)
        .arg("-key")
        .arg(&key)
        .args(options);
    let answers = |address| TcpStream::connect(address).is_ok();
    let _server = Program::start_until(&mut server, folder.path(), address, answers).unwrap();
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/box.yaml");
    let output = outgate([
        "check".to_owned(),
        manifest.to_owned(),
        "--json".to_owned(),
        format!("--ca={}", ca.display()),
        format!("--connect-to=:443:{address}"),
        "--resolver=127.0.0.1:1".to_owned(),
        "--timeout=5".to_owned(),
    ]);
    let found = outcomes(&json(&output));
    found
        .into_iter()
        .filter(|(flow, ..)| flow == "cloud")
        .collect()
}

#[test]
fn openssl_with_tls_1_2_or_1_3_works() {
    for version in ["-tls1_2", "-tls1_3"] {
        for (_, outcome, causes) in check_openssl(&[version]) {
            assert_eq!(
                (outcome.as_str(), causes.len()),
                ("warn", 0),
                "{version}: only names failed"
            );
        }
    }
}

#[test]
fn openssl_with_tls_1_1_alone_is_too_old() {
    for (_, outcome, causes) in check_openssl(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]) {
        assert_eq!(
            (outcome.as_str(), causes),
            ("fail", vec!["tls-too-old".to_owned()])
        );
    }
}

/// Runs a check of a CUBE with a clock that is this far off, as libfaketime has it.
fn check_at(clock: &str) -> Vec<(String, String, Vec<String>)> {
    let site = Site::new(&["api.tapio.one", "cloud.homag.test"], Faults::default());
    let output = Command::new("faketime")
        .args([
            "-f",
            clock,
            env!("CARGO_BIN_EXE_outgate"),
            "check",
            "homag-cube",
            "--json",
        ])
        .args([
            "--set=homag-cloud-host=cloud.homag.test",
            "--sample=*.tapio.one=api.tapio.one",
        ])
        .args(&site.way)
        .output()
        .unwrap();
    outcomes(&json(&output))
}

#[test]
fn a_clock_a_day_ahead_is_this_machines_fault_and_the_lanes_work() {
    let found = check_at("+1d");
    let of = |id: &str| found.iter().find(|(flow, ..)| flow == id).unwrap();
    let (_, outcome, causes) = of("time");
    assert_eq!(
        (outcome.as_str(), causes.as_slice()),
        ("warn", ["clock-wrong".to_owned()].as_slice())
    );
    assert_eq!(of("tapio-cloud").1, "pass");
}

#[test]
fn a_clock_years_behind_explains_certificates_that_are_not_valid_yet() {
    let found = check_at("-2000d");
    for id in ["time", "tapio-cloud", "homag-cloud"] {
        let (_, outcome, causes) = found.iter().find(|(flow, ..)| flow == id).unwrap();
        assert_eq!(causes.as_slice(), ["clock-wrong".to_owned()], "{id}");
        assert_eq!(outcome, if id == "time" { "warn" } else { "fail" }, "{id}");
    }
}

const HUB: &str = "devices.pos.prod.op3n.dev";

/// Checks Open POS's realtime at a hub behind an nginx with these directives.
fn check_hub_behind_nginx(directives: &str) -> (String, Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(SystemTime::now()).unwrap();
    let validity = Validity::around(SystemTime::now());
    let identity = authority.issue(&[HUB.to_owned()], validity).unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let ca = write("ca.pem", &authority.pem());
    let chain = write("chain.pem", identity.chain_pem());
    let key = write("key.pem", &identity.key_pem());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut stage = Stage::new(authority, SystemClock);
    let hub = runtime.block_on(stage.http(Place::v4(), HttpFault::None));
    let (hub, address) = (hub.unwrap(), free().unwrap());
    let server = format!(
        "server {{
                listen {address} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
                location / {{ proxy_pass http://{hub}; {directives} }}
        }}"
    );
    let mut server = nginx(folder.path(), &server).unwrap();
    let answers = |address| TcpStream::connect(address).is_ok();
    let _server = Program::start_until(&mut server, folder.path(), address, answers).unwrap();
    let output = outgate([
        "check".to_owned(),
        "open-pos".to_owned(),
        "--json".to_owned(),
        format!("--ca={ca}"),
        format!("--connect-to={HUB}:443:{address}"),
        "--connect-to=:443:127.0.0.1:1".to_owned(),
        "--connect-to=:80:127.0.0.1:1".to_owned(),
        "--resolver=127.0.0.1:1".to_owned(),
        "--timeout=5".to_owned(),
        "--hold=0".to_owned(),
    ]);
    let report = json(&output);
    let mut realtime = outcomes(&report)
        .into_iter()
        .filter(|(flow, ..)| flow == "realtime");
    let (Some((_, outcome, causes)), None) = (realtime.next(), realtime.next()) else {
        panic!("one lane of realtime in {report}");
    };
    let what = report["causes"].as_array().unwrap().iter();
    let what = what.map(|cause| cause["what"].as_str().unwrap().to_owned());
    (outcome, causes, what.collect())
}

#[test]
fn nginx_as_it_comes_strands_signalr_and_as_it_should_be_does_not() {
    let (outcome, causes, what) = check_hub_behind_nginx("");
    assert_eq!(
        (outcome.as_str(), causes),
        ("fail", vec!["stream-buffered".to_owned()])
    );
    let stranded = "SignalR would get through over LongPolling, but its clients stop at \
                    ServerSentEvents";
    assert!(what.contains(stranded), "{what}");
    let (outcome, causes, _) = check_hub_behind_nginx(
        "proxy_http_version 1.1; proxy_buffering off;
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;",
    );
    assert_eq!((outcome.as_str(), causes.len()), ("pass", 0));
}
