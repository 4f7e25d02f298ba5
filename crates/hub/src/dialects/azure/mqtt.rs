//! Devices of IoT Hub over MQTT: who they are, and their topics as a tongue of the MQTT dialect.

use std::collections::BTreeMap;

use bytes::Bytes;
use outgate_azure::bag::{Bag, CONTENT_TYPE, EXPIRY, MESSAGE_ID, TO};
use outgate_azure::device::{self, Endpoint, MESSAGE_MAX_BYTES, Published, UserName};
use outgate_core::Core;
use outgate_core::calls::{Answer, Call};
use outgate_core::commands::Command;
use outgate_core::events::NewEvent;
use outgate_core::id::DeviceId;
use outgate_core::identity::Identified;
use outgate_core::refusal::Refusal;
use outgate_core::twin::{Half, Twin};
use outgate_door::Facts;
use outgate_mqtt::connection::Incoming;
use outgate_mqtt::packet::{
    Connect, PublishProperties, QoS, ReasonCode, SubscribeFilter, Version, Will,
};
use outgate_mqtt::text::Text;
use outgate_mqtt::topics::TopicName;
use outgate_wire::merge_patch::difference;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::login::{self, Entrance, Proof};
use crate::dialects::mqtt::reasons;
use crate::dialects::mqtt::tongue::{Part, Said, Utterance, capped, within};

/// What sessions of this dialect are called.
pub(in crate::dialects) const VIA: &str = "azure";

/// The property that a message to be retained has, which IoT Hub does not do.
const RETAIN: &str = "mqtt-retain";

/// The property that a will has.
const MESSAGE_TYPE: &str = "iothub-MessageType";

/// The property that says what a command is about, where it is no plain message.
const NAME: &str = "outgate-command";

/// What answers of methods are.
const JSON: &str = "application/json";

/// A device or module that speaks so.
#[derive(Debug)]
pub(in crate::dialects) struct Speaker {
    hub: String,
    device: String,
    module: Option<String>,
}

impl Speaker {
    /// Who connects, if the user name is in Azure's form. No device's own name is, and no
    /// service's.
    pub(in crate::dialects) fn of(connect: &Connect) -> Option<Self> {
        let name = UserName::parse(connect.user_name.as_deref()?)?;
        if name.hub == "service" && name.query.is_empty() {
            return None;
        }
        Some(Self {
            hub: name.hub.to_owned(),
            device: name.endpoint.device.to_owned(),
            module: name.endpoint.module.map(str::to_owned),
        })
    }

