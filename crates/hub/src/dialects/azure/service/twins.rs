//! Twins, and queries over them.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::ETAG;
use http::{HeaderValue, Method};
use outgate_azure::service::query::Query;
use outgate_azure::service::{
    Capabilities, ErrorCode, NEVER, Permission, Properties, Twin, TwinChange, tag_of, version_of,
};
use outgate_core::Refusal;
use outgate_core::id::DeviceId;
use outgate_core::identity::{Page, Registered};
use outgate_core::twin::{Described, Edit, Half, IfVersion, Steering};
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::super::http::{Failure, json as read_json, put, text};
use super::registry::{
    as_value, authentication_kind, connection_state, if_match, status, thumbprints,
};
use super::{Asker, MAX_BODY, unknown};

/// How many twins are told at a time when the asker does not say.
const PAGE: usize = 100;

/// The most twins that are told at a time.
const MAX_PAGE: usize = 1_000;

/// After how many bytes no more twins are told at a time; the last may go beyond it.
const PAGE_BYTES: usize = 1024 * 1024;

/// How many devices are read at a time, and how many are looked at for one answer: who asks for few
/// of many goes on behind those.
const READ_AT_ONCE: u32 = 100;
const MAX_LOOKED_AT: usize = 1_000;

/// Where the asker is to go on, and what is told.
const CONTINUATION: &str = "x-ms-continuation";
const ITEM_TYPE: &str = "x-ms-item-type";
const MAX_ITEMS: &str = "x-ms-max-item-count";

/// A query.
#[derive(Deserialize)]
struct QuerySpecification {
    query: String,
}

/// Reads or changes the twin of one device.
pub(super) async fn twin(
    asker: &Asker<'_>,
    id: &DeviceId,
    body: Body,
) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::ServiceConnect)?;
    let core = asker.core();
    let described = match asker.parts.method {
        Method::GET => core.twins.described(&actor, id).await?,
        Method::PATCH | Method::PUT => {
            let change: TwinChange = read_json(body, &asker.held, MAX_BODY).await?;
            let version = version(asker, &change)?;
            let steering = if asker.parts.method == Method::PATCH {
                Steering {
                    desired: change.properties.desired.map(own).map(Edit::Merge),
                    tags: change.tags.map(own).map(Edit::Merge),
                }
            } else {
                let whole = |given: Option<Value>| own(given.unwrap_or_else(empty));
                Steering {
                    desired: Some(Edit::Replace(whole(change.properties.desired))),
                    tags: Some(Edit::Replace(whole(change.tags))),
                }
            };
            core.twins
                .steer(&actor, id, steering, version.map(IfVersion::Described))
                .await?
        }
        _ => return Err(unknown(asker.parts)),
    };
    let registered = core.identity.registered(&actor, id).await?;
    let told = told(asker, &registered, described);
    let tag = HeaderValue::try_from(format!("\"{}\"", told.etag));
    let mut response = Json(told).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// The twins that a query asks for, a part at a time.
pub(super) async fn query(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::RegistryRead)?;
    let core = asker.core();
    let asked: QuerySpecification = read_json(body, &asker.held, MAX_BODY).await?;
    let query = Query::parse(&asked.query).map_err(|error| Failure::argument(error.to_string()))?;
    let headers = &asker.parts.headers;
    let most = text(headers, MAX_ITEMS)?.and_then(|most| most.parse().ok());
    let most = most
        .filter(|most| (1..=MAX_PAGE).contains(most))
        .unwrap_or(PAGE);
    let mut after = text(headers, CONTINUATION)?
        .filter(|token| !token.is_empty())
        .map(str::to_owned);
    let (mut found, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
    let next = 'pages: loop {
        let page = Page {
            after: after.clone(),
            limit: READ_AT_ONCE,
        };
        let listed = core.identity.registry(&actor, &page).await?;
        for registered in &listed.items {
            if found.len() == most || bytes >= PAGE_BYTES || looked_at == MAX_LOOKED_AT {
                break 'pages after;
            }
            let id = &registered.device.id;
            after = Some(id.to_string());
            looked_at += 1;
            let described = match core.twins.described(&actor, id).await {
                // It went while this was read.
                Err(Refusal::NotFound { .. }) => continue,
                described => described?,
            };
            let told = as_value(told(asker, registered, described))?;
            if query.fits(&told) {
                let told = to_raw_value(&told).map_err(|_| unwritten())?;
                bytes += told.get().len();
                found.push(told);
            }
        }
        if listed.next.is_none() {
            break None;
        }
    };
    let mut response = Json(found).into_response();
    let headers = response.headers_mut();
    put(headers, ITEM_TYPE, "Twin");
    if let Some(next) = next {
        put(headers, CONTINUATION, &next);
    }
    Ok(response)
}

fn unwritten() -> Failure {
    Refusal::Internal("a twin cannot be written").into()
}

/// Which version is to be changed, as the header says or else the body.
fn version(asker: &Asker<'_>, change: &TwinChange) -> Result<Option<u64>, Failure> {
    if let Some(version) = if_match(&asker.parts.headers)? {
        return Ok(version);
    }
    let Some(tag) = change.etag.as_deref() else {
        return Ok(None);
    };
    version_of(tag).map_err(|error| Failure::new(ErrorCode::PreconditionFailed, error.to_string()))
}

/// What is of the writer's: what begins with `$` is the service's, which they send back as they
/// got it.
fn own(mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.retain(|name, _| !name.starts_with('$'));
    }
    document
}

fn empty() -> Value {
    Value::Object(Map::new())
}

fn told(asker: &Asker<'_>, registered: &Registered, described: Described) -> Twin {
    let device = &registered.device;
    let version = described.version();
    Twin {
        device_id: device.id.to_string(),
        etag: tag_of(version),
        device_etag: tag_of(device.version),
        status: status(registered),
        status_update_time: NEVER.to_owned(),
        connection_state: connection_state(asker, &device.id),
        last_activity_time: device
            .seen
            .map_or(NEVER.to_owned(), |seen| seen.to_string()),
        cloud_to_device_message_count: registered.commands,
        authentication_type: authentication_kind(registered),
        x509_thumbprint: thumbprints(registered),
        version: version + described.twin.reported.version,
        tags: described.tags.document,
        properties: Properties {
            desired: with_version(described.twin.desired),
            reported: with_version(described.twin.reported),
        },
        capabilities: Capabilities::default(),
    }
}

/// A half with its version, and when it changed.
fn with_version(half: Half) -> Value {
    let changed = half.changed.map_or(NEVER.to_owned(), |at| at.to_string());
    let mut document = half.document;
    if let Some(members) = document.as_object_mut() {
        members.insert("$metadata".to_owned(), json!({ "$lastUpdated": changed }));
        members.insert("$version".to_owned(), json!(half.version));
    }
    document
}
