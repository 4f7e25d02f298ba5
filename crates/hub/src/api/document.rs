//! The OpenAPI document: what the operations say of themselves, and what they have in common.

use std::collections::{BTreeMap, HashMap, HashSet};

use http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::api::problem::{Kind, Written};

mod limits;

/// What the document begins with.
const ABOUT: &str = "\
Administration of an Outgate hub: sites, devices and how they prove who they are; their events, \
commands, calls and twins; who administers, and what was done.\n\n\
Every request carries a token: `Authorization: Bearer TOKEN`. What a caller may not see is not \
found. Errors are problem details (RFC 9457); their `type` leads to what it means. Long lists come \
in parts: `next` of one is `after` of the following, and a `Link` leads there. What two may write \
has a version: send it in `If-Match`. A POST with an `Idempotency-Key` is carried out once, however \
often it is sent within 24 hours.\n\n\
Payloads whose type is JSON are told and given as `payload`, all others in base 64 as \
`payload_base64`. Times are RFC 3339; spans are in seconds. Members and parameters that are not \
described here are refused.";

/// The groups of operations.
const TAGS: [(&str, &str); 24] = [
    ("sites", "Customers' places where devices stand"),
    (
        "spaces",
        "What a site's applications stand in, and which users may do what there",
    ),
    ("devices", "Devices, and whether they may come in"),
    ("credentials", "How devices prove who they are"),
    ("sessions", "Live connections of devices"),
    ("enrolment", "Fleet keys, and how devices come in by them"),
    ("events", "What devices say, and who takes it"),
    ("logs", "What devices log"),
    ("commands", "What devices are to do"),
    ("calls", "What devices are asked while they are there"),
    ("twins", "What devices are wanted to be, and are"),
    ("push", "What reaches devices that are away"),
    (
        "support",
        "Remote support: a service or a shell of a device",
    ),
    ("assets", "Files that devices hold a copy of"),
    (
        "releases",
        "What devices are updated to, and how far they are",
    ),
    (
        "schedules",
        "Commands that are sent at times which are written down once",
    ),
    ("tables", "Tables that devices look things up in"),
    ("files", "Files of single devices, each with its own key"),
    ("operators", "Who administers"),
    ("services", "Back ends that take events"),
    ("webhooks", "Back ends that events are pushed to"),
    ("audit", "What was done, and by whom"),
    ("status", "How the hub is"),
    ("health", "What machines ask"),
];

/// What a document says of all its operations.
pub(crate) struct Frame<'a> {
    /// Its title.
    pub(crate) title: &'a str,
    /// What it begins with.
    pub(crate) about: &'a str,
    /// The groups of operations, each with what it is.
    pub(crate) tags: &'a [(&'a str, &'a str)],
    /// By which names of what follows a caller may prove who they are; one will do.
    pub(crate) security: Value,
    /// How callers prove who they are, by name.
    pub(crate) schemes: Value,
}

/// The whole document, from what the operations say of themselves.
pub(crate) fn complete(described: &OpenApi) -> Value {
    let mut document = framed(
        described,
        Frame {
            title: "Outgate hub",
            about: ABOUT,
            tags: &TAGS,
            security: json!([{ "bearer": [] }]),
            schemes: json!({
                "bearer": { "type": "http", "scheme": "bearer",
                    "description": "A token of an operator or a service" },
            }),
        },
    );
    add_parameters(&mut document["components"]["parameters"]);
    limits::add(&mut document["components"]["schemas"]);
    for (method, path, operation) in operations_mut(&mut document) {
        add_common(&method, &path, operation);
    }
    document
}

/// A document with what all have: who speaks, who is let in, and the problems that
/// [`add_problems`] refers to.
pub(crate) fn framed(described: &OpenApi, frame: Frame<'_>) -> Value {
    let mut document = serde_json::to_value(described).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"] = json!({
        "title": frame.title,
        "version": env!("CARGO_PKG_VERSION"),
        "description": frame.about,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The hub that serves this" }]);
    document["security"] = frame.security;
    let tags = frame.tags.iter();
    document["tags"] = tags
        .map(|(name, description)| json!({ "name": name, "description": description }))
        .collect();
    let components = &mut document["components"];
    components["securitySchemes"] = frame.schemes;
    let problem = serde_json::to_value(Written::schema()).unwrap_or_default();
    components["schemas"][Written::name().as_ref()] = problem;
    for (status, kinds) in by_status() {
        components["responses"][format!("Problem{status}")] = response(status, &kinds);
    }
    document
}

fn add_parameters(parameters: &mut Value) {
    parameters["IdempotencyKey"] = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Carries the request out once, however often it is sent within 24 hours \
            with the same key by the same token. A repeated request gets the first answer, with \
            `Idempotency-Replayed: true`. A random UUID will do.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" },
    });
    parameters["IfMatch"] = json!({
        "name": "If-Match", "in": "header", "required": false,
        "description": "The entity tag of what is to be changed, or `*`: if it has changed \
            meanwhile nothing is done.",
        "schema": { "type": "string", "anyOf": [{ "const": "*" }, { "pattern": "^\"[0-9]{1,18}\"$" }] },
    });
}

