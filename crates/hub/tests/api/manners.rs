//! What is refused of any request, and how that is told.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::hub::{Answer, Hub, request};

fn is_problem(answer: &Answer, status: u16, slug: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["type"], format!("/problems/{slug}"));
}

#[tokio::test]
async fn what_is_not_documented_is_refused() {
    let hub = Hub::furnished().await;
    is_problem(&hub.get("/api/nothing").await, 404, "not-found");
    is_problem(&hub.get("/api/devices?colour=red").await, 400, "malformed");
    is_problem(&hub.get("/api/devices/till?x").await, 400, "malformed");
    is_problem(&hub.get("/api/devices?limit=0").await, 400, "malformed");
    is_problem(
        &hub.get("/api/devices?limit=1&limit=2").await,
        400,
        "malformed",
    );
    is_problem(&hub.get("/api/devices/%FF").await, 404, "not-found");
    is_problem(&hub.get("/api/devices/a%20b").await, 404, "not-found");
    let long = format!("/api/devices?prefix={}", "a".repeat(5_000));
    is_problem(&hub.get(&long).await, 414, "address-too-long");
    let wrong = hub
        .ask(&hub.admin, Method::DELETE, "/api/sites/a", Value::Null)
        .await;
    is_problem(&wrong, 405, "method-not-allowed");
    let allowed = wrong.headers["allow"].to_str().unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("PATCH"),
        "{allowed}"
    );
}

#[tokio::test]
async fn a_body_is_read_strictly() {
    let hub = Hub::furnished().await;
    let extra = json!({"id": "x", "title": "X", "colour": "red"});
    is_problem(&hub.post("/api/sites", extra).await, 422, "invalid");
    let wrong = json!({"id": "a b", "title": "X"});
    is_problem(&hub.post("/api/sites", wrong).await, 422, "invalid");
    let exists = json!({"id": "a", "title": "X"});
    is_problem(&hub.post("/api/sites", exists).await, 409, "exists");
    let with = |kind: &str, body: Body| {
        let mut request = request(&hub.admin, Method::POST, "/api/sites", &json!({}));
        request
            .headers_mut()
            .insert("content-type", kind.parse().unwrap());
        *request.body_mut() = body;
        hub.tell(request)
    };
    let text = with("text/plain", Body::from("{}")).await;
    is_problem(&text, 415, "media-type");
    let broken = with("application/json", Body::from("{\"id\":")).await;
    is_problem(&broken, 400, "malformed");
    let large = with("application/json", Body::from(vec![b' '; 2 << 20])).await;
    is_problem(&large, 413, "too-large");
}

#[tokio::test]
async fn failing_logins_of_one_source_are_slowed_down() {
    let hub = Hub::held().await;
    let mut answers = Vec::new();
    for _ in 0..150 {
        let answer = hub
            .ask("og_op_wrong", Method::GET, "/api/me", Value::Null)
            .await;
        answers.push(answer.status);
    }
    assert_eq!(answers[0], StatusCode::UNAUTHORIZED);
    assert_eq!(answers[149], StatusCode::TOO_MANY_REQUESTS);
    let mut elsewhere = request(&hub.admin, Method::GET, "/api/me", &Value::Null);
    let peer: std::net::SocketAddr = "198.51.100.1:1".parse().unwrap();
    elsewhere.extensions_mut().insert(peer);
    assert_eq!(hub.tell(elsewhere).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_asks_too_often_without_a_login_has_to_wait() {
    let hub = Hub::held().await;
    let get = async |path: &str, peer: &str| {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(peer);
        hub.tell(request).await
    };
    let paths = [
        "/healthz",
        "/readyz",
        "/api/openapi.json",
        "/problems/limited",
    ];
    for path in paths.iter().cycle().take(200) {
        assert_eq!(get(path, "198.51.100.1:1").await.status, StatusCode::OK);
    }
    for path in paths {
        is_problem(&get(path, "198.51.100.1:2").await, 429, "limited");
        assert_eq!(get(path, "198.51.100.2:1").await.status, StatusCode::OK);
    }
    // Who has a login is not kept from anything by those who have none.
    let mut request = request(&hub.admin, Method::GET, "/api/me", &Value::Null);
    let peer: std::net::SocketAddr = "198.51.100.1:3".parse().unwrap();
    request.extensions_mut().insert(peer);
    assert_eq!(hub.tell(request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn machines_learn_how_the_hub_is() {
    let hub = Hub::new().await;
    let get = async |path: &str, peer: &str, proxied: bool| {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        let peer: std::net::SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(peer);
        if proxied {
            let value = "for=198.51.100.1".parse().unwrap();
            request.headers_mut().insert("forwarded", value);
        }
        hub.tell(request).await
    };
    let elsewhere = "198.51.100.1:1";
    let here = "127.0.0.1:1";
    assert_eq!(
        get("/healthz", elsewhere, false).await.status,
        StatusCode::OK
    );
    assert_eq!(
        get("/readyz", elsewhere, false).await.status,
        StatusCode::OK
    );
    is_problem(
        &get("/metrics", elsewhere, false).await,
        401,
        "unauthenticated",
    );
    is_problem(&get("/metrics", here, true).await, 401, "unauthenticated");
    let metrics = get("/metrics", here, false).await;
    assert_eq!(metrics.status, StatusCode::OK);
    let text = metrics.body.as_str().unwrap();
    assert!(text.contains("\noutgate_build_info{"), "{text}");
    assert_eq!(hub.get("/metrics").await.status, StatusCode::OK);
    hub.draining.send_replace(true);
    is_problem(&get("/readyz", elsewhere, false).await, 503, "draining");
}