    /// Makes out who connects.
    ///
    /// # Errors
    /// What the CONNACK says: as IoT Hub, the same for whatever proves nothing.
    pub(in crate::dialects) async fn prove(
        &self,
        core: &Core,
        entrance: &Entrance,
        connect: &Connect,
        facts: &Facts,
    ) -> Result<Identified, ReasonCode> {
        if connect.version == Version::V5 {
            return Err(ReasonCode::UnsupportedProtocolVersion);
        }
        let endpoint = self.endpoint();
        if connect.client_id.as_str() != endpoint.client_id() {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        if !entrance.names.contains(&self.hub.to_ascii_lowercase()) {
            tracing::debug!(
                hub = self.hub,
                "a device is of a hub that this one does not stand for"
            );
            return Err(ReasonCode::NotAuthorized);
        }
        let password = connect.password.as_ref().map(|password| password.expose());
        let proof = match password.map(str::from_utf8) {
            None | Some(Ok("")) => Proof::Certificate,
            Some(Ok(token)) => Proof::Token(token),
            Some(Err(_)) => return Err(ReasonCode::NotAuthorized),
        };
        let identified = login::identify(core, entrance, &endpoint, proof, facts).await;
        identified.map_err(|refusal| {
            // Anybody may bring this about as often as they like.
            tracing::debug!(error = %refusal, peer = %facts.peer.ip(), "a login of Azure's failed");
            let reason = reasons::to_connect(&refusal);
            if reason == ReasonCode::BadUserNameOrPassword {
                ReasonCode::NotAuthorized
            } else {
                reason
            }
        })
    }

    /// A will as the hub's own topics have it: a message to the cloud that says what it is.
    ///
    /// # Errors
    /// [`ReasonCode::NotAuthorized`] for any other.
    pub(in crate::dialects) fn will(
        &self,
        will: Will,
        device: &DeviceId,
    ) -> Result<Will, ReasonCode> {
        let Ok(Some(Published::Message(bag))) = self.endpoint().published(&will.topic) else {
            return Err(ReasonCode::NotAuthorized);
        };
        let mut event = event(bag, &will.payload, will.retain);
        let kind = MESSAGE_TYPE.to_owned();
        event.properties.insert(kind, "Will".to_owned());
        let topic = TopicName::new(&format!("devices/{device}/events"));
        let pairs = event.properties.iter();
        let user_properties = pairs.map(|(name, value)| (Text::lossy(name), Text::lossy(value)));
        let content_type = Some(event.content_type).filter(|text| !text.is_empty());
        Ok(Will {
            topic: topic.map_err(|_| ReasonCode::NotAuthorized)?,
            retain: false,
            properties: PublishProperties {
                content_type: content_type.map(|text| Text::lossy(&text)),
                user_properties: user_properties.collect(),
                ..PublishProperties::default()
            },
            ..will
        })
    }

    /// What a publish means.
    pub(in crate::dialects) fn understand(&self, incoming: &Incoming) -> Said {
        let exactly_once = incoming.delivery.qos() == QoS::ExactlyOnce;
        if exactly_once || incoming.payload.len() > MESSAGE_MAX_BYTES {
            return Said::Refused;
        }
        match self.endpoint().published(&incoming.topic) {
            Ok(Some(Published::Message(bag))) => {
                let event = event(bag, &incoming.payload, incoming.retain);
                // To acknowledge what cannot be kept would lose it.
                match event.check() {
                    Ok(()) => Said::Event(event),
                    Err(_) => Said::Refused,
                }
            }
            Ok(Some(Published::Answer { status, request })) => {
                let Ok(call) = request.parse() else {
                    return Said::Refused;
                };
                let answer = Answer {
                    status,
                    content_type: JSON.to_owned(),
                    payload: incoming.payload.clone(),
                };
                Said::Answer(call, answer)
            }
            Ok(Some(Published::TwinGet { request })) => Said::TwinGet(Some(bytes(request))),
            Ok(Some(Published::Reported { request })) => Said::Reported(Some(bytes(request))),
            Ok(None) | Err(_) => Said::Refused,
        }
    }

    /// A topic in which this part of what the hub has for it may lie.
    pub(in crate::dialects) fn place(&self, part: Part) -> String {
        match part {
            Part::Commands => self.endpoint().devicebound(&Bag::default()),
            Part::Document => device::twin_result(200, "-", None),
            Part::Desired => device::desired(0),
        }
    }

    /// Whether it may have a subscription, and with which quality of service.
    pub(in crate::dialects) fn permit(&self, asked: &SubscribeFilter) -> Result<QoS, ReasonCode> {
        let filters = self.endpoint().filters();
        if filters.iter().any(|filter| within(filter, &asked.filter)) {
            return Ok(capped(asked.qos));
        }
        Err(ReasonCode::NotAuthorized)
    }

    /// A command: a message from the cloud.
    pub(in crate::dialects) fn command(&self, command: &Command) -> Utterance {
        let endpoint = self.endpoint();
        let mut bag = Bag::default();
        bag.push(TO, &format!("/{endpoint}/messages/devicebound"));
        if !command.properties.contains_key(MESSAGE_ID) {
            bag.push(MESSAGE_ID, command.id.as_str());
        }
        bag.push(EXPIRY, &command.expires.to_string());
        if !command.content_type.is_empty() {
            bag.push(CONTENT_TYPE, &command.content_type);
        }
        if command.name != device::DEVICEBOUND {
            bag.push(NAME, &command.name);
        }
        let ours = [TO, EXPIRY, CONTENT_TYPE, NAME];
        for (name, value) in &command.properties {
            if !ours.contains(&name.as_str()) {
                bag.push(name, value);
            }
        }
        utterance(endpoint.devicebound(&bag), command.payload.clone())
    }

    fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            device: &self.device,
            module: self.module.as_deref(),
        }
    }
}

