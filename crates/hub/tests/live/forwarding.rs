//! What the API is asked, and what becomes of its answers.

use std::io::Write as _;

use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::Whole;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_learns_who_asks_from_the_hub_alone_and_sees_no_credential_of_theirs() {
    let mut key = tempfile::NamedTempFile::new().unwrap();
    writeln!(key, "Bearer of-the-hub").unwrap();
    let whole = Whole::with(&format!("key-file = '{}'\n", key.path().display())).await;
    let token = whole.terminal.token().await;
    let post = whole.terminal.client.post(format!(
        "{}/live/flow/open/a%20b?q=1&r=%2F",
        whole.terminal.hub
    ));
    let answer = post
        .bearer_auth(&token)
        .header("content-type", "application/json")
        .header("outgate-device", "T1")
        .header("cookie", "a=b")
        .header("x-forwarded-for", "192.0.2.1")
        .body("{\"card\":17}")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let told: Value = answer.json().await.unwrap();
    assert_eq!(told["method"], "POST");
    assert_eq!(told["uri"], "/v1/open/a%20b?q=1&r=%2F");
    assert_eq!(told["body"], "{\"card\":17}");
    let headers: Vec<&str> = told["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    for right in [
        "outgate-device: T7",
        "outgate-site: s",
        "authorization: Bearer of-the-hub",
        "content-type: application/json",
        &format!("host: {}", whole.vendor.address),
    ] {
        assert!(headers.contains(&right), "{right} {headers:?}");
    }
    for wrong in ["cookie", "x-forwarded-for", "og_lookup_", "T1"] {
        assert!(
            !headers.iter().any(|header| header.contains(wrong)),
            "{headers:?}"
        );
    }
    let metrics = whole.running.hub.state().metrics.text();
    let counted = "outgate_live_lookups_total{target=\"flow\",outcome=\"answered\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("outgate_live_lookup_seconds_count{target=\"flow\"} 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_not_asked() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    for (path, status) in [
        ("flow", StatusCode::NOT_FOUND),
        ("flow/", StatusCode::NOT_FOUND),
        ("flow/closed", StatusCode::NOT_FOUND),
        ("flow/opened", StatusCode::NOT_FOUND),
        ("flow/Open", StatusCode::NOT_FOUND),
        ("other/open", StatusCode::NOT_FOUND),
        ("fleet", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = whole.terminal.look_up(&token, path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    let delete = whole
        .terminal
        .client
        .delete(format!("{}/live/flow/open", whole.terminal.hub));
    let answer = delete.bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(whole.vendor.seen.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_answers_wrongly_is_told_apart() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    for path in ["moved", "large", "endless", "strange"] {
        is_told(&whole, path, (StatusCode::BAD_GATEWAY, "upstream")).await;
    }
    // Each was asked once: nobody followed, and nobody tried again.
    assert_eq!(whole.vendor.seen.asked(), 4);
    let answer = whole.terminal.look_up(&token, "flow/open/missing").send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(answer.text().await.unwrap(), "no such employee");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_answer_in_time_is_told_so() {
    let whole = Whole::waiting(1, "").await;
    is_told(
        &whole,
        "held",
        (StatusCode::GATEWAY_TIMEOUT, "upstream-late"),
    )
    .await;
    assert_eq!(whole.vendor.seen.asked(), 1);
}

/// Looks up what the API does not answer as it should, and holds what the terminal is told of it.
async fn is_told(whole: &Whole, path: &str, (status, kind): (StatusCode, &str)) {
    let token = whole.terminal.token().await;
    let answer = whole.terminal.look_up(&token, &format!("flow/open/{path}"));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), status, "{path}");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], format!("/problems/{kind}"), "{path}");
    assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_not_handed_on() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    let post = whole
        .terminal
        .client
        .post(format!("{}/live/flow/open/a", whole.terminal.hub));
    let answer = post.bearer_auth(&token).body(vec![b'a'; 1_025]).send();
    assert_eq!(
        answer.await.unwrap().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(whole.vendor.seen.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_keeps_failing_is_left_alone() {
    let whole = Whole::start().await;
    let token = whole.terminal.token().await;
    for _ in 0..3 {
        let answer = whole.terminal.look_up(&token, "flow/open/broken").send();
        let status = answer.await.unwrap().status();
        assert_eq!(status, StatusCode::BAD_GATEWAY);
    }
    let answer = whole.terminal.look_up(&token, "flow/open/a").send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    assert_eq!(whole.vendor.seen.asked(), 3);
    let metrics = whole.running.hub.state().metrics.text();
    for (outcome, count) in [("failed", 3), ("left-alone", 1)] {
        let counted =
            format!("outgate_live_lookups_total{{target=\"flow\",outcome=\"{outcome}\"}} {count}");
        assert!(metrics.contains(&counted), "{metrics}");
    }
}
