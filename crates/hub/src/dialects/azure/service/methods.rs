//! Methods of devices.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use outgate_azure::service::{
    CONNECT_SECONDS_MAX, MethodAnswer, MethodCall, Permission, RESPONSE_SECONDS,
    RESPONSE_SECONDS_DEFAULT,
};
use outgate_core::id::DeviceId;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use super::super::http::{Failure, whole};
use super::{Asker, MAX_BODY};

/// Calls a method and waits for what the device answers.
pub(super) async fn call(
    asker: &Asker<'_>,
    id: &DeviceId,
    body: Body,
) -> Result<Response, Failure> {
    let actor = asker.actor(Permission::ServiceConnect)?;
    let core = asker.core();
    let body = whole(body, &asker.held, MAX_BODY).await?;
    let call: MethodCall<'_> =
        serde_json::from_slice(&body).map_err(|error| Failure::argument(error.to_string()))?;
    let within = call
        .response_timeout_in_seconds
        .unwrap_or(RESPONSE_SECONDS_DEFAULT);
    let connect = call.connect_timeout_in_seconds.unwrap_or_default();
    if !RESPONSE_SECONDS.contains(&within) || connect > CONNECT_SECONDS_MAX {
        return Err(Failure::argument(
            "responseTimeoutInSeconds: 5 to 300; connectTimeoutInSeconds: 0 to 300",
        ));
    }
    core.identity.device(&actor, id).await?;
    // Whether it comes or not, the call says.
    let there = tokio::time::timeout(Duration::from_secs(connect), comes(asker, id));
    drop(there.await);
    let payload = call.payload.map_or("null", |payload| payload.get());
    let answer = core
        .calls
        .call(
            &actor,
            id,
            call.method_name,
            "application/json".to_owned(),
            Bytes::copy_from_slice(payload.as_bytes()),
            Duration::from_secs(within),
        )
        .await?;
    let told = MethodAnswer {
        status: answer.status,
        payload: if answer.payload.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&answer.payload).unwrap_or_else(|_| {
                Value::String(String::from_utf8_lossy(&answer.payload).into_owned())
            })
        },
    };
    Ok(Json(told).into_response())
}

/// Waits until the device is there.
async fn comes(asker: &Asker<'_>, id: &DeviceId) {
    let sessions = &asker.core().sessions;
    // In this order: what happens in between is heard.
    let mut changes = sessions.changes();
    while !sessions.is_present(id) {
        match changes.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
