//! What the device's software is told, in JSON: as a hub tells it over plain HTTP.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate_wire::agent::{self as wire, Blob};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::twin;

/// Commands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Commands {
    /// In their order.
    commands: Vec<Command>,
}

/// What the device is to do.
#[derive(Debug, Serialize, ToSchema)]
struct Command {
    /// Its name, the same each time it is told.
    id: String,
    /// What to do.
    name: String,
    /// A media type, or empty.
    content_type: String,
    /// Named texts beside the payload.
    properties: BTreeMap<String, String>,
    #[serde(flatten)]
    payload: Payload,
    /// How often it was told to the agent.
    deliveries: u32,
    /// Until when it is to be done.
    #[schema(format = "date-time")]
    expires: String,
}

/// Calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Calls {
    /// In their order.
    calls: Vec<Call>,
}

/// What the device is asked.
#[derive(Debug, Serialize, ToSchema)]
struct Call {
    /// Its name.
    id: String,
    /// What is asked.
    method: String,
    /// A media type, or empty.
    content_type: String,
    #[serde(flatten)]
    payload: Payload,
}

/// Bytes of any kind.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(super) struct Octets(());

/// A payload: exactly one of the two.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Payload {
    /// The payload, where its type is JSON and it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    payload: Option<Box<RawValue>>,
    /// Any other payload, in base 64 with padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(content_encoding = "base64")]
    payload_base64: Option<String>,
}

/// Both halves of a twin.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Twin {
    /// What the device is wanted to be.
    desired: Half,
    /// What it says it is.
    reported: Half,
}

/// One half of a twin.
#[derive(Debug, Serialize, ToSchema)]
struct Half {
    /// Goes up with each change that the hub knows of; 0 when nothing was ever said.
    version: u64,
    /// The document.
    #[schema(value_type = Object)]
    document: serde_json::Map<String, serde_json::Value>,
}

impl From<Vec<wire::Command>> for Commands {
    fn from(commands: Vec<wire::Command>) -> Self {
        let told = commands.into_iter().map(|command| Command {
            payload: Payload::new(&command.content_type, &command.payload),
            id: command.id,
            name: command.name,
            content_type: command.content_type,
            properties: command.properties,
            deliveries: command.deliveries,
            expires: command.expires,
        });
        Self {
            commands: told.collect(),
        }
    }
}

impl From<Vec<wire::Call>> for Calls {
    fn from(calls: Vec<wire::Call>) -> Self {
        let told = calls.into_iter().map(|call| Call {
            payload: Payload::new(&call.content_type, &call.payload),
            id: call.id,
            method: call.method,
            content_type: call.content_type,
        });
        Self {
            calls: told.collect(),
        }
    }
}

impl From<twin::Halves> for Twin {
    fn from(halves: twin::Halves) -> Self {
        let half = |half: twin::Half| Half {
            version: half.version,
            document: half.document,
        };
        Self {
            desired: half(halves.desired),
            reported: half(halves.reported),
        }
    }
}

impl Payload {
    /// Of what has no type with it: as JSON where it is.
    pub(super) fn guessed(payload: &[u8]) -> Self {
        Self::new("application/json", &Blob(payload.to_vec()))
    }

    fn new(content_type: &str, payload: &Blob) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        let is_json = essence == "application/json" || essence.ends_with("+json");
        let json = is_json.then(|| serde_json::from_slice(&payload.0).ok());
        match json.flatten() {
            Some(json) => Self {
                payload: Some(json),
                payload_base64: None,
            },
            None => Self {
                payload: None,
                payload_base64: Some(STANDARD.encode(&payload.0)),
            },
        }
    }
}
