//! Tables that the hub answers from itself.

use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use reqwest::Response;
use serde_json::{Value, json};

use crate::Whole;

/// Loads a table as an operator does.
async fn load(whole: &Whole, path: &str, kind: &str, text: &str) -> Response {
    let file = whole.running.hub.first_token().unwrap();
    let operator = std::fs::read_to_string(file).unwrap();
    let put = whole
        .terminal
        .client
        .put(format!("{}/api/tables/{path}", whole.terminal.hub));
    let put = put.bearer_auth(operator.trim()).header(CONTENT_TYPE, kind);
    put.body(text.to_owned()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_looks_up_what_was_loaded_without_the_api_being_asked() {
    let whole = Whole::start().await;
    let csv = "card;name\n17;\u{c5}se\n18;Bo\n";
    let loaded = load(&whole, "cards?site=s", "text/csv; charset=utf-8", csv).await;
    assert_eq!(loaded.status(), StatusCode::OK);
    let loaded: Value = loaded.json().await.unwrap();
    assert_eq!((&loaded["rows"], &loaded["site"]), (&json!(2), &json!("s")));
    let token = whole.terminal.token().await;
    let ask = |path: &str| whole.terminal.look_up(&token, path);
    let answer = ask("cards/17").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let tag = answer.headers()[ETAG].clone();
    let row: Value = answer.json().await.unwrap();
    assert_eq!(row, json!({"card": "17", "name": "\u{c5}se"}));
    let known = ask("cards/17").header(IF_NONE_MATCH, tag).send().await;
    assert_eq!(known.unwrap().status(), StatusCode::NOT_MODIFIED);
    for (path, status) in [
        ("cards/19", StatusCode::NOT_FOUND),
        ("cards", StatusCode::NOT_FOUND),
        ("cards/17/name", StatusCode::NOT_FOUND),
        ("prices/17", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(path).send().await.unwrap().status(), status, "{path}");
    }
    let post = whole
        .terminal
        .client
        .post(format!("{}/live/cards/17", whole.terminal.hub));
    let answer = post.bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(whole.vendor.seen.asked(), 0);
    let metrics = whole.running.hub.state().metrics.text();
    let counted = "outgate_live_lookups_total{target=\"tables\",outcome=\"answered\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_api_comes_before_a_table_of_its_name() {
    let whole = Whole::start().await;
    let loaded = load(&whole, "flow", "application/json", "{\"open\": 1}").await;
    assert_eq!(loaded.status(), StatusCode::OK);
    let token = whole.terminal.token().await;
    let answer = whole.terminal.look_up(&token, "flow/open").send().await;
    let told: Value = answer.unwrap().json().await.unwrap();
    assert_eq!(told["uri"], "/v1/open");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_table_is_refused_and_the_one_before_stays() {
    let whole = Whole::start().await;
    let list = r#"[{"card": 17, "hours": 1.50}]"#;
    let loaded = load(&whole, "cards?key=card", "application/json", list).await;
    assert_eq!(loaded.status(), StatusCode::OK);
    for (path, kind, text, status) in [
        ("cards", "application/json", list, StatusCode::BAD_REQUEST),
        (
            "cards?key=card",
            "application/json",
            "[{}]",
            StatusCode::BAD_REQUEST,
        ),
        (
            "cards",
            "text/csv",
            "a\n1\n1\n",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            "cards",
            "text/plain",
            "a\n1\n",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("fleet", "text/csv", "a\n1\n", StatusCode::NOT_FOUND),
        (
            "cards?site=elsewhere",
            "text/csv",
            "a\n1\n",
            StatusCode::NOT_FOUND,
        ),
    ] {
        let answer = load(&whole, path, kind, text).await;
        assert_eq!(answer.status(), status, "{path} {text}");
    }
    let token = whole.terminal.token().await;
    let answer = whole.terminal.look_up(&token, "cards/17").send().await;
    let row = answer.unwrap().text().await.unwrap();
    assert_eq!(row, r#"{"card": 17, "hours": 1.50}"#);
}
