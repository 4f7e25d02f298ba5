//! Messages to devices.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::Method;
use outgate_azure::device::DEVICEBOUND;
use outgate_azure::service::Permission;
use outgate_core::commands::{LASTS, NewCommand};
use outgate_core::id::DeviceId;
use outgate_core::limits::MAX_EVENT;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::http::{Failure, text, whole};
use super::super::message;
use super::{Asker, device, done, steps, unknown};

/// For how long a message is worth taking when its sender does not say, as the service has it.
const LASTS_BY_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// To whom a message goes.
const TO: &str = "iothub-to";

/// Until when it is worth taking.
const EXPIRY: &str = "iothub-expiry";

/// Sends a message, or asks what has become of messages.
pub(super) async fn answer(
    asker: &Asker<'_>,
    rest: &[&str],
    body: Body,
) -> Result<Response, Failure> {
    match (rest, &asker.parts.method) {
        (["devicebound" | "deviceBound"], &Method::POST) => send(asker, body).await,
        // What becomes of a message is seen in the device's list of commands.
        (["serviceBound" | "servicebound", "feedback"], &Method::GET) => {
            asker.actor(Permission::ServiceConnect)?;
            Ok(done())
        }
        _ => Err(unknown(asker.parts)),
    }
}

/// Takes back all messages that wait for a device.
pub(super) async fn purge(asker: &Asker<'_>, id: &DeviceId) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::ServiceConnect)?;
    let count = asker.core().commands.cancel_all(&actor, id).await?;
    let told = json!({ "totalMessagesPurged": count, "deviceId": id.as_str() });
    Ok(Json(told).into_response())
}

async fn send(asker: &Asker<'_>, body: Body) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::ServiceConnect)?;
    let headers = &asker.parts.headers;
    let to = text(headers, TO)?.unwrap_or_default();
    let steps = steps(to);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let ["devices", id, "messages", "deviceBound" | "devicebound"] = steps.as_slice() else {
        let right = "iothub-to: /devices/NAME/messages/devicebound";
        return Err(Failure::argument(right));
    };
    let id = device(id)?;
    let core = asker.core();
    let lasts = match text(headers, EXPIRY)? {
        None => LASTS_BY_DEFAULT,
        Some(until) => {
            let until = OffsetDateTime::parse(until, &Rfc3339);
            let until = until.map_err(|_| Failure::argument("iothub-expiry: RFC 3339"))?;
            let left = until - core.clock.now().date();
            let left = Duration::try_from(left).ok().filter(|left| !left.is_zero());
            let left = left.ok_or_else(|| Failure::argument("iothub-expiry: a time to come"))?;
            left.clamp(*LASTS.start(), *LASTS.end())
        }
    };
    let command = NewCommand {
        name: DEVICEBOUND.to_owned(),
        content_type: message::content_type(headers)?,
        properties: message::properties(headers)?,
        payload: whole(body, &asker.held, MAX_EVENT).await?,
        lasts,
    };
    core.commands.send(&actor, &id, command).await?;
    Ok(done())
}
