//! Commands, calls, twins, sessions and revocations through the API.

use http::{Method, StatusCode};
use outgate_core::calls::Answer as DeviceAnswer;
use outgate_core::commands::Settlement;
use outgate_core::sessions::{Ending, Signal};
use serde_json::{Value, json};

use crate::hub::{Hub, soon};

#[tokio::test]
async fn a_command_goes_to_the_device_to_the_letter() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let path = "/api/devices/till/commands";
    let sent = hub
        .make(
            path,
            json!({"name": "say", "payload": {"b": 1, "a": null}, "lasts": 60}),
        )
        .await;
    let raw = hub
        .make(
            path,
            json!({"name": "raw", "payload_base64": "/wA=", "properties": {"k": "v"}}),
        )
        .await;
    assert_eq!(sent["payload"], json!({"b": 1, "a": null}));
    assert_eq!(raw["payload_base64"], "/wA=");
    let taken = hub.core.commands.take(&session, 10).await.unwrap();
    assert_eq!(&taken[0].payload[..], br#"{"b":1,"a":null}"#);
    assert_eq!(taken[0].content_type, "application/json");
    assert_eq!(&taken[1].payload[..], b"\xff\0");
    assert_eq!(taken[1].properties["k"], "v");
    let commands = &hub.core.commands;
    commands
        .settle(&session, &taken[0].id, Settlement::Completed)
        .await
        .unwrap();
    let one = hub
        .get(&format!("{path}/{}", sent["id"].as_str().unwrap()))
        .await;
    assert_eq!(one.body["state"], "completed");
    // Nobody needs the payload of what has ended.
    assert_eq!(one.body["payload_base64"], "");
    let cancel = format!("{path}/{}/cancel", raw["id"].as_str().unwrap());
    assert_eq!(
        hub.post(&cancel, Value::Null).await.body["state"],
        "cancelled"
    );
}

#[tokio::test]
async fn a_call_is_answered_by_the_device_or_refused() {
    let hub = Hub::furnished().await;
    let path = "/api/devices/till/calls/self-test?deadline=10";
    let offline = hub.post(path, json!({})).await;
    assert_eq!(offline.status, StatusCode::CONFLICT);
    assert_eq!(offline.body["type"], "/problems/offline");
    let session = hub.session("till").await;
    let device = async {
        let Signal::Call(call) = session.signal().await else {
            panic!("no call");
        };
        assert_eq!(
            (&*call.method, &call.payload[..]),
            ("self-test", &b"[1]"[..])
        );
        let answer = DeviceAnswer {
            status: 404,
            content_type: "application/json".to_owned(),
            payload: (&b"{\"ok\": false}"[..]).into(),
        };
        hub.core.calls.answer(&session, &call.id, answer).unwrap();
    };
    let asked = hub.post(path, json!({"payload": [1]}));
    let (answer, ()) = soon(async { tokio::join!(asked, device) }).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.body["status"], 404);
    assert_eq!(answer.body["payload"], json!({"ok": false}));
}

