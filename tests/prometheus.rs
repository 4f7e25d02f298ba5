//! What Prometheus itself says of the figures.

use std::io::Write as _;
use std::process::{Command, Stdio};

use outgate_testbed::told;

use crate::hub::Hub;
use crate::support::{Faults, Site, Watch, scrape};

/// The body of an answer of this kind.
fn body<'a>(answer: &'a str, kind: &str) -> &'a str {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.0 200"), "{answer}");
    let told = head.to_ascii_lowercase();
    assert!(told.contains(&format!("content-type: {kind}")), "{answer}");
    body
}

/// Hands the figures at an address to `promtool`: in the older format to its judge of names, units
/// and words; as OpenMetrics, with the time that it wants beside each, to Prometheus' own reader.
fn judge(address: &str) {
    let plain = scrape(address, "*/*");
    let plain = body(&plain, "text/plain; version=0.0.4");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: run `cargo xtask peers`");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(plain.as_bytes()).unwrap();
    drop(stdin);
    let judged = promtool.wait_with_output().unwrap();
    assert!(judged.status.success(), "{}\n{plain}", told(&judged));
    assert_eq!(told(&judged).trim(), "", "{plain}");

    let whole = scrape(address, "application/openmetrics-text; version=1.0.0");
    let whole = body(&whole, "application/openmetrics-text; version=1.0.0");
    let timed = whole.lines().map(|line| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{line} 1700000000\n"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    std::fs::write(&file, timed.collect::<String>()).unwrap();
    let read = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&file, &folder.path().join("blocks")])
        .output()
        .unwrap();
    assert!(read.status.success(), "{}\n{whole}", told(&read));
}

#[test]
fn promtool_finds_nothing_wrong_with_what_a_watch_tells() {
    let names = ["api.tapio.one", "cloud.homag.test"];
    let closed = Faults {
        closed: true,
        ..Faults::default()
    };
    for faults in [Faults::default(), closed] {
        let site = Site::new(&names, faults);
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command.args(["check", "homag-cube", "--timeout=2"]);
        command.args(["--set=homag-cloud-host=cloud.homag.test"]);
        command.args(["--sample=*.tapio.one=api.tapio.one"]);
        judge(&Watch::start(command.args(&site.way)).address);
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_what_a_hub_counts() {
    let hub = Hub::entered();
    judge(&hub.plain.to_string());
}
