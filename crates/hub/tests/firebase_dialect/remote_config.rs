//! Remote Config's templates: who publishes, who reads, and who was faster.

use reqwest::header::{ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::running::Running;
use crate::site::token;
use crate::{service, start};
use outgate_core::identity::{Actor, Scope};

/// What came: a status, an entity tag, a body.
struct Came {
    status: StatusCode,
    tag: String,
    body: Value,
}

async fn ask(
    running: &Running,
    method: Method,
    path: &str,
    token: &str,
    headers: HeaderMap,
    body: &str,
) -> Came {
    let url = format!(
        "http://{}/v1/projects/{path}",
        running.hub.listening()[0].address
    );
    // Whoever was first has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new()
        .request(method, url)
        .headers(headers)
        .bearer_auth(token)
        .body(body.to_owned());
    let response = request.send().await.unwrap();
    let tag = response
        .headers()
        .get(ETAG)
        .map(|tag| tag.to_str().unwrap().to_owned());
    Came {
        status: response.status(),
        tag: tag.unwrap_or_default(),
        body: serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null),
    }
}

async fn get(running: &Running, path: &str, token: &str) -> Came {
    ask(running, Method::GET, path, token, HeaderMap::new(), "").await
}

async fn put(running: &Running, path: &str, token: &str, expected: &str, body: &Value) -> Came {
    let headers = HeaderMap::from_iter([(IF_MATCH, expected.parse().unwrap())]);
    ask(
        running,
        Method::PUT,
        path,
        token,
        headers,
        &body.to_string(),
    )
    .await
}

fn template(greeting: &str) -> Value {
    json!({
        "parameters": { "greeting": { "defaultValue": { "value": greeting } } },
        "version": { "description": format!("says {greeting}") },
    })
}

const POS: &str = "pos/remoteConfig";

#[tokio::test]
async fn a_template_is_published_by_who_knows_the_one_before_and_read_by_devices() {
    let running = start().await;
    let (till, office) = (running.device("till").await, service(&running).await);
    let none = get(&running, POS, &till).await;
    assert_eq!((none.status, none.body), (StatusCode::OK, json!({})));
    let first = put(&running, POS, &office, &none.tag, &template("Hei")).await;
    assert_eq!(first.status, StatusCode::OK);
    let read = get(&running, POS, &till).await;
    assert_eq!((&read.tag, &read.body), (&first.tag, &first.body));
    assert_eq!(read.body["parameters"], template("Hei")["parameters"]);
    let version = &read.body["version"];
    assert_eq!(version["versionNumber"], "1");
    assert_eq!(version["updateType"], "INCREMENTAL_UPDATE");
    assert_eq!(version["updateUser"]["name"], "service/bill");
    assert_eq!(version["description"], "says Hei");

    let known = HeaderMap::from_iter([(IF_NONE_MATCH, first.tag.parse().unwrap())]);
    let same = ask(&running, Method::GET, POS, &till, known.clone(), "").await;
    assert_eq!(
        (same.status, &same.tag),
        (StatusCode::NOT_MODIFIED, &first.tag)
    );
    let stale = put(&running, POS, &office, &none.tag, &template("Hej")).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    assert_eq!(stale.body["error"]["status"], "ABORTED");
    let bare = first.tag.trim_matches('"');
    let second = put(&running, POS, &office, bare, &template("Hej")).await;
    assert_eq!(second.body["version"]["versionNumber"], "2");
    let forced = put(&running, POS, &office, "*", &template("Hallo")).await;
    assert_eq!(forced.body["version"]["updateType"], "FORCED_UPDATE");
    let changed = ask(&running, Method::GET, POS, &till, known, "").await;
    assert_eq!((changed.status, changed.tag), (StatusCode::OK, forced.tag));
    let other = get(&running, "other/remoteConfig", &till).await;
    assert_eq!(other.body, json!({}));
}

