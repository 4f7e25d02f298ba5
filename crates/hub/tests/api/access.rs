//! Who may do what, for every operation of the document.

use http::{Method, StatusCode};
use outgate_core::limits::FAILED_LOGINS;
use serde_json::{Value, json};

use crate::document::operations;
use crate::hub::{Hub, request};

/// A body that each writing operation takes.
fn body(operation: &str) -> Value {
    match operation {
        "create_site" => json!({"id": "c", "title": "C"}),
        "rename_site" => json!({"title": "A"}),
        "put_space" => json!({"title": "Sales", "roles": {"viewer": ["read"]}}),
        "grant_role" => json!({"user": "ann", "role": "viewer"}),
        "revoke_role" => json!({"user": "ann"}),
        "create_device" => json!({"id": "new", "site": "a"}),
        "change_device" => json!({"policy": "own-subtree"}),
        "add_credential" => json!({"kind": "keys"}),
        "rotate_credential" | "rotate_webhook" | "register_consumer" | "change_webhook"
        | "call_device" => json!({}),
        "create_fleet_key" => json!({"site": "a", "ids": "till-*", "uses": 1, "lasts": 60}),
        "send_command" => json!({"name": "restart"}),
        "push_message" => json!({"title": "Order 7"}),
        "patch_desired" => json!({"volume": 3}),
        "patch_tags" => json!({"canary": true}),
        "create_operator" => json!({"id": "new", "role": "viewer"}),
        "add_operator_token" => json!({"label": "other"}),
        "create_service" => json!({"id": "new"}),
        "create_webhook" => json!({"url": "https://billing.example/"}),
        "advance_consumer" => json!({"place": 0}),
        "put_asset" => json!("a logo"),
        "add_release" => json!("an artifact"),
        "add_release_key" => json!({"label": "ours", "key": RELEASE_KEY}),
        "deploy" => json!({"release": "fort-1", "devices": ["till"]}),
        "add_schedule" => json!({"name": "reload", "cron": "0 2 * * *", "devices": ["till"],
            "command": "reload"}),
        "load_table" => json!({"17": {"hours": 3}}),
        "put_file" => json!("a list"),
        "grant_file" => json!({"name": "staff.csv", "verb": "read"}),
        "ask_support" => json!({"reason": "why", "service": "pos"}),
        "send_support" => json!({"at": 0, "bytes_base64": ""}),
        "add_authority" => json!({"certificate": ""}),
        "sign_ssh_certificate" => json!({"account": "service", "key": SSH_KEY, "lasts": 60}),
        without if WITHOUT_BODY.contains(&without) => Value::Null,
        other => panic!("{other} is new: say what its body is"),
    }
}

/// A public key in OpenSSH's form.
const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAsMdkif2SN11rTtuGJodebxeImPJwj0PSoAcb9GlvcQ test";

/// A public key in PEM.
const RELEASE_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEACwyR2J/ZI3XWtO24Yl1h5vF4iY8nCPQ9KgBxv0aW9xA=
-----END PUBLIC KEY-----
";

/// Writing operations that take no body.
const WITHOUT_BODY: [&str; 35] = [
    "remove_space",
    "pause_schedule",
    "remove_schedule",
    "resume_schedule",
    "abort_deployment",
    "advance_deployment",
    "pause_deployment",
    "resume_deployment",
    "retire_release",
    "revoke_release_key",
    "add_access_key",
    "revoke_access_key",
    "approve_device",
    "cancel_command",
    "discard_letter",
    "dismiss_session",
    "end_support",
    "redeliver_letter",
    "remove_asset",
    "remove_file",
    "revoke_grant",
    "remove_consumer",
    "remove_table",
    "remove_webhook",
    "restore_device",
    "restore_device_anew",
    "restore_site",
    "revoke_credential",
    "revoke_device",
    "revoke_fleet_key",
    "revoke_operator",
    "revoke_operator_token",
    "revoke_service",
    "revoke_site",
    "revoke_authority",
];

