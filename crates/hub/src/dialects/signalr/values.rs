//! Payloads as arguments of invocations, and the other way round.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use outgate_core::Refusal;
use outgate_signalr_server::{Arguments, HubError, Payload, Protocol};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The media type of what comes from clients.
pub(super) const JSON: &str = "application/json";

/// A payload as an argument.
#[derive(Debug, PartialEq)]
pub(super) enum Argument {
    /// What it says in JSON, or its text.
    Value(Value),
    /// Its bytes, where the protocol can carry them.
    Bytes(Bytes),
}

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

/// A payload as the arguments of an invocation: none for an empty one; else one, which is the
/// value that it has in JSON, or its text, or its bytes, in base 64 where the protocol has none.
/// What its media type does not say is found out by looking.
pub(super) fn arguments(media_type: &str, payload: &Bytes, protocol: Protocol) -> Vec<Argument> {
    if payload.is_empty() {
        return Vec::new();
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let may_be_json = essence.is_empty() || essence == JSON || essence.ends_with("+json");
    let may_be_text = may_be_json || essence.starts_with("text/");
    if may_be_json && let Ok(value) = serde_json::from_slice(payload) {
        return vec![Argument::Value(value)];
    }
    if may_be_text && let Ok(text) = std::str::from_utf8(payload) {
        return vec![Argument::Value(text.into())];
    }
    vec![match protocol {
        Protocol::Json => Argument::Value(STANDARD.encode(payload).into()),
        Protocol::MessagePack => Argument::Bytes(payload.clone()),
    }]
}

/// The arguments of an invocation as a JSON array.
pub(super) fn payload_of(arguments: Arguments) -> Bytes {
    let mut text = String::from("[");
    for (at, argument) in arguments.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&json(&argument));
    }
    text.push(']');
    text.into()
}

/// A value in JSON; as it was written, where that was JSON.
pub(super) fn json(payload: &Payload) -> String {
    match payload {
        Payload::Json(raw) => raw.as_str().to_owned(),
        Payload::MessagePack(_) => payload.to_json().to_string(),
    }
}

/// What a client is told of a refusal: what is for the log alone stays there.
pub(super) fn told(refusal: Refusal) -> HubError {
    let inner = matches!(
        refusal,
        Refusal::Store(_) | Refusal::Internal(_) | Refusal::Randomness
    );
    if inner {
        tracing::warn!(error = %refusal, "a call over SignalR failed");
        return refusal.into();
    }
    HubError::new(refusal.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(media_type: &str, payload: &'static [u8], protocol: Protocol) -> Vec<Argument> {
        arguments(media_type, &Bytes::from_static(payload), protocol)
    }

    #[test]
    fn a_payload_is_the_value_that_it_says_it_is_or_looks_like() {
        let value = |value| vec![Argument::Value(value)];
        let object = json!({"a": [1]});
        for media_type in ["", "application/json", "Application/X+JSON; a=b"] {
            let given = one(media_type, b"{\"a\": [1]}", Protocol::Json);
            assert_eq!(given, value(object.clone()), "{media_type}");
        }
        assert_eq!(one("", b"now", Protocol::Json), value(json!("now")));
        assert_eq!(one("text/plain", b"1", Protocol::Json), value(json!("1")));
        assert_eq!(one("", b"\xff", Protocol::Json), value(json!("/w==")));
        let bytes = vec![Argument::Bytes(Bytes::from_static(b"1"))];
        assert_eq!(one("image/png", b"1", Protocol::MessagePack), bytes);
        assert_eq!(one("image/png", b"1", Protocol::Json), value(json!("MQ==")));
        assert!(one("", b"", Protocol::Json).is_empty());
    }
}
