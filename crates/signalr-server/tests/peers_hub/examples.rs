//! Microsoft's client against the examples.

use std::path::Path;

use outgate_testbed::Example;
use serde_json::json;

use crate::microsoft::run;

/// An example that runs, and where its hub is.
async fn example(name: &str) -> (Example, String) {
    let mut example = Example::start(Path::new(env!("CARGO_MANIFEST_DIR")), name, &[]).unwrap();
    let url = example.line().await.unwrap();
    (example, url)
}

#[tokio::test]
async fn the_chat_tells_those_in_a_room_what_is_said_there() {
    let (_example, url) = example("chat").await;
    let options = json!({"url": url, "transport": "WebSockets", "protocol": "json"});
    let found = run("chat", options).await;
    let early = "An unexpected error occurred invoking 'Say' on the server. \
        HubException: enter a room first";
    let expected = json!({"early": early, "heard": ["ada: hello"], "hear": 2, "here": 2});
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_streams_flow_both_ways() {
    let (_example, url) = example("streaming").await;
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
            "asked": "inside",
        });
        assert_eq!(run("streaming", options).await, expected, "{protocol}");
    }
}
