//! What the hub is told: an event when it is switched, and how it is in the twin.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::chain::chain;
use crate::device::{Device, RESERVED};
use crate::queue::{Entry, Priority};

/// The event that tells of each time that it is switched: `{"on":…,"until":…,"by":…}`.
pub(super) const EVENT: &str = "outgate/ssh";

/// Where the twin has it, below what is reserved to the agent.
const PLACE: &str = "ssh";

/// Tells that it is on until then, or off.
pub(super) async fn switched(device: &Device, until: Option<OffsetDateTime>, by: &str) {
    let until = until.and_then(|until| until.format(&Rfc3339).ok());
    let on = until.is_some();
    let text = json!({ "on": on, "until": until, "by": by }).to_string();
    let event = Entry {
        priority: Priority::Important,
        content_type: "application/json".to_owned(),
        ..Entry::event(EVENT, text)
    };
    if let Err(error) = device.say(event).await {
        note(device, &error);
    }
    report(device.clone(), json!({ "on": on, "until": until })).await;
}

/// Tells that it is off, as it always is at first; with an event if it was on when the agent ended.
pub(super) async fn started(device: &Device) {
    if last(device).pointer("/on") == Some(&Value::Bool(true)) {
        switched(device, None, "the agent was started anew").await;
    } else {
        report(device.clone(), json!({ "on": false, "until": null })).await;
    }
}

/// There is no switch: nothing is left of what was said of one.
pub(super) fn nothing(device: &Device) {
    if !last(device).is_null()
        && let Err(error) = device.twin.report(json!({ RESERVED: { PLACE: null } }))
    {
        note(device, &error);
    }
}

/// What was said last.
fn last(device: &Device) -> Value {
    let halves = device.twin();
    let halves = halves.borrow();
    let reserved = halves.reported.document.get(RESERVED);
    let last = reserved.and_then(|reserved| reserved.get(PLACE));
    last.cloned().unwrap_or_default()
}

async fn report(device: Device, how: Value) {
    let its = device.clone();
    // It waits for the disk.
    let reporting = move || its.twin.report(json!({ RESERVED: { PLACE: how } }));
    if let Ok(Err(error)) = tokio::task::spawn_blocking(reporting).await {
        note(&device, &error);
    }
}

fn note(device: &Device, error: &dyn std::error::Error) {
    let text = format!("the hub cannot be told of SSH: {}", chain(error));
    tracing::warn!(text);
    device.board.note("ssh", text);
}
