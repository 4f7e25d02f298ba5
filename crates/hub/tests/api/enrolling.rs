//! How a device comes in by a fleet key, over HTTP and without a login.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use outgate_core::identity::enrolment_text;
use ring::hmac;
use serde_json::{Value, json};

use crate::hub::{Answer, Hub};

/// Asks for `device` to be taken up, proving with `key`.
async fn enrol(hub: &Hub, made: &Value, device: &str, nonce: &str, key: &[u8]) -> Answer {
    let at = hub.core.clock.now();
    let text = enrolment_text(&device.parse().unwrap(), at, nonce, None);
    let proof = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let body = json!({
        "fleet_key": made["fleet_key"]["id"],
        "device": device,
        "at": at,
        "nonce": nonce,
        "proof": STANDARD.encode(proof),
    });
    let request = Request::post("/api/enrol").header("content-type", "application/json");
    hub.tell(request.body(Body::from(body.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn a_device_that_proves_the_fleet_key_gets_a_key_of_its_own() {
    let hub = Hub::furnished().await;
    let new = json!({"site": "a", "ids": "pos-*", "uses": 2, "lasts": 600});
    let made = hub.make("/api/fleet-keys", new).await;
    let key = STANDARD.decode(made["key"].as_str().unwrap()).unwrap();
    let wrong = enrol(&hub, &made, "pos-1", "0123456789abcdef", b"wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED, "{wrong:?}");
    let welcome = enrol(&hub, &made, "pos-1", "1123456789abcdef", &key).await;
    assert_eq!(welcome.status, StatusCode::CREATED, "{welcome:?}");
    assert_eq!(welcome.body["enrolment"], "welcome");
    let own = welcome.body["given"]["key"].as_str().unwrap();
    assert_eq!(STANDARD.decode(own).unwrap().len(), 32);
    assert_eq!(hub.get("/api/devices/pos-1").await.body["state"], "active");
    hub.make("/api/devices", json!({"id": "pos-2", "site": "a"}))
        .await;
    let token = json!({"kind": "token", "label": "by hand"});
    hub.make("/api/devices/pos-2/credentials", token).await;
    let known = enrol(&hub, &made, "pos-2", "2123456789abcdef", &key).await;
    assert_eq!(known.status, StatusCode::ACCEPTED, "{known:?}");
    assert_eq!(known.body["enrolment"], "awaits-approval");
    let approved = hub.post("/api/devices/pos-2/approve", Value::Null).await;
    assert_eq!(approved.body["state"], "active", "{approved:?}");
    let keys = hub.get("/api/fleet-keys").await;
    assert_eq!(keys.body["items"][0]["ids"], "pos-*");
    assert!(keys.body["items"][0].get("key").is_none());
}