/// The kinds of problems that share a status.
fn by_status() -> BTreeMap<u16, Vec<Kind>> {
    let mut all: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::ALL {
        all.entry(kind.told().0.as_u16()).or_default().push(kind);
    }
    all
}

fn response(status: u16, kinds: &[Kind]) -> Value {
    let mut examples = Map::new();
    let mut meanings = Vec::new();
    for kind in kinds {
        let (_, slug, title) = kind.told();
        meanings.push(format!("{title} (`/problems/{slug}`)"));
        let value = json!({
            "type": format!("/problems/{slug}"), "title": title, "status": status,
            "detail": "what happened this time",
        });
        examples.insert(slug.to_owned(), json!({ "value": value }));
    }
    let schema = json!({ "$ref": format!("#/components/schemas/{}", Written::name()) });
    let mut response = json!({
        "description": meanings.join("; "),
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    });
    if status == 401 {
        response["headers"]["WWW-Authenticate"] = json!({
            "description": "How to log in (RFC 6750)", "schema": { "type": "string" } });
    }
    if status == 429 || status == 503 {
        response["headers"]["Retry-After"] = json!({
            "description": "In how many seconds to come again",
            "schema": { "type": "integer", "minimum": 1 } });
    }
    response
}

/// Adds to an operation what all of its sort have in common.
fn add_common(method: &Method, path: &str, operation: &mut Value) {
    let open = operation["security"] == json!([{}]);
    let writes = *method != Method::GET;
    let has_body = operation.get("requestBody").is_some();
    let has_query = never_null(operation);
    let mut statuses = vec![400, 408, 414, 429, 500, 503];
    if !open || writes {
        statuses.extend([401, 403]);
    }
    if has_query {
        statuses.push(422);
    }
    if path.contains('{') || has_body || operation["operationId"] == "list_support" {
        // A body or a query may name what the caller may not see, as the site of a new device.
        statuses.push(404);
    }
    if has_body {
        statuses.extend([413, 415, 422]);
    }
    if writes {
        statuses.extend([409, 413, 422, 507]);
    }
    if *method == Method::PATCH {
        statuses.push(412);
        add_parameter(operation, "IfMatch");
    }
    if *method == Method::POST && !open {
        add_parameter(operation, "IdempotencyKey");
    }
    if operation["tags"] == json!(["events"]) {
        statuses.push(410);
    }
    if operation["tags"] == json!(["calls"]) || operation["operationId"] == "ask_support" {
        statuses.push(504);
    }
    add_problems(operation, statuses);
}

/// Says of an operation that it may answer with problems of these statuses.
pub(crate) fn add_problems(operation: &mut Value, mut statuses: Vec<u16>) {
    statuses.sort_unstable();
    for status in statuses {
        let problem = json!({ "$ref": format!("#/components/responses/Problem{status}") });
        operation["responses"][status.to_string()] = problem;
    }
}

/// Says of an operation's parameters that they are there or not, but never null, which only JSON
/// has. Tells whether any stands behind the question mark.
pub(crate) fn never_null(operation: &mut Value) -> bool {
    let mut has_query = false;
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        has_query |= parameter["in"] == "query";
        let Some(schema) = parameter.get_mut("schema") else {
            continue;
        };
        if let Some(only) = only_choice(schema, "type") {
            schema["type"] = only;
        }
        if let Some(only) = only_choice(schema, "oneOf") {
            *schema = only;
        }
    }
    has_query
}

/// What is left of the choices that a schema gives, if that is one, when null is none of them.
fn only_choice(schema: &Value, kind: &str) -> Option<Value> {
    let choices = schema.get(kind)?.as_array()?.iter();
    let mut others = choices.filter(|one| **one != "null" && one["type"] != "null");
    let only = others.next()?.clone();
    others.next().is_none().then_some(only)
}

fn add_parameter(operation: &mut Value, name: &str) {
    let parameter = json!({ "$ref": format!("#/components/parameters/{name}") });
    match operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut)
    {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
}

/// Every operation with its method and path.
pub(crate) fn operations_mut(document: &mut Value) -> Vec<(Method, String, &mut Value)> {
    let paths = document["paths"].as_object_mut();
    paths
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            let operations = item.as_object_mut().into_iter().flatten();
            operations.filter_map(move |(method, operation)| {
                let method = method.to_ascii_uppercase().parse().ok()?;
                Some((method, path.clone(), operation))
            })
        })
        .collect()
}

/// The parameters that each operation takes behind the question mark.
pub(crate) fn queries(document: &Value) -> HashMap<(Method, String), HashSet<String>> {
    let mut document = document.clone();
    let operations = operations_mut(&mut document).into_iter();
    operations
        .map(|(method, path, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let names = parameters
                .filter(|parameter| parameter["in"] == "query")
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned));
            ((method, path), names.collect())
        })
        .collect()
}
