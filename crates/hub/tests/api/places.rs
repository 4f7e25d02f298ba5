//! Places that nobody takes from any more.

use http::{Method, StatusCode};
use outgate_core::identity::Claim;
use outgate_core::secret::Secret;
use outgate_core::sessions::Session;
use serde_json::{Value, json};

use crate::hub::{Hub, PEER};

/// A session of a new service that sees all sites.
async fn service(hub: &Hub) -> Session {
    let made = hub.make("/api/services", json!({"id": "erp"})).await;
    let token = made["issued"]["given"]["token"].as_str().unwrap();
    let token = Secret::new(token.as_bytes().to_vec());
    let claim = Claim::Token {
        token: &token,
        device: None,
    };
    let identified = hub.core.identity.authenticate(claim).await.unwrap();
    let session = hub
        .core
        .open_session(&identified, "mqtt", PEER.parse().unwrap());
    session.await.unwrap()
}

/// The place that the service has over MQTT.
const PLACE: &str = "mqtt:erp:main";

async fn register(hub: &Hub, session: &Session) {
    let place = PLACE.parse().unwrap();
    let by = Some(session.pass());
    let registered = hub.core.consumers.register(by, &place, None).await;
    registered.unwrap();
}

async fn consumers(hub: &Hub) -> Vec<String> {
    let listed = hub.get("/api/consumers").await;
    let items = listed.body["items"].as_array().unwrap().iter();
    items
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_services_place_is_removed_by_its_whole_name_by_who_sees_all_sites() {
    let hub = Hub::furnished().await;
    let session = service(&hub).await;
    register(&hub, &session).await;
    assert_eq!(consumers(&hub).await, [PLACE]);
    let path = format!("/api/consumers/{PLACE}");
    for (role, site) in [("admin", Some("a")), ("operator", None)] {
        let token = hub.operator(&format!("some-{role}"), role, site).await;
        let refused = hub.ask(&token, Method::DELETE, &path, Value::Null).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{role}");
    }
    let removed = hub
        .ask(&hub.admin, Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    assert!(consumers(&hub).await.is_empty());
}

#[tokio::test]
async fn a_revoked_services_places_hold_nothing_back() {
    let hub = Hub::furnished().await;
    let session = service(&hub).await;
    register(&hub, &session).await;
    drop(session);
    let shared = hub
        .ask(&hub.admin, Method::PUT, "/api/consumers/billing", json!({}))
        .await;
    assert_eq!(shared.status, StatusCode::OK, "{shared:?}");
    let revoked = hub.post("/api/services/erp/revoke", Value::Null).await;
    assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
    assert_eq!(consumers(&hub).await, ["billing"]);
}
