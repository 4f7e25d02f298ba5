//! What is published to the topics of a device's events, as events.

use std::collections::BTreeMap;

use bytes::Bytes;
use outgate_core::events::NewEvent;
use outgate_mqtt::packet::PublishProperties;

/// The event `name` that a device says with a message's properties and payload.
pub(super) fn new_event(name: &str, properties: &PublishProperties, payload: &Bytes) -> NewEvent {
    let own: BTreeMap<String, String> = properties
        .user_properties
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned()))
        .collect();
    NewEvent {
        name: name.to_owned(),
        content_type: content_type(properties),
        properties: own,
        payload: payload.clone(),
    }
}

/// The media type that a message says, or nothing.
pub(super) fn content_type(properties: &PublishProperties) -> String {
    properties
        .content_type
        .as_ref()
        .map(|text| text.as_str().to_owned())
        .unwrap_or_default()
}