/// The path with names of what there is.
fn filled(path: &str) -> String {
    path.replace("{site}", "a")
        .replace("{device}", "till")
        .replace("{operator}", "first")
        .replace("{letter}", "1")
        .replace("{method}", "self-test")
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn every_operation_without_a_token_is_refused_unless_it_says_otherwise() {
    // Who fails more often at one hub is told to come later.
    let few = usize::try_from(FAILED_LOGINS.burst / 2).unwrap();
    for operations in operations().chunks(few) {
        let hub = Hub::furnished().await;
        for (method, path, operation) in operations {
            if operation["security"] != json!([{}]) {
                is_refused_without_a_token(&hub, method, path).await;
            }
        }
    }
}

async fn is_refused_without_a_token(hub: &Hub, method: &str, path: &str) {
    let method: Method = method.parse().unwrap();
    for token in ["", "og_op_wrong"] {
        let mut asked = request(token, method.clone(), &filled(path), &Value::Null);
        if token.is_empty() {
            asked.headers_mut().remove("authorization");
        }
        let answer = hub.tell(asked).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert!(answer.headers.contains_key("www-authenticate"), "{path}");
    }
}

#[tokio::test]
async fn a_viewer_may_write_nothing() {
    let hub = Hub::furnished().await;
    let viewer = hub.operator("vera", "viewer", None).await;
    let mut asked = 0;
    for (method, path, operation) in operations() {
        let method: Method = method.parse().unwrap();
        if method == Method::GET || operation["security"] == json!([{}]) {
            continue;
        }
        let body = body(operation["operationId"].as_str().unwrap());
        let answer = hub.ask(&viewer, method.clone(), &filled(&path), body).await;
        assert_eq!(
            answer.status,
            StatusCode::FORBIDDEN,
            "{method} {path}: {answer:?}"
        );
        asked += 1;
    }
    assert!(asked > 25, "{asked}");
    assert_eq!(hub.get("/api/sites/a").await.body["revoked"], Value::Null);
}

#[tokio::test]
async fn who_sees_one_site_finds_nothing_of_another() {
    let hub = Hub::furnished().await;
    let theirs = hub.operator("bo", "admin", Some("b")).await;
    for (method, path, operation) in operations() {
        if !path.contains("{site}") && !path.contains("{device}") {
            continue;
        }
        let method: Method = method.parse().unwrap();
        let body = match method == Method::GET {
            true => Value::Null,
            false => body(operation["operationId"].as_str().unwrap()),
        };
        let answer = hub.ask(&theirs, method.clone(), &filled(&path), body).await;
        // Some may be done only by who sees all sites, whichever site it is about.
        let all = ["restore_site", "revoke_site", "rename_site"];
        let name = operation["operationId"].as_str().unwrap();
        if all.contains(&name) && answer.status == StatusCode::FORBIDDEN {
            continue;
        }
        assert_eq!(
            answer.status,
            StatusCode::NOT_FOUND,
            "{method} {path}: {answer:?}"
        );
    }
    for (path, key) in [("/api/devices", "till"), ("/api/sites", "a")] {
        let answer = hub.ask(&theirs, Method::GET, path, Value::Null).await;
        let seen = answer.body["items"].as_array().unwrap();
        assert!(
            seen.iter().all(|item| item["id"] != key),
            "{path}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_the_others_of_its_holder_stay() {
    let hub = Hub::furnished().await;
    let first = hub.operator("anna", "operator", None).await;
    let second = hub
        .make("/api/operators/anna/tokens", json!({"label": "b"}))
        .await;
    let second = second["given"]["token"].as_str().unwrap().to_owned();
    let me = hub.ask(&first, Method::GET, "/api/me", Value::Null).await;
    assert_eq!(
        (me.body["id"].as_str(), me.body["role"].as_str()),
        (Some("anna"), Some("operator"))
    );
    let name = me.body["token"].as_str().unwrap();
    let path = format!("/api/operators/anna/tokens/{name}/revoke");
    assert_eq!(hub.post(&path, Value::Null).await.status, StatusCode::OK);
    let me = hub.ask(&first, Method::GET, "/api/me", Value::Null).await;
    assert_eq!(me.status, StatusCode::UNAUTHORIZED);
    let me = hub.ask(&second, Method::GET, "/api/me", Value::Null).await;
    assert_eq!(me.status, StatusCode::OK);
}

#[tokio::test]
async fn a_service_takes_events_and_administers_nothing() {
    let hub = Hub::furnished().await;
    let made = hub.make("/api/services", json!({"id": "billing"})).await;
    let token = made["issued"]["given"]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let get = async |path: &str| hub.ask(&token, Method::GET, path, Value::Null).await.status;
    assert_eq!(get("/api/events").await, StatusCode::OK);
    assert_eq!(get("/api/me").await, StatusCode::OK);
    assert_eq!(get("/api/devices").await, StatusCode::FORBIDDEN);
    let registered = hub
        .ask(
            &token,
            Method::PUT,
            "/api/consumers/mine",
            json!({"after": 0}),
        )
        .await;
    assert_eq!(registered.status, StatusCode::OK, "{registered:?}");
    assert_eq!(get("/api/consumers/mine/events").await, StatusCode::OK);
}

#[tokio::test]
async fn nobody_moves_the_place_of_another_sites_consumer() {
    let hub = Hub::furnished().await;
    let theirs = hub.operator("bo", "operator", Some("b")).await;
    let put = async |token: &str| {
        let answer = hub
            .ask(token, Method::PUT, "/api/consumers/same", json!({}))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    };
    put(&hub.admin).await;
    put(&theirs).await;
    let seen = hub
        .ask(&theirs, Method::GET, "/api/consumers", Value::Null)
        .await;
    assert_eq!(seen.body["items"].as_array().unwrap().len(), 1);
    let gone = hub
        .ask(&theirs, Method::DELETE, "/api/consumers/same", Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let stays = hub.get("/api/consumers/same/events").await;
    assert_eq!(stays.status, StatusCode::OK);
    let others = hub
        .ask(
            &theirs,
            Method::GET,
            "/api/consumers/api:same/events",
            Value::Null,
        )
        .await;
    assert_eq!(others.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_sees_one_site_is_told_no_numbers_of_the_others() {
    let hub = Hub::furnished().await;
    let session = hub.session("till").await;
    let event = outgate_core::events::NewEvent {
        name: "x".to_owned(),
        content_type: String::new(),
        properties: std::collections::BTreeMap::new(),
        payload: Vec::new().into(),
    };
    let place = hub.core.events.append(&session, event).await.unwrap();
    let status = async |token: &str| {
        let answer = hub
            .ask(token, Method::GET, "/api/status", Value::Null)
            .await;
        let told = ["sessions", "newest_event"].map(|what| answer.body[what].as_u64().unwrap());
        (told, answer.body["store_bytes"].is_u64())
    };
    let ours = hub.operator("anna", "viewer", Some("a")).await;
    let theirs = hub.operator("bo", "viewer", Some("b")).await;
    assert_eq!(status(&hub.admin).await, ([2, place], true));
    assert_eq!(status(&ours).await, ([2, place], false));
    assert_eq!(status(&theirs).await, ([1, 0], false));
    for (token, allowed) in [(&hub.admin, true), (&ours, false)] {
        let numbers = hub.ask(token, Method::GET, "/metrics", Value::Null).await;
        assert_eq!(numbers.status.is_success(), allowed, "{numbers:?}");
    }
}
