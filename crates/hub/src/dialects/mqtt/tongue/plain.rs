//! The hub's own topics, which [`topics`] lists.

use bytes::Bytes;
use outgate_core::calls::{Answer, Call};
use outgate_core::clock::Timestamp;
use outgate_core::commands::Command;
use outgate_core::id::DeviceId;
use outgate_core::refusal::Refusal;
use outgate_core::twin::{Half, Twin};
use outgate_mqtt::connection::Incoming;
use outgate_mqtt::packet::{PublishProperties, QoS, ReasonCode, SubscribeFilter};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::TopicName;
use serde_json::{Value, json};

use super::{Part, Said, Utterance, capped, within};
use crate::dialects::mqtt::events;
use crate::dialects::mqtt::events::new_event;
use crate::dialects::mqtt::policies::{Policies, Subject};
use crate::dialects::mqtt::reasons;
use crate::dialects::mqtt::topics::{self, Meaning};

/// The user property by which a device says the status of an answer.
const STATUS: &str = "status";

/// What a publish of `device` means.
pub(super) fn understand(device: &DeviceId, incoming: &Incoming) -> Said {
    let properties = &incoming.properties;
    match topics::meaning(&incoming.topic, device) {
        Meaning::Event(name) => Said::Event(new_event(name, properties, &incoming.payload)),
        Meaning::Answer(call, status) => {
            let said = properties
                .user_properties
                .iter()
                .find(|(name, _)| &**name == STATUS)
                .and_then(|(_, value)| value.parse().ok());
            let answer = Answer {
                status: status.or(said).unwrap_or(200),
                content_type: events::content_type(properties),
                payload: incoming.payload.clone(),
            };
            Said::Answer(call, answer)
        }
        Meaning::TwinGet => Said::TwinGet(properties.correlation_data.clone()),
        Meaning::Reported => Said::Reported(None),
        Meaning::Message => Said::Message,
        Meaning::Refused => Said::Refused,
    }
}

/// A topic in which this part of what the hub has for `device` may lie.
pub(super) fn place(device: &DeviceId, part: Part) -> String {
    match part {
        Part::Commands => topics::command(device, "-", "-"),
        Part::Document => topics::twin(device, topics::DOCUMENT),
        Part::Desired => topics::twin(device, topics::DESIRED),
    }
}

/// Whether a device may have a subscription, and with which quality of service.
pub(super) fn permit(
    policies: &Policies,
    subject: &Subject,
    asked: &SubscribeFilter,
) -> Result<QoS, ReasonCode> {
    let device = &subject.device;
    let lies_in = |part| within(&format!("devices/{device}/{part}/#"), &asked.filter);
    let hubs = ["commands", "calls", "twin", "events", "answers"];
    if !hubs.into_iter().any(lies_in) {
        if policies.permit_subscribe(subject, &asked.filter) {
            return Ok(asked.qos);
        }
        return Err(ReasonCode::NotAuthorized);
    }
    // Commands come in their order, so whoever takes some takes all.
    let all_commands = format!("devices/{device}/commands/#");
    let some_commands = lies_in("commands") && asked.filter.matched_part() != all_commands;
    if asked.filter.shared().is_some() || some_commands {
        return Err(ReasonCode::TopicFilterInvalid);
    }
    Ok(capped(asked.qos))
}

/// A command.
pub(super) fn command(command: &Command, now: Timestamp) -> Utterance {
    let user_properties = command
        .properties
        .iter()
        .map(|(name, value)| (Text::lossy(name), Text::lossy(value)));
    Utterance {
        topic: topics::command(&command.device, command.id.as_str(), &command.name),
        payload: command.payload.clone(),
        properties: PublishProperties {
            message_expiry: u32::try_from(command.expires.since(now).as_secs()).ok(),
            content_type: content_type(&command.content_type),
            user_properties: user_properties.collect(),
            ..PublishProperties::default()
        },
    }
}

/// A call.
pub(super) fn call(call: &Call) -> Utterance {
    let answers = topics::answers(&call.device, call.id.as_str());
    Utterance {
        topic: topics::call(&call.device, call.id.as_str(), &call.method),
        payload: call.payload.clone(),
        properties: PublishProperties {
            content_type: content_type(&call.content_type),
            response_topic: TopicName::new(&answers).ok(),
            correlation_data: Some(Bytes::copy_from_slice(call.id.as_str().as_bytes())),
            ..PublishProperties::default()
        },
    }
}

/// The twin, for who asked by `request`.
pub(super) fn document(twin: &Twin, request: Option<Bytes>) -> Utterance {
    let document = json!({
        "desired": half_of(&twin.desired),
        "reported": half_of(&twin.reported),
    });
    of_twin(&twin.device, topics::DOCUMENT, &document, request)
}

/// What came of a report.
pub(super) fn reported(device: &DeviceId, half: Result<&Half, &Refusal>) -> Utterance {
    let result = match half {
        Ok(half) => json!({ "status": 200, "version": half.version }),
        Err(refusal) => json!({
            "status": reasons::to_status(refusal),
            "error": refusal.to_string(),
        }),
    };
    of_twin(device, topics::RESULT, &result, None)
}

/// The desired half.
pub(super) fn desired(device: &DeviceId, half: &Half) -> Utterance {
    of_twin(device, topics::DESIRED, &half_of(half), None)
}

fn of_twin(
    device: &DeviceId,
    part: &str,
    document: &Value,
    correlation_data: Option<Bytes>,
) -> Utterance {
    Utterance {
        topic: topics::twin(device, part),
        payload: Bytes::from(document.to_string()),
        properties: PublishProperties {
            content_type: content_type("application/json"),
            correlation_data,
            ..PublishProperties::default()
        },
    }
}

fn half_of(half: &Half) -> Value {
    json!({ "version": half.version, "document": half.document })
}

fn content_type(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::lossy(text))
}
