//! The committed document, and that the API keeps to it.

use http::StatusCode;
use serde_json::{Value, json};

use crate::hub::{Hub, request};

#[test]
fn the_committed_document_is_the_one_the_code_gives() {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed = std::fs::read_to_string(place).unwrap();
    let given = outgate_hub::api::document_text(&outgate_hub::api::document());
    assert!(committed == given, "run `cargo xtask openapi`");
}

#[tokio::test]
async fn the_hub_serves_the_document_without_a_login() {
    let hub = Hub::new().await;
    let request = http::Request::get("/api/openapi.json");
    let answer = hub
        .tell(request.body(axum::body::Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, outgate_hub::api::document());
}

#[test]
fn every_operation_says_what_it_does_and_has_a_name_of_its_own() {
    let operations = operations();
    assert!(operations.len() > 50, "{}", operations.len());
    all_said(&operations);
    let for_devices = operations_of(&outgate_hub::dialects::document());
    assert_eq!(for_devices.len(), 17);
    all_said(&for_devices);
}

fn all_said(operations: &[(String, String, Value)]) {
    let mut names = Vec::new();
    for (method, path, operation) in operations {
        let said = operation["summary"].as_str().unwrap_or_default();
        assert!(!said.is_empty(), "{method} {path}");
        names.push(operation["operationId"].as_str().unwrap().to_owned());
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{path}");
    }
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(document: &Value, part: &Value) {
        match part {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{to}");
                }
                members.values().for_each(|part| check(document, part));
            }
            Value::Array(parts) => parts.iter().for_each(|part| check(document, part)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for document in [
        outgate_hub::api::document(),
        outgate_hub::dialects::document(),
    ] {
        check(&document, &document);
    }
}

#[tokio::test]
async fn the_address_of_a_problem_leads_to_what_it_means() {
    let hub = Hub::new().await;
    let answer = hub.get("/api/devices/nobody").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let kind = answer.body["type"].as_str().unwrap().to_owned();
    assert_eq!(answer.body["status"], json!(404));
    let meaning = hub
        .tell(request("", http::Method::GET, &kind, &Value::Null))
        .await;
    assert_eq!(meaning.status, StatusCode::OK);
    assert!(meaning.body.as_str().unwrap().contains("404"));
}

/// Every operation of the API: its method in capitals, its path, and what the document says.
pub(crate) fn operations() -> Vec<(String, String, Value)> {
    operations_of(&outgate_hub::api::document())
}

/// Every operation of a document.
pub(crate) fn operations_of(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        operations.map(move |(method, operation)| {
            (method.to_ascii_uppercase(), path.clone(), operation.clone())
        })
    });
    each.collect()
}
