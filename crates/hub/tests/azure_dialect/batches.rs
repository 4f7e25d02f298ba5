//! Several messages at once.

use serde_json::{Value, json};

use crate::{Bench, token_of};

const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// The status of saying these at once.
async fn say(bench: &Bench, token: &str, all: &Value) -> u16 {
    let address = bench.running.hub.listening()[0].address;
    let url = format!("http://{address}/devices/till-1/messages/events?api-version=2021-04-12");
    let request = bench.client.post(url).header("authorization", token);
    let request = request.header("content-type", BATCH).body(all.to_string());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn all_messages_of_a_batch_are_kept_or_none() {
    let bench = Bench::start().await;
    let token = token_of("till-1", &bench.device("till-1").await);
    let one = |body: &str| json!({"body": body, "base64Encoded": false});
    let all = json!([one("a"), one("b"), {"body": "Yw=="}]);
    assert_eq!(say(&bench, &token, &all).await, 204);
    let kept = bench.events("till-1").await;
    let payloads: Vec<_> = kept.iter().map(|event| event.payload.clone()).collect();
    assert_eq!(payloads, ["a", "b", "c"]);
    let long = "x".repeat(300_000);
    for (wrong, status) in [
        (json!([one("d"), {"body": "no base 64"}]), 400),
        (json!([one("d"), one(&long)]), 413),
        (json!(vec![one("d"); 501]), 413),
    ] {
        assert_eq!(say(&bench, &token, &wrong).await, status);
    }
    assert_eq!(bench.events("till-1").await.len(), 3);
}
