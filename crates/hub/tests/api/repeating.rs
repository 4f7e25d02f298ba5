//! Requests with an idempotency key.

use futures_util::FutureExt as _;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::hub::{Answer, Hub, request};

async fn post(hub: &Hub, token: &str, key: &str, path: &str, body: Value) -> Answer {
    let mut request = request(token, Method::POST, path, &body);
    let key = key.parse().unwrap();
    request.headers_mut().insert("idempotency-key", key);
    hub.tell(request).await
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_once_and_answered_alike() {
    let hub = Hub::furnished().await;
    let path = "/api/devices/till/credentials";
    let body = json!({"kind": "token", "label": "test"});
    let first = post(&hub, &hub.admin, "k1", path, body.clone()).await;
    let again = post(&hub, &hub.admin, "k1", path, body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    assert_eq!(again.headers["content-type"], "application/json");
    let kept = hub.get(path).await;
    assert_eq!(kept.body["items"].as_array().unwrap().len(), 1);
    let other = post(&hub, &hub.admin, "k2", path, body).await;
    assert_ne!(other.body, first.body);
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_caller() {
    let hub = Hub::furnished().await;
    let site = json!({"id": "c", "title": "C"});
    let made = post(&hub, &hub.admin, "k", "/api/sites", site).await;
    assert_eq!(made.headers["location"], "/api/sites/c");
    let other = json!({"id": "d", "title": "D"});
    let reused = post(&hub, &hub.admin, "k", "/api/sites", other.clone()).await;
    assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reused.body["type"], "/problems/key-reused");
    let second = hub.operator("anna", "admin", None).await;
    let theirs = post(&hub, &second, "k", "/api/sites", other).await;
    assert_eq!(theirs.status, StatusCode::CREATED, "{theirs:?}");
}

#[tokio::test]
async fn a_refused_request_may_be_repeated() {
    let hub = Hub::furnished().await;
    let device = json!({"id": "new", "site": "c"});
    let refused = post(&hub, &hub.admin, "k", "/api/devices", device.clone()).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND, "{refused:?}");
    hub.make("/api/sites", json!({"id": "c", "title": "C"}))
        .await;
    let made = post(&hub, &hub.admin, "k", "/api/devices", device).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

#[tokio::test]
async fn of_many_at_once_one_is_carried_out() {
    let hub = Hub::furnished().await;
    let asked = (0..20).map(|_| {
        let body = json!({"name": "restart"});
        post(&hub, &hub.admin, "k", "/api/devices/till/commands", body)
    });
    let answers = futures_util::future::join_all(asked).await;
    for answer in &answers {
        let known = [StatusCode::CREATED, StatusCode::CONFLICT];
        assert!(known.contains(&answer.status), "{answer:?}");
    }
    let queue = hub.get("/api/devices/till/commands").await;
    assert_eq!(queue.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_gets_the_answer_when_asking_again() {
    let hub = Hub::furnished().await;
    let body = json!({"name": "restart"});
    let path = "/api/devices/till/commands";
    // Dropped at another place each time, while the hub works on it.
    for polls in 0..8 {
        let key = format!("k{polls}");
        let mut hung_up = Box::pin(post(&hub, &hub.admin, &key, path, body.clone()));
        for _ in 0..polls {
            if (&mut hung_up).now_or_never().is_some() {
                break;
            }
            // What is waited for is done before it is looked at again.
            hub.get(path).await;
        }
        drop(hung_up);
        let answer = crate::hub::soon(async {
            loop {
                let answer = post(&hub, &hub.admin, &key, path, body.clone()).await;
                if answer.status != StatusCode::CONFLICT {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(answer.status, StatusCode::CREATED, "after {polls}");
        let queue = hub.get(path).await;
        let queue = queue.body["items"].as_array().unwrap().len();
        assert_eq!(queue, polls + 1, "after {polls}");
    }
}

#[tokio::test]
async fn a_call_that_was_not_answered_in_time_is_not_made_again() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let path = "/api/devices/till/calls/open?deadline=1";
    let first = post(&hub, &hub.admin, "k", path, json!({})).await;
    assert_eq!(first.status, StatusCode::GATEWAY_TIMEOUT, "{first:?}");
    let again = post(&hub, &hub.admin, "k", path, json!({})).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(session.signal().now_or_never().is_some());
    assert!(session.signal().now_or_never().is_none(), "asked twice");
}
