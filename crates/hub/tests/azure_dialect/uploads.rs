//! Upload of files.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Bench, HUB, body, token, token_of};

/// Asks where to put a file, and gives what is told.
async fn begun(bench: &Bench, device: &str, token: &str, name: &str) -> Value {
    let path = format!("/devices/{device}/files");
    let asked = json!({ "blobName": name }).to_string();
    let told = bench.post(&path, token, &asked).await;
    assert_eq!(told.status(), 200);
    body(told).await
}

/// The status of putting a file as it was told.
async fn put(bench: &Bench, told: &Value) -> u16 {
    let part = |name: &str| told[name].as_str().unwrap();
    let (host, container) = (part("hostName"), part("containerName"));
    let url = format!(
        "http://{host}/{container}/{}{}",
        part("blobName"),
        part("sasToken")
    );
    let put = bench.client.put(url).header("x-ms-blob-type", "BlockBlob");
    put.body("hello").send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_file_is_put_once_and_told_of_in_either_form() {
    let bench = Bench::start().await;
    let token = token_of("till-1", &bench.device("till-1").await);
    for in_path in [true, false] {
        let told = begun(&bench, "till-1", &token, "a.txt").await;
        let id = told["correlationId"].as_str().unwrap();
        assert_eq!(told["blobName"], "till-1/a.txt");
        assert_eq!(put(&bench, &told).await, 201);
        let mut outcome = json!({"isSuccess": true, "statusCode": 201});
        let mut path = "/devices/till-1/files/notifications".to_owned();
        if in_path {
            path = format!("{path}/{id}");
        } else {
            outcome["correlationId"] = json!(id);
        }
        // The second time as after an answer that was lost.
        for _ in 0..2 {
            let done = bench.post(&path, &token, &outcome.to_string()).await;
            assert_eq!(done.status(), 204);
        }
        assert_eq!(put(&bench, &told).await, 403);
    }
    let events = bench.events("till-1").await;
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.name, "file/uploaded");
    }
}

#[tokio::test]
async fn what_a_device_says_is_there_and_is_not_counts_as_failed() {
    let bench = Bench::start().await;
    let token = token_of("till-1", &bench.device("till-1").await);
    let told = begun(&bench, "till-1", &token, "a.txt").await;
    let outcome = json!({"correlationId": told["correlationId"], "isSuccess": true});
    let path = "/devices/till-1/files/notifications";
    let done = bench.post(path, &token, &outcome.to_string()).await;
    assert_eq!(done.status(), 204);
    assert_eq!(bench.events("till-1").await[0].name, "file/failed");
}

#[tokio::test]
async fn nobody_but_the_device_itself_asks_or_tells() {
    let bench = Bench::start().await;
    let (one, other) = (bench.device("till-1").await, bench.device("till-2").await);
    let told = begun(&bench, "till-1", &token_of("till-1", &one), "a.txt").await;
    let id = told["correlationId"].as_str().unwrap();
    let asked = json!({"blobName": "a.txt"}).to_string();
    let resource = format!("{HUB}/devices/till-1");
    let wrong = [
        String::new(),
        "SharedAccessSignature sr=a".to_owned(),
        token_of("till-1", &other),
        token_of("till-2", &other),
        token(&resource, -1, &one, None),
        token("another.azure-devices.net/devices/till-1", 60, &one, None),
    ];
    for token in &wrong {
        let path = "/devices/till-1/files";
        let refused = bench.post(path, token, &asked).await;
        assert_eq!(refused.status(), 401, "{token}");
        let path = format!("/devices/till-1/files/notifications/{id}");
        let refused = bench.post(&path, token, "{\"isSuccess\": true}").await;
        assert_eq!(refused.status(), 401, "{token}");
    }
    let path = format!("/devices/till-2/files/notifications/{id}");
    let token = token_of("till-2", &other);
    let refused = bench.post(&path, &token, "{\"isSuccess\": true}").await;
    assert_eq!(refused.status(), 404);
    assert_eq!(put(&bench, &told).await, 201);
    assert!(bench.events("till-1").await.is_empty());
    assert!(bench.events("till-2").await.is_empty());
}

#[tokio::test]
async fn what_is_no_name_no_body_and_no_upload_is_refused() {
    let bench = Bench::start().await;
    let token = token_of("till-1", &bench.device("till-1").await);
    let files = "/devices/till-1/files";
    for wrong in [
        "",
        "{}",
        "{\"blobName\": \"../a\"}",
        "{\"blobName\": \"\"}",
        "[1]",
    ] {
        let refused = bench.post(files, &token, wrong).await;
        assert_eq!(refused.status(), 400, "{wrong}");
    }
    let notifications = "/devices/till-1/files/notifications";
    for (path, body, status) in [
        (notifications.to_owned(), "{\"isSuccess\": true}", 400),
        (format!("{notifications}/a"), "{\"isSuccess\": true}", 404),
        (
            format!("{notifications}/a"),
            "{\"correlationId\": \"b\", \"isSuccess\": true}",
            400,
        ),
        (format!("{notifications}/a"), "{}", 400),
        (format!("{notifications}/a/b"), "{}", 404),
    ] {
        let refused = bench.post(&path, &token, body).await;
        assert_eq!(refused.status(), status, "{path} {body}");
    }
    let refused = bench.ask(Method::GET, files, &token, "").await;
    assert_eq!(refused.status(), 404);
    let long = json!({"blobName": "a".repeat(20_000)}).to_string();
    assert_eq!(bench.post(files, &token, &long).await.status(), 413);
}
