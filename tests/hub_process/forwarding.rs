//! A hub that sends on what devices log, to a collector made of OpenTelemetry's own messages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use outgate_testbed::{Ends, python};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::process::{Hub, PATIENCE};

struct Collector {
    _process: Ends,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    port: String,
}

impl Collector {
    /// One that refuses the first requests so.
    fn refusing(refusals: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/collector.py");
        let mut process = Command::new(python().unwrap())
            .arg(script)
            .args(refusals)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            port: lines.next().unwrap().unwrap(),
            lines,
            _process: Ends(process),
        }
    }

    fn next(&mut self) -> Json {
        let line = self.lines.next().expect("the collector has ended");
        serde_json::from_str(&line.unwrap()).unwrap()
    }
}

/// Has a device log, and waits until that is on the hub's disk.
fn log(hub: &Hub, token: &str, texts: &[&str]) {
    let said = |text| json!({"body": {"stringValue": text}, "severityNumber": 17});
    let records: Vec<Json> = texts.iter().map(said).collect();
    let resource = json!({"attributes": [
        {"key": "service.name", "value": {"stringValue": "till"}},
        {"key": "outgate.device", "value": {"stringValue": "another"}},
    ]});
    let body = json!({"resourceLogs": [
        {"resource": resource, "scopeLogs": [{"logRecords": records}]},
    ]});
    let body = body.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, hub.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_killed_hub_goes_on_sending_logs_where_it_was() {
    let mut collector = Collector::refusing(&["503", "429:600"]);
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("headers");
    std::fs::write(&key, "X-Key: k-1\n").unwrap();
    let more = format!(
        "[device-logs.forward]\nendpoint = 'http://127.0.0.1:{}'\nheaders = {key:?}\n",
        collector.port
    );
    let hub = Hub::start_with(folder.path(), &more);
    hub.site("s");
    let token = hub.device("till");
    log(&hub, &token, &["one", "two"]);
    // It waits, and is killed before it has tried again.
    assert_eq!(collector.next(), json!({"refused": 503}));
    hub.kill();
    let hub = Hub::start_with(folder.path(), &more);
    assert_eq!(collector.next(), json!({"refused": 429}));
    hub.kill();
    let hub = Hub::start_with(folder.path(), &more);
    for said in ["one", "two"] {
        let told = collector.next();
        let resource = json!({
            "service.name": "till", "outgate.device": "till", "outgate.site": "s",
        });
        assert_eq!(
            (&told["body"], &told["resource"]),
            (&json!(said), &resource)
        );
        assert_eq!(
            (&told["severity"], &told["key"]),
            (&json!(17), &json!("k-1"))
        );
    }
    // Once what comes next is sent, how far it was before is on the disk.
    log(&hub, &token, &["three"]);
    assert_eq!(collector.next()["body"], "three");
    hub.kill();
    let hub = Hub::start_with(folder.path(), &more);
    log(&hub, &token, &["four"]);
    // That which was sent last may come twice, nothing before it.
    let mut told = collector.next();
    if told["body"] == "three" {
        told = collector.next();
    }
    assert_eq!(told["body"], "four");
    assert!(hub.terminate().success());
}
