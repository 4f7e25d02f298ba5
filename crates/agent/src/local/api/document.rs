//! The OpenAPI document: what the operations say of themselves, and what they have in common.

use serde_json::{Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;

use crate::local::problem::Problem;

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
        let operations = paths.values_mut().filter_map(Value::as_object_mut);
        for operation in operations.flat_map(|path| path.values_mut()) {
            never_null(operation);
            if operation["requestBody"]["content"]["application/octet-stream"].is_object() {
                // Nothing is a payload, too.
                operation["requestBody"]["required"] = json!(false);
            }
            operation["responses"]["401"] = json!({ "$ref": "#/components/responses/NoToken" });
            operation["responses"]["default"] = json!({ "$ref": "#/components/responses/Problem" });
        }
    }
    let problem = serde_json::to_value(Problem::schema()).unwrap_or_default();
    document["components"]["schemas"]["Problem"] = problem;
    let refused = |description: &str| {
        json!({
            "description": description,
            "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
            } },
        })
    };
    document["components"]["responses"]["Problem"] = refused("It is not carried out");
    let mut no_token = refused("The token is not shown, on loopback");
    no_token["headers"]["WWW-Authenticate"] =
        json!({ "description": "How to show it (RFC 6750)", "schema": { "type": "string" } });
    document["components"]["responses"]["NoToken"] = no_token;
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

/// Says of an operation's parameters that they are there or not, but never null, which only JSON has.
fn never_null(operation: &mut Value) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if let Some(kinds) = parameter["schema"]["type"].as_array_mut() {
            kinds.retain(|kind| kind != "null");
        }
    }
}