#[tokio::test]
async fn the_desired_half_is_merged_and_told() {
    let hub = Hub::furnished().await;
    let path = "/api/devices/till/twin/desired";
    for (patch, document) in [
        (
            json!({"a": {"b": 1}, "c": 2}),
            json!({"a": {"b": 1}, "c": 2}),
        ),
        (
            json!({"a": {"b": null}, "d": []}),
            json!({"a": {}, "c": 2, "d": []}),
        ),
    ] {
        let changed = hub.ask(&hub.admin, Method::PATCH, path, patch).await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
        assert_eq!(changed.body["document"], document);
    }
    let twin = hub.get("/api/devices/till/twin").await;
    assert_eq!(twin.body["desired"]["version"], 2);
    assert_eq!(twin.body["reported"]["version"], 0);
    let list = hub.ask(&hub.admin, Method::PATCH, path, json!([1])).await;
    assert_eq!(list.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_revocation_tells_how_many_connections_it_closed() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let listed = hub.get("/api/devices/till/sessions").await;
    assert_eq!(listed.body["items"][0]["via"], "test");
    assert_eq!(hub.get("/api/devices/till").await.body["connected"], true);
    let closing = async {
        let ending = session.ended().await;
        drop(session);
        ending
    };
    let revoking = hub.post("/api/devices/till/revoke", Value::Null);
    let (revoked, ending) = soon(async { tokio::join!(revoking, closing) }).await;
    assert_eq!(ending, Ending::Revoked);
    assert_eq!(revoked.body, json!({"ended": 1, "lingering": 0}));
    assert_eq!(hub.get("/api/devices/till").await.body["state"], "revoked");
    let restored = hub.post("/api/devices/till/restore", Value::Null).await;
    assert_eq!(restored.body["state"], "active");
}

#[tokio::test]
async fn a_session_is_dismissed_by_its_name_and_device() {
    let hub = Hub::furnished().await;
    hub.make("/api/devices", json!({"id": "other", "site": "a"}))
        .await;
    let session = hub.session("till").await;
    let name = session.presence().id.clone();
    let wrong = format!("/api/devices/other/sessions/{name}/dismiss");
    assert_eq!(
        hub.post(&wrong, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    let closing = async {
        let ending = session.ended().await;
        drop(session);
        ending
    };
    let right = format!("/api/devices/till/sessions/{name}/dismiss");
    let dismissing = hub.post(&right, Value::Null);
    let (dismissed, ending) = soon(async { tokio::join!(dismissing, closing) }).await;
    assert_eq!(ending, Ending::Dismissed);
    assert_eq!(dismissed.body["ended"], 1);
    let log = hub.get("/api/audit?limit=1").await;
    assert_eq!(log.body["items"][0]["act"], "session.dismiss");
    assert_eq!(log.body["items"][0]["on"], "device/till");
    assert_eq!(
        log.body["items"][0]["detail"]["session"],
        json!(name.as_str())
    );
}

#[tokio::test]
async fn who_makes_and_removes_a_consumer_is_in_the_audit_log() {
    let hub = Hub::furnished().await;
    let made = hub
        .make("/api/services", json!({"id": "erp", "site": "a"}))
        .await;
    let token = made["issued"]["given"]["token"].as_str().unwrap();
    let path = "/api/consumers/billing";
    for _ in 0..2 {
        let kept = hub.ask(token, Method::PUT, path, json!({})).await;
        assert_eq!(kept.status, StatusCode::OK, "{kept:?}");
    }
    let advance = hub.ask(
        token,
        Method::POST,
        "/api/consumers/billing/advance",
        json!({"place": 0}),
    );
    assert_eq!(advance.await.status, StatusCode::NO_CONTENT);
    let gone = hub.ask(token, Method::DELETE, path, Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let log = hub.get("/api/audit?limit=3").await;
    let told = |n: usize| {
        let entry = &log.body["items"][n];
        ["who", "act", "on", "from"].map(|name| entry[name].as_str().unwrap_or_default().to_owned())
    };
    let on = "consumer/api:a:billing";
    assert_eq!(told(0), ["service/erp", "consumer.remove", on, "192.0.2.7"]);
    assert_eq!(
        told(1),
        ["service/erp", "consumer.register", on, "192.0.2.7"]
    );
    assert_eq!(
        told(2)[1],
        "service.create",
        "moving it is not written down"
    );
}

#[tokio::test]
async fn the_place_of_a_webhook_is_not_removed_without_it() {
    let hub = Hub::furnished().await;
    let new = json!({"title": "erp", "url": "https://erp.example/"});
    let made = hub.make("/api/webhooks", new).await;
    let webhook = made["webhook"]["id"].as_str().unwrap();
    let path = format!("/api/consumers/{webhook}");
    let kept = hub
        .ask(&hub.admin, Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(kept.status, StatusCode::CONFLICT, "{kept:?}");
    assert_eq!(kept.body["type"], "/problems/in-use");
    let next = kept.body["detail"].as_str().unwrap();
    assert!(next.contains(&format!("DELETE /api/webhooks/{webhook}")));
    let consumers = hub.get("/api/consumers").await;
    assert_eq!(consumers.body["items"][0]["id"], json!(webhook));
    let viewer = hub.operator("vera", "operator", Some("a")).await;
    let unseen = hub.ask(&viewer, Method::DELETE, &path, Value::Null).await;
    assert_eq!(unseen.status, StatusCode::NOT_FOUND, "{unseen:?}");
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_log() {
    let hub = Hub::furnished().await;
    let log = hub.get("/api/audit?limit=2").await;
    assert_eq!(log.body["items"][0]["act"], "device.create");
    assert_eq!(log.body["items"][0]["on"], "device/till");
    assert_eq!(log.body["items"][0]["from"], "192.0.2.7");
    assert!(log.headers.contains_key("link"));
    let verified = hub.get("/api/audit/verify").await;
    assert_eq!(verified.body["chain"], "whole", "{verified:?}");
}