#[tokio::test]
async fn earlier_versions_are_listed_in_parts_read_and_published_once_more() {
    let running = start().await;
    let office = service(&running).await;
    for greeting in ["a", "b", "c"] {
        put(&running, POS, &office, "*", &template(greeting)).await;
    }
    let list = async |query: &str| {
        let path = format!("pos/remoteConfig:listVersions{query}");
        get(&running, &path, &office).await.body
    };
    let numbers = |listed: &Value| -> Vec<String> {
        let versions = listed["versions"].as_array().unwrap().iter();
        versions
            .map(|one| one["versionNumber"].as_str().unwrap().to_owned())
            .collect()
    };
    let part = list("?pageSize=2").await;
    assert_eq!(
        (numbers(&part), &part["nextPageToken"]),
        (vec!["3".into(), "2".into()], &json!("2"))
    );
    let rest = list("?pageSize=2&pageToken=2").await;
    assert_eq!(
        (numbers(&rest), &rest["nextPageToken"]),
        (vec!["1".into()], &Value::Null)
    );
    assert_eq!(numbers(&list("?endVersionNumber=2").await), ["2", "1"]);
    let early = get(&running, "pos/remoteConfig?versionNumber=1", &office).await;
    assert_eq!(early.body["parameters"], template("a")["parameters"]);
    let gone = get(&running, "pos/remoteConfig?versionNumber=9", &office).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);

    let roll_back = async |token: &str, body: &str| {
        let path = "pos/remoteConfig:rollback";
        ask(&running, Method::POST, path, token, HeaderMap::new(), body).await
    };
    let back = roll_back(&office, r#"{"versionNumber": "1"}"#).await;
    assert_eq!(back.body["parameters"], template("a")["parameters"]);
    let version = &back.body["version"];
    assert_eq!(
        (&version["updateType"], &version["rollbackSource"]),
        (&json!("ROLLBACK"), &json!("1"))
    );
    assert_eq!(get(&running, POS, &office).await.tag, back.tag);
    let unknown = roll_back(&office, r#"{"versionNumber": "9"}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let number = roll_back(&office, r#"{"version": "1"}"#).await;
    assert_eq!(number.status, StatusCode::BAD_REQUEST);
    let till = running.device("till").await;
    let forbidden = roll_back(&till, r#"{"versionNumber": "1"}"#).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_publishes_but_services_of_all_sites_and_nobody_reads_without_a_token() {
    let running = start().await;
    let (till, office) = (running.device("till").await, service(&running).await);
    let (hub, identity) = (Actor::hub(), &running.core().identity);
    let scope = Scope::Site("s".parse().unwrap());
    let made = identity
        .create_service(&hub, "kitchen".parse().unwrap(), scope)
        .await;
    let kitchen = token(made.unwrap().1);
    for (who, status) in [(till.as_str(), 403), (&kitchen, 403), ("made-up", 401)] {
        for path in [POS, "pos/remoteConfig?validateOnly=true"] {
            let refused = put(&running, path, who, "*", &template("x")).await;
            assert_eq!(refused.status, status, "{path}");
        }
    }
    assert_eq!(
        get(&running, POS, "made-up").await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(get(&running, POS, &till).await.body, json!({}));
    for path in [
        "third/remoteConfig",
        "pos/remote",
        "pos/remoteConfig:downloadDefaults",
    ] {
        assert_eq!(
            get(&running, path, &office).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
        let refused = put(&running, path, &office, "*", &template("x")).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_template_or_comes_without_what_it_knows_is_refused_and_a_trial_keeps_nothing() {
    let running = start().await;
    let office = service(&running).await;
    let trial = put(
        &running,
        "pos/remoteConfig?validateOnly=true",
        &office,
        "*",
        &template("x"),
    )
    .await;
    assert_eq!(
        (trial.status, trial.body),
        (
            StatusCode::OK,
            json!({ "parameters": template("x")["parameters"] }),
        )
    );
    let wrong = json!({ "parameters": { "greeting": { "defaultValue": "x" } } });
    for path in [POS, "pos/remoteConfig?validateOnly=true"] {
        let refused = put(&running, path, &office, "*", &wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let message = refused.body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("parameters.greeting.defaultValue"),
            "{message}"
        );
    }
    let body = template("x").to_string();
    let unmatched = ask(&running, Method::PUT, POS, &office, HeaderMap::new(), &body).await;
    assert_eq!(unmatched.status, StatusCode::BAD_REQUEST);
    for other in ["\"etag-other-0\"", "etag-pos-", "x"] {
        let refused = put(&running, POS, &office, other, &template("x")).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{other}");
    }
    let long = "-".repeat(outgate_firebase::template::TEMPLATE_MAX + 1);
    let headers = HeaderMap::from_iter([(IF_MATCH, "*".parse().unwrap())]);
    let refused = ask(&running, Method::PUT, POS, &office, headers, &long).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(get(&running, POS, &office).await.body, json!({}));
}
