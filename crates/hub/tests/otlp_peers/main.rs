//! OpenTelemetry's own SDKs as devices, against a whole hub: its door, its TLS, its store. The SDK of
//! Python and that of Node, each in protobuf and JSON, plain and with gzip.
//!
//! Needs the packages in `xtask/peers`; `cargo xtask test` installs them.

#![cfg(test)]

mod forwarding;
#[path = "../running/hub.rs"]
mod running;
#[path = "../running/site.rs"]
mod site;

use std::path::{Path, PathBuf};

use outgate_core::logs::{Log, LogFilter};
use outgate_testbed::{python, run};
use outgate_wire::otlp::{Record, Resource, Scope};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::running::Running;

/// A hub over TLS.
const CONFIGURATION: &str = "
    [[listen]]
    address = '127.0.0.1:0'
";

/// An SDK and how it is to send.
#[derive(Clone, Copy, Debug)]
struct Sdk {
    program: &'static str,
    encoding: &'static str,
    packing: &'static str,
}

const SDKS: [Sdk; 8] = [
    python_sdk("protobuf", "gzip"),
    python_sdk("protobuf", "none"),
    python_sdk("json", "gzip"),
    node_sdk("protobuf", "gzip"),
    node_sdk("json", "none"),
    node_sdk("json", "gzip"),
    python_sdk("json", "none"),
    node_sdk("protobuf", "none"),
];

const fn python_sdk(encoding: &'static str, packing: &'static str) -> Sdk {
    Sdk {
        program: "sdk.py",
        encoding,
        packing,
    }
}

const fn node_sdk(encoding: &'static str, packing: &'static str) -> Sdk {
    Sdk {
        program: "sdk.js",
        encoding,
        packing,
    }
}

impl Sdk {
    /// Lets it log, first `burst` records that say nothing, as a device with that token. Gives what
    /// it tells of trouble.
    async fn logs(&self, running: &Running, token: &str, burst: u32) -> String {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp_peers");
        let interpreter = match self.program {
            "sdk.py" => python().unwrap(),
            _ => PathBuf::from("node"),
        };
        let port = running.hub.listening()[0].address.port();
        let ended = run(Command::new(interpreter)
            .arg(here.join(self.program))
            .args([self.encoding, self.packing, &burst.to_string()])
            // These would take the place of what the exporter is told to trust.
            .env_remove("REQUESTS_CA_BUNDLE")
            .env_remove("CURL_CA_BUNDLE")
            .env("OUTGATE_PORT", port.to_string())
            .env("OUTGATE_TOKEN", token)
            .env(
                "OUTGATE_AUTHORITY",
                running.folder.path().join("tls/ca.pem"),
            ))
        .await;
        let (status, said) = ended.unwrap();
        assert!(status.success(), "{self:?}: {said}");
        // The SDKs tell of trouble, and then go on as if there were none.
        assert!(said.contains("flushed"), "{self:?}: {said}");
        said
    }
}

/// All that a device has logged.
async fn logged(running: &Running, device: &str) -> Vec<Log> {
    let filter = LogFilter {
        device: Some(device.parse().unwrap()),
        ..LogFilter::default()
    };
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let taken = running.core().logs.after(&filter, after, 1_000).await;
        let taken = taken.unwrap();
        all.extend(taken.logs);
        if taken.next >= taken.newest {
            return all;
        }
        after = taken.next;
    }
}

/// What is told of a record, times aside.
fn told(log: &Log) -> Value {
    let record = Record::from_bytes(&log.record).unwrap();
    let resource = Resource::from_bytes(&log.resource).unwrap();
    let scope = Scope::from_bytes(&log.scope).unwrap();
    json!({
        "severity": record.severity,
        "text": record.severity_text,
        "body": record.body.to_json(),
        "attributes": record.attributes_json(),
        "service": resource.attributes_json()["service.name"],
        "scope": [scope.name, scope.version],
        "dated": record.time > 0 && record.observed > 0,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sdks_of_opentelemetry_send_is_kept_as_it_was_said() {
    let running = Running::on(tempfile::tempdir().unwrap(), CONFIGURATION).await;
    running.furnish().await;
    for (number, sdk) in SDKS.into_iter().enumerate() {
        let device = format!("d{number}");
        let token = running.device(&device).await;
        let said = sdk.logs(&running, &token, 0).await;
        let logs = logged(&running, &device).await;
        let [one, two] = &logs[..] else {
            panic!("{sdk:?}: {} records: {said}", logs.len());
        };
        assert_eq!(
            told(one),
            json!({
                "severity": 17, "text": "ERROR", "body": "no paper, Ärger",
                "attributes": {
                    "tries": 3, "ratio": 0.5, "open": true, "list": ["a", "b"],
                    "large": 9_007_199_254_740_991_i64,
                },
                "service": "till", "scope": ["printing", "1.2"], "dated": true,
            }),
            "{sdk:?}"
        );
        assert_eq!(told(two)["body"], json!({"n": {"deep": 1}}), "{sdk:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_sdk_that_is_told_to_wait_comes_again_and_nothing_is_lost() {
    // A burst of 10,000 is over with the second request, and what is owed takes two seconds. The
    // SDK of Python takes longer than that to write so much JSON.
    let text = format!("{CONFIGURATION}[limits]\nlogs-a-second = 1000\n");
    for sdk in [SDKS[0], SDKS[3], SDKS[4]] {
        let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
        running.furnish().await;
        let token = running.device("till").await;
        let said = sdk.logs(&running, &token, 12_000).await;
        let count = logged(&running, "till").await.len();
        assert_eq!(count, 12_002, "{sdk:?}: {said}");
        let counted = running.hub.state().metrics.text();
        let limited = r#"outgate_logs_refused_total{reason="limited"}"#;
        assert!(counted.contains(limited), "{sdk:?} was never told to wait");
    }
}