/// A call: a direct method. What is no JSON is said as a text, which SDKs read, and nothing as null.
pub(in crate::dialects) fn call(call: &Call) -> Utterance {
    let payload = &call.payload;
    let payload = if payload.is_empty() {
        Bytes::from_static(b"null")
    } else if serde_json::from_slice::<IgnoredAny>(payload).is_ok() {
        payload.clone()
    } else {
        Bytes::from(json!(String::from_utf8_lossy(payload)).to_string())
    };
    utterance(device::method(&call.method, call.id.as_str()), payload)
}

/// The twin, or why there is none, for who asked by `request`.
pub(in crate::dialects) fn document(
    twin: Result<&Twin, &Refusal>,
    request: Option<&Bytes>,
) -> Option<Utterance> {
    let request = text(request)?;
    match twin {
        Ok(twin) => {
            let document = json!({
                "desired": versioned(twin.desired.document.clone(), &twin.desired),
                "reported": versioned(twin.reported.document.clone(), &twin.reported),
            });
            let topic = device::twin_result(200, request, None);
            Some(utterance(topic, Bytes::from(document.to_string())))
        }
        Err(refusal) => Some(failure(refusal, request)),
    }
}

/// What came of a report that the device knows by `request`.
pub(in crate::dialects) fn reported(
    half: Result<&Half, &Refusal>,
    request: Option<&Bytes>,
) -> Option<Utterance> {
    let request = text(request)?;
    match half {
        Ok(half) => {
            let topic = device::twin_result(204, request, Some(half.version));
            Some(utterance(topic, Bytes::new()))
        }
        Err(refusal) => Some(failure(refusal, request)),
    }
}

/// What has changed of the desired half since `before`, if anything has.
pub(in crate::dialects) fn desired(before: &Half, half: &Half) -> Option<Utterance> {
    if half.version <= before.version {
        return None;
    }
    let change = versioned(difference(&before.document, &half.document), half);
    let topic = device::desired(half.version);
    Some(utterance(topic, Bytes::from(change.to_string())))
}

/// A message to the cloud. Properties of the system keep their names, which begin with `$.`.
fn event(bag: Bag, payload: &Bytes, retain: bool) -> NewEvent {
    let mut properties: BTreeMap<String, String> = bag.into_pairs().into_iter().collect();
    if retain {
        properties.insert(RETAIN.to_owned(), "true".to_owned());
    }
    NewEvent {
        name: String::new(),
        content_type: properties.remove(CONTENT_TYPE).unwrap_or_default(),
        properties,
        payload: payload.clone(),
    }
}

fn failure(refusal: &Refusal, request: &str) -> Utterance {
    let topic = device::twin_result(reasons::to_status(refusal), request, None);
    let body = json!({ "message": refusal.to_string() });
    utterance(topic, Bytes::from(body.to_string()))
}

fn versioned(mut document: Value, half: &Half) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.insert("$version".to_owned(), json!(half.version));
    }
    document
}

fn utterance(topic: String, payload: Bytes) -> Utterance {
    Utterance {
        topic,
        payload,
        properties: PublishProperties::default(),
    }
}

fn bytes(request: &str) -> Bytes {
    Bytes::copy_from_slice(request.as_bytes())
}

fn text(request: Option<&Bytes>) -> Option<&str> {
    str::from_utf8(request?).ok()
}
