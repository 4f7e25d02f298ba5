//! What an SDK sends, sent on to a collector made of OpenTelemetry's own messages.

use std::path::Path;
use std::process::Stdio;

use outgate_testbed::{PATIENCE, python};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::running::Running;
use crate::{CONFIGURATION, SDKS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_sdk_sends_reaches_a_collector_as_it_was_said_and_tells_whose_it_is() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/collector.py");
    let mut collector = Command::new(python().unwrap())
        .arg(script)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(collector.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().unwrap();
    let more = format!("[device-logs.forward]\nendpoint = 'http://127.0.0.1:{port}'\n");
    let text = format!("{CONFIGURATION}{more}");
    let running = Running::on(tempfile::tempdir().unwrap(), &text).await;
    running.furnish().await;
    for (number, sdk) in [SDKS[0], SDKS[5]].into_iter().enumerate() {
        let device = format!("d{number}");
        let token = running.device(&device).await;
        sdk.logs(&running, &token, 0).await;
        let mut told = Vec::new();
        for _ in 0..2 {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            let line = line.unwrap().unwrap().unwrap();
            let told_now: Value = serde_json::from_str(&line).unwrap();
            told.push(told_now);
        }
        let resource = &told[0]["resource"];
        assert_eq!(resource["outgate.device"], *device, "{sdk:?}");
        assert_eq!(resource["outgate.site"], "s", "{sdk:?}");
        assert_eq!(resource["service.name"], "till", "{sdk:?}");
        assert_eq!(told[0]["scope"], json!(["printing", "1.2"]), "{sdk:?}");
        assert_eq!(
            (&told[0]["severity"], &told[0]["text"], &told[0]["body"]),
            (&json!(17), &json!("ERROR"), &json!("no paper, Ärger")),
            "{sdk:?}"
        );
        let attributes = json!({
            "tries": 3, "ratio": 0.5, "open": true, "list": ["a", "b"],
            "large": 9_007_199_254_740_991_i64,
        });
        assert_eq!(told[0]["attributes"], attributes, "{sdk:?}");
        assert_eq!(told[0]["dated"], true, "{sdk:?}");
        assert_eq!(told[1]["body"], json!({"n": {"deep": 1}}), "{sdk:?}");
    }
}
