//! Microsoft's client against the examples.

use std::process::Stdio;

use outgate_testbed::PATIENCE;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::microsoft::run;

/// An example that runs, and where its hub is.
async fn example(name: &str) -> (Child, String) {
    // Cargo becomes the example, so that it ends with it.
    let mut child = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It may have to be built first.
    let line = tokio::time::timeout(5 * PATIENCE, lines.next_line()).await;
    let line = line.expect("it says where it is").unwrap();
    (child, line.expect("it says where it is"))
}

#[tokio::test]
async fn the_chat_tells_those_in_a_room_what_is_said_there() {
    let (_child, url) = example("chat").await;
    let options = json!({"url": url, "transport": "WebSockets", "protocol": "json"});
    let found = run("chat", options).await;
    let early = "An unexpected error occurred invoking 'Say' on the server. \
        HubException: enter a room first";
    let expected = json!({"early": early, "heard": ["ada: hello"], "hear": 2, "here": 2});
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_streams_flow_both_ways() {
    let (_child, url) = example("streaming").await;
    for protocol in ["json", "messagepack"] {
        let options = json!({"url": url, "transport": "WebSockets", "protocol": protocol});
        let too_long = "An unexpected error occurred invoking 'Count' on the server. \
            HubException: that would take too long";
        let expected = json!({
            "counted": [0, 1, 2],
            "tooLong": too_long,
            "stored": 2,
            "averages": [20, 21],
            "measured": "19.5 degrees",
        });
        assert_eq!(run("streaming", options).await, expected, "{protocol}");
    }
}
