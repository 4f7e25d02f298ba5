//! The OpenAPI document of what devices ask over plain HTTP.

use http::Method;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use super::{assets, authzen, device, live, otlp, push, renewal};
use crate::api::{Frame, add_problems, framed, never_null, operations_mut};

/// What the document begins with.
const ABOUT: &str = "\
What devices ask of an Outgate hub over plain HTTP: their twin, their events and their commands, \
the files that they hold a copy of, what they look up, whether users may do something, what they \
log, and how they are reached by push.\n\n\
Every request shows a device's token, its name with one of its keys, or its certificate in the TLS \
handshake. Operators and services are answered 403. Errors are problem details (RFC 9457); their \
`type` leads to what it means. Logs are answered as OTLP has it.\n\n\
Devices enrol by `POST /api/enrol`, which is in the document of the hub's administration, \
`/api/openapi.json`.";

/// The groups of operations.
const TAGS: [(&str, &str); 9] = [
    ("twin", "What the device is wanted to be, and is"),
    ("events", "What the device says"),
    ("commands", "What the device is to do"),
    ("assets", "Files that the device holds a copy of"),
    ("live", "What the device looks up"),
    ("authorisation", "Whether users may do something"),
    ("logs", "What the device logs"),
    ("certificate", "What the device proves itself by"),
    ("push", "How the device is reached while it is away"),
];

/// The document (OpenAPI 3.1) of this version.
#[must_use]
pub fn document() -> Value {
    let mut described = OpenApi::default();
    for part in [
        device::routes().into_openapi(),
        assets::routes().into_openapi(),
        otlp::routes().into_openapi(),
        live::routes().into_openapi(),
        authzen::routes().into_openapi(),
        push::routes().into_openapi(),
        renewal::routes().into_openapi(),
    ] {
        described.merge(part);
    }
    described.paths.paths = std::mem::take(&mut described.paths.paths)
        .into_iter()
        // OpenAPI knows no parameter of several steps.
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    let mut document = framed(
        &described,
        Frame {
            title: "Outgate hub, for devices",
            about: ABOUT,
            tags: &TAGS,
            security: json!([{ "token": [] }, { "key": [] }, { "certificate": [] }]),
            schemes: json!({
                "token": { "type": "http", "scheme": "bearer", "description": "A device's token" },
                "key": { "type": "http", "scheme": "basic",
                    "description": "The device's name, and one of its keys in base 64 or a token" },
                "certificate": { "type": "mutualTLS", "description": "The device's certificate" },
                "lookup": { "type": "http", "scheme": "bearer",
                    "description": "A token for look-ups, which a device gets for two keys" },
            }),
        },
    );
    for (method, _, operation) in operations_mut(&mut document) {
        add_common(&method, operation);
    }
    forget_what_nobody_answers(&mut document);
    document
}

/// Adds to an operation what all of its sort have in common.
fn add_common(method: &Method, operation: &mut Value) {
    never_null(operation);
    if operation["tags"] == json!(["events"]) {
        // An event may have no payload.
        operation["requestBody"]["required"] = json!(false);
    }
    // Whose answers are told as OTLP has them.
    if operation["responses"].get("default").is_some() {
        return;
    }
    let mut statuses = vec![400, 401, 403, 404, 422, 429, 500, 503];
    if *method != Method::GET {
        statuses.extend([408, 409, 413, 415, 507]);
    }
    add_problems(operation, statuses);
}

fn forget_what_nobody_answers(document: &mut Value) {
    let asked = document["paths"].to_string();
    if let Some(responses) = document["components"]["responses"].as_object_mut() {
        responses.retain(|name, _| asked.contains(&format!("responses/{name}\"")));
    }
}
