//! Spaces of a site: what is answered about them, and what is noted.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::hub::Hub;

const SPACE: &str = "/api/sites/a/spaces/sales";

async fn put(hub: &Hub, body: Value) -> (StatusCode, Value) {
    let answer = hub.ask(&hub.admin, Method::PUT, SPACE, body).await;
    (answer.status, answer.body)
}

fn sales() -> Value {
    json!({"title": "Sales", "roles": {"viewer": ["read"], "editor": ["reload", "read", "read"]}})
}

#[tokio::test]
async fn a_space_is_made_changed_shown_and_removed_with_its_grants() {
    let hub = Hub::furnished().await;
    let (status, made) = put(&hub, sales()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let roles = json!({"viewer": ["read"], "editor": ["read", "reload"]});
    assert_eq!((&made["id"], &made["roles"]), (&json!("sales"), &roles));
    for (user, role) in [("ann", "viewer"), ("ann", "editor"), ("bob|7/x", "editor")] {
        let body = json!({"user": user, "role": role});
        let granted = hub.post(&format!("{SPACE}/grants"), body.clone()).await;
        assert_eq!(granted.status, StatusCode::OK, "{granted:?}");
        let again = hub.post(&format!("{SPACE}/grants"), body).await;
        assert_eq!(again.body, granted.body);
    }
    let listed = hub.get("/api/sites/a/spaces").await;
    assert_eq!(listed.body, json!({"items": [made]}));
    // A role that goes takes its grants along, and no others.
    let viewers = json!({"title": "Sales and more", "roles": {"viewer": ["read"]}});
    assert_eq!(put(&hub, viewers).await.0, StatusCode::OK);
    let shown = hub.get(SPACE).await.body;
    assert_eq!(shown["title"], "Sales and more");
    assert_eq!(shown["created"], made["created"]);
    let left = shown["grants"].as_array().unwrap();
    assert_eq!((left.len(), &left[0]["user"]), (1, &json!("ann")));
    let revoke = format!("{SPACE}/grants/revoke");
    let revoked = hub.post(&revoke, json!({"user": "ann"})).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let none = hub.post(&revoke, json!({"user": "ann"})).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let gone = hub
        .ask(&hub.admin, Method::DELETE, SPACE, Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(hub.get(SPACE).await.status, StatusCode::NOT_FOUND);
    let noted = hub.get("/api/audit?limit=1000").await.body.to_string();
    for act in ["put", "grant", "revoke", "remove"] {
        assert!(noted.contains(&format!("\"space.{act}\"")), "{act}");
    }
}

#[tokio::test]
async fn what_is_no_space_no_user_and_no_role_of_it_is_refused() {
    let hub = Hub::furnished().await;
    let named = |name: &str| json!({"title": "Sales", "roles": {name: ["read"]}});
    for wrong in [
        json!({"title": "", "roles": {"viewer": ["read"]}}),
        json!({"title": "Sales", "roles": {}}),
        json!({"title": "Sales", "roles": {"viewer": ["a b"]}}),
        json!({"title": "Sales"}),
        json!({"title": "Sales", "roles": {"viewer": ["read"]}, "more": 1}),
        named("a b"),
    ] {
        let (status, told) = put(&hub, wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{told}");
    }
    assert_eq!(put(&hub, sales()).await.0, StatusCode::OK);
    let grants = format!("{SPACE}/grants");
    for (user, role) in [("ann", "owner"), ("", "viewer"), ("a b", "viewer")] {
        let body = json!({"user": user, "role": role});
        let refused = hub.post(&grants, body).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{user}");
    }
    let elsewhere = "/api/sites/a/spaces/stock/grants";
    let body = json!({"user": "ann", "role": "viewer"});
    let refused = hub.post(elsewhere, body).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
}
