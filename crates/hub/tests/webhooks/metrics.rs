//! What is counted, read by Python's client of Prometheus.

use std::process::Command;
use std::time::Duration;

use outgate_core::happening::Happening;
use outgate_hub::metrics::{Direction, Metrics};

/// Prints the families that the text has; fails when it is not OpenMetrics.
const READER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name, family.type, len(family.samples))
";

#[test]
fn another_reader_of_openmetrics_finds_what_was_counted() {
    let metrics = Metrics::default();
    let _live = metrics.session("mqtt");
    let took = Duration::from_millis(2);
    let (via, bytes, writes) = ("mqtt", 3, 7);
    metrics.happened(&Happening::EventKept { via, bytes, took });
    metrics.happened(&Happening::Committed { writes, took });
    metrics.message(Direction::In, 1);
    metrics.webhook_tried("delivered", Duration::from_secs(1));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), metrics.text()).unwrap();
    let read = Command::new(outgate_testbed::python().unwrap())
        .args(["-c", READER])
        .stdin(std::fs::File::open(file.path()).unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(read.stdout).unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    for family in [
        "outgate_build info 1",
        "outgate_sessions gauge 1",
        "outgate_events counter 1",
        "outgate_event_acknowledgement_seconds histogram 13",
        "outgate_store_commit_writes histogram 15",
        "outgate_messages counter 6",
        "outgate_webhook_attempts counter 1",
    ] {
        assert!(said.lines().any(|line| line == family), "{family}: {said}");
    }
}
