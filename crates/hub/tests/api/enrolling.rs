//! How a device comes in by a fleet key, over HTTP and without a login.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use outgate_core::identity::enrolment_text;
use ring::hmac;
use serde_json::{Value, json};

use crate::hub::{Answer, Hub, soon};

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

/// An enrolment whose body is `body`.
fn asked(body: Body) -> Request<Body> {
    let request = Request::post("/api/enrol").header("content-type", "application/json");
    request.body(body).unwrap()
}

/// A body of which nothing comes.
fn silent() -> Body {
    Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>())
}

#[tokio::test]
async fn who_has_shown_nothing_holds_few_bodies_open_and_no_large_one() {
    let hub = Hub::new().await;
    let large = hub.tell(asked(Body::from(vec![b' '; 40_000]))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{large:?}");
    let mut open: Vec<_> = (0..32)
        .map(|_| Box::pin(hub.tell(asked(silent()))))
        .collect();
    for one in &mut open {
        let polled = poll_fn(|context| Poll::Ready(one.as_mut().poll(context).is_pending()));
        assert!(polled.await);
    }
    let beyond = soon(hub.tell(asked(silent()))).await;
    assert_eq!(beyond.status, StatusCode::TOO_MANY_REQUESTS, "{beyond:?}");
    let mut elsewhere = asked(Body::from("{}"));
    let peer: SocketAddr = "192.0.2.8:1".parse().unwrap();
    elsewhere.extensions_mut().insert(peer);
    let other = hub.tell(elsewhere).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    drop(open);
    let again = hub.tell(asked(Body::from("{}"))).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY, "{again:?}");
}

#[tokio::test]
async fn who_asks_too_often_is_refused_before_the_body_is_looked_at() {
    let hub = Hub::held().await;
    let many = (0..150).map(|_| {
        let mut request = asked(Body::empty());
        request.headers_mut().remove("content-type");
        hub.tell(request)
    });
    let answers = futures_util::future::join_all(many).await;
    // Fewer than may be asked for without a login in all.
    let of = |status| answers.iter().filter(|it| it.status == status).count();
    assert_eq!(of(StatusCode::UNSUPPORTED_MEDIA_TYPE), 100);
    assert_eq!(of(StatusCode::TOO_MANY_REQUESTS), 50);
}
