//! Limits of the document: each is sent, and one beyond.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::hub::Hub;

/// A request of somebody's own key, made by OpenSSL.
const REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIHIMHECAQAwDzENMAsGA1UEAwwEdGlsbDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABBz3Rzom24KaMRqqnXlajuz2AMyIIOBIrqswRleMWCdkGaYp56BDILPvod4S
ESkrF0+i2YRGk2TP0nvqlS9UfG6gADAKBggqhkjOPQQDAgNHADBEAiBLt/U8TUKr
YpCnOMMHWx2rfvWxXx5Z4LS92YecnUNNggIgOyY6qTCsbc9nQeT46zWi36iZSwC+
8wrzIC3RxL4wUCo=
-----END CERTIFICATE REQUEST-----
";

/// An operation, and a body that is taken, of which one member goes from limit to limit.
struct Operation {
    method: Method,
    path: String,
    body: Value,
    /// Where that member's schema is.
    schema: &'static str,
}

fn post(path: &str, body: Value, schema: &'static str) -> Operation {
    Operation {
        method: Method::POST,
        path: path.to_owned(),
        body,
        schema,
    }
}

/// What is asked for about the device `till`, which has this token.
fn of_a_device(token: &str) -> Vec<Operation> {
    let device = "/api/devices/till";
    let operation = |path: String, body, schema| post(&format!("{device}/{path}"), body, schema);
    let credential = |body, schema| operation("credentials".to_owned(), body, schema);
    vec![
        credential(
            json!({"kind": "token", "label": ""}),
            "/NewCredential/oneOf/1/properties/label",
        ),
        credential(
            json!({"kind": "token", "label": "t", "lasts": 0}),
            "/NewCredential/oneOf/1/properties/lasts",
        ),
        credential(
            json!({"kind": "certificate", "request": REQUEST, "lasts": 0}),
            "/NewCredential/oneOf/3/properties/lasts",
        ),
        operation(
            format!("credentials/{token}/rotate"),
            json!({"overlap": 0}),
            "/Rotation/properties/overlap",
        ),
        operation(
            "commands".to_owned(),
            json!({"name": "n"}),
            "/NewCommand/properties/content_type",
        ),
        operation(
            "commands".to_owned(),
            json!({"name": "n"}),
            "/NewCommand/properties/lasts",
        ),
        operation(
            "calls/n".to_owned(),
            json!({}),
            "/NewCall/properties/content_type",
        ),
    ]
}

/// What is asked for about sites, operators and fleet keys.
fn of_others() -> Vec<Operation> {
    let fleet_key = |schema| {
        let body = json!({"site": "a", "ids": "till-*", "uses": 1, "lasts": 3_600});
        post("/api/fleet-keys", body, schema)
    };
    let site = json!({"title": ""});
    let renamed = Operation {
        method: Method::PATCH,
        ..post("/api/sites/a", site, "/SiteChange/properties/title")
    };
    let site = json!({"id": "x", "title": ""});
    let token = |body, schema| post("/api/operators/anna/tokens", body, schema);
    vec![
        renamed,
        post("/api/sites", site, "/NewSite/properties/title"),
        token(json!({"label": ""}), "/NewToken/properties/label"),
        token(
            json!({"label": "t", "lasts": 0}),
            "/NewToken/properties/lasts",
        ),
        fleet_key("/NewFleetKey/properties/uses"),
        fleet_key("/NewFleetKey/properties/lasts"),
        fleet_key("/NewFleetKey/properties/from"),
    ]
}

/// What is to be taken, and what is not, by a member's schema.
fn values(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let number = |limit: &str| schema[limit].as_u64();
    if let (Some(least), Some(most)) = (number("minimum"), number("maximum")) {
        let beyond = i64::try_from(least).unwrap() - 1;
        return (
            vec![least.into(), most.into()],
            vec![beyond.into(), (most + 1).into()],
        );
    }
    if let Some(most) = number("maxItems") {
        let networks = |number: u64| {
            let networks = (0..number).map(|one| format!("10.0.{one}.0/24"));
            networks.collect::<Vec<_>>().into()
        };
        return (vec![networks(most)], vec![networks(most + 1)]);
    }
    let text = |length: u64| {
        // A limit in characters is not one in bytes; media types are ASCII.
        let letter = if schema["description"].as_str().unwrap().contains("media") {
            "a"
        } else {
            "å"
        };
        Value::from(letter.repeat(usize::try_from(length).unwrap()))
    };
    let most = number("maxLength").unwrap();
    match number("minLength") {
        Some(least) => (
            vec![text(least), text(most)],
            vec![text(least - 1), text(most + 1)],
        ),
        None => (vec![text(most)], vec![text(most + 1)]),
    }
}

#[tokio::test]
async fn each_limit_of_the_document_is_taken_and_one_beyond_is_refused() {
    let hub = Hub::furnished().await;
    hub.operator("anna", "viewer", None).await;
    let path = "/api/devices/till/credentials";
    let made = hub.make(path, json!({"kind": "token", "label": "t"})).await;
    let token = made["items"][0]["credential"]["id"].as_str().unwrap();
    let document = outgate_hub::api::document();
    let schemas = &document["components"]["schemas"];
    let mut number = 0;
    for operation in of_a_device(token).into_iter().chain(of_others()) {
        let (_, member) = operation.schema.rsplit_once('/').unwrap();
        let (taken, beyond) = values(schemas.pointer(operation.schema).unwrap());
        for (value, is_good) in taken
            .into_iter()
            .map(|value| (value, true))
            .chain(beyond.into_iter().map(|value| (value, false)))
        {
            let mut body = operation.body.clone();
            if body.get("id").is_some() {
                number += 1;
                body["id"] = format!("x{number}").into();
            }
            body[member] = value.clone();
            let method = operation.method.clone();
            let answer = hub.ask(&hub.admin, method, &operation.path, body).await;
            let refused = [
                StatusCode::UNPROCESSABLE_ENTITY,
                StatusCode::PAYLOAD_TOO_LARGE,
            ];
            let is_refused = refused.contains(&answer.status);
            let what = operation.schema;
            assert_eq!(is_refused, !is_good, "{what} {value}: {answer:?}");
            assert!(!answer.status.is_server_error(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn one_credential_too_many_is_a_conflict_and_not_a_body_too_large() {
    let hub = Hub::furnished().await;
    let path = "/api/devices/till/credentials";
    let new = json!({"kind": "token", "label": "t"});
    for _ in 0..64 {
        hub.make(path, new.clone()).await;
    }
    let refused = hub.post(path, new).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(refused.body["type"], "/problems/too-many");
}
