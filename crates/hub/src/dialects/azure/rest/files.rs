//! Upload of files as IoT Hub has it: a device asks where to put a file, puts it there in the words
//! of Azure's Blob storage, and says what has become of it.
//!
//! What it is told is an address with a grant of its own in it; what it says is an event, and ends
//! the grant.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::StatusCode;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use outgate_azure::upload::{BODY_MAX_BYTES, Outcome, Target, Wanted};
use outgate_core::events::NewEvent;
use outgate_core::files::{File, FileName, Grant, Verb};
use outgate_core::id::GrantId;
use outgate_core::refusal::Refusal;
use outgate_door::Facts;
use serde_json::json;

use super::Asker;
use crate::dialects::azure::http::{Failure, json};
use crate::dialects::blob;

/// For how long a device may put a file: what IoT Hub gives it by default.
const LASTS: Duration = Duration::from_hours(1);

/// What is kept of an upload: that it is there, and that it is not.
const UPLOADED: &str = "file/uploaded";
const FAILED: &str = "file/failed";

/// Tells a device where to put a file.
pub(super) async fn begin(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let wanted: Wanted = json(body, &asker.held, BODY_MAX_BYTES).await?;
    let name: FileName = wanted.blob_name.parse()?;
    let host = host(asker.parts)?;
    let files = &asker.core.files;
    let issued = files.grant_own(asker.caller.session(), name, Verb::Write, LASTS);
    let issued = issued.await?;
    let signed = blob::signed(&issued);
    let told = Target {
        correlation_id: issued.grant.id.as_str(),
        host_name: &host,
        container_name: blob::CONTAINER,
        blob_name: &signed.blob,
        sas_token: &format!("?{}", signed.query),
    };
    Ok(Json(told).into_response())
}

/// Takes what a device says has become of an upload, which the path names or the body.
pub(super) async fn conclude(
    asker: &Asker<'_>,
    named: Option<&str>,
    body: Body,
) -> Result<Response, Failure> {
    let outcome: Outcome = json(body, &asker.held, BODY_MAX_BYTES).await?;
    let id = match (named, outcome.correlation_id.as_deref()) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::argument("correlationId: that of the path"));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => return Err(Failure::argument("correlationId: which upload it is")),
    };
    let id: GrantId = id.parse().map_err(|_| Refusal::not_found("upload", id))?;
    let (files, events) = (&asker.core.files, &asker.core.events);
    let told = |grant: &Grant, file: Option<&File>| event(&outcome, grant, file);
    let concluded = files.conclude_own(events, asker.caller.session(), &id, told);
    concluded.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What back ends are told: what the device says, and what is there.
fn event(outcome: &Outcome, grant: &Grant, file: Option<&File>) -> NewEvent {
    // Whatever the device says: without a file there is nothing to be fetched.
    let name = match file {
        Some(_) if outcome.is_success => UPLOADED,
        Some(_) | None => FAILED,
    };
    let payload = json!({
        "name": grant.name,
        "size": file.map(|file| file.size),
        "sha256": file.map(|file| file.digest.to_string()),
        "status": outcome.status_code,
        "description": outcome.status_description,
    });
    NewEvent {
        name: name.to_owned(),
        content_type: "application/json".to_owned(),
        properties: [].into(),
        payload: Bytes::from(payload.to_string()),
    }
}

/// The hub's name as the device reaches it: the one that it asked TLS for, since requests through a
/// gateway name the hub of Azure's that the gateway stands for; with the port that it asked for.
fn host(parts: &Parts) -> Result<String, Failure> {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let header = header.and_then(|host| host.parse::<Authority>().ok());
    let asked = parts.uri.authority().cloned().or(header);
    let facts = parts.extensions.get::<Facts>();
    let tls = facts.and_then(|facts| facts.tls.as_ref());
    let name = tls.and_then(|tls| tls.server_name.as_deref());
    let name = name.or(asked.as_ref().map(Authority::host));
    let name = name.ok_or_else(|| Failure::argument("Host: the hub's name"))?;
    let port = asked.as_ref().and_then(Authority::port_u16);
    Ok(match port.filter(|port| *port != 443) {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    })
}
