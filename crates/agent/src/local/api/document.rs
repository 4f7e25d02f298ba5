//! The OpenAPI document: what the operations say of themselves, and what they have in common.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

/// What the document begins with.
const ABOUT: &str = "\
What a device's own software asks the Outgate agent on the same machine: to say something, to hear \
what is to be done and answered, to read and report the twin. It is the same as what a device asks \
a hub over plain HTTP; beside that there are calls and the agent's status.\n\n\
Over the Unix socket nothing is shown: who may open it may ask. On loopback each request carries the \
token that lies in `local-token` in the agent's folder: `Authorization: Bearer TOKEN`. Errors are \
problem details (RFC 9457).";

/// The whole document.
pub(super) fn complete(described: &OpenApi) -> Value {
    let mut document = serde_json::to_value(described).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        // A path of more than one step, which axum knows and OpenAPI does not.
        let said = std::mem::take(paths).into_iter();
        *paths = said
            .map(|(path, what)| (path.replace("{*", "{"), what))
            .collect();
    }
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": "Outgate agent",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The agent that serves this" }]);
    document["security"] = json!([{}, { "bearer": [] }]);
    document["components"]["securitySchemes"] =
        json!({ "bearer": { "type": "http", "scheme": "bearer" } });
    document
}
