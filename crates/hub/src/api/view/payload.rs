//! Payloads in JSON: as themselves where they are JSON, in base 64 otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use outgate_core::Refusal;

/// The most arrays and objects within each other for a payload to be shown as JSON. Deeper ones
/// are shown in base 64, for many readers give up on them.
const MAX_DEPTH: usize = 64;

/// A payload as it is told: exactly one of the two.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Payload {
    /// The payload, where its type is JSON and it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Any other payload, in base 64 with padding (RFC 4648, section 4).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(content_encoding = "base64")]
    payload_base64: Option<String>,
}

impl Payload {
    /// The payload `bytes` of the media type `content_type`.
    pub(crate) fn new(content_type: &str, bytes: &Bytes) -> Self {
        let json = is_json(content_type).then(|| as_json(bytes)).flatten();
        match json {
            Some(json) => Self {
                payload: Some(json),
                payload_base64: None,
            },
            None => Self {
                payload: None,
                payload_base64: Some(STANDARD.encode(bytes)),
            },
        }
    }
}

/// A payload as it is given.
#[derive(Debug)]
pub(crate) struct GivenPayload {
    /// Its media type, or empty.
    pub(crate) content_type: String,
    /// The payload.
    pub(crate) bytes: Bytes,
}

impl GivenPayload {
    /// The payload that a request gives in one of two ways.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for both at once, a type that does not fit, and bad base 64.
    pub(crate) fn new(
        content_type: Option<String>,
        json: Option<Box<RawValue>>,
        base64: Option<String>,
    ) -> Result<Self, Refusal> {
        match (json, base64) {
            (Some(_), Some(_)) => Err(Refusal::invalid("payload", "not beside payload_base64")),
            (Some(json), None) => {
                let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
                if !is_json(&content_type) {
                    let why = "a JSON type, or the payload in payload_base64";
                    return Err(Refusal::invalid("content_type", why));
                }
                Ok(Self {
                    content_type,
                    bytes: Bytes::from(Box::<str>::from(json).into_string()),
                })
            }
            (None, base64) => {
                let bytes = STANDARD
                    .decode(base64.unwrap_or_default())
                    .map_err(|_| Refusal::invalid("payload_base64", "base 64 with padding"))?;
                Ok(Self {
                    content_type: content_type.unwrap_or_default(),
                    bytes: bytes.into(),
                })
            }
        }
    }
}

/// Reads a member so that `null` is a value and only its absence is none.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// Whether a media type is JSON's (RFC 6839, section 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn as_json(bytes: &Bytes) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(bytes).ok()?;
    is_shallow(text).then(|| serde_json::from_str(text).ok())?
}

/// Whether no more than [`MAX_DEPTH`] arrays and objects of `text` are within each other.
fn is_shallow(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content_type: &str, bytes: &'static [u8]) -> String {
        let payload = Payload::new(content_type, &Bytes::from_static(bytes));
        serde_json::to_string(&payload).unwrap()
    }

    #[test]
    fn json_is_told_to_the_letter_and_all_else_in_base_64() {
        assert_eq!(
            told(
                "application/json",
                b"{\"a\": 1.10, \"b\": 123456789012345678901}"
            ),
            r#"{"payload":{"a": 1.10, "b": 123456789012345678901}}"#
        );
        assert_eq!(
            told("application/cloudevents+json", b"null"),
            r#"{"payload":null}"#
        );
        assert_eq!(
            told("application/json", b"{\"a\":"),
            r#"{"payload_base64":"eyJhIjo="}"#
        );
        assert_eq!(told("text/plain", b"1"), r#"{"payload_base64":"MQ=="}"#);
        assert_eq!(
            told("application/json", b"\xff"),
            r#"{"payload_base64":"/w=="}"#
        );
        assert_eq!(told("", b""), r#"{"payload_base64":""}"#);
    }

    #[test]
    fn json_that_many_readers_give_up_on_is_told_in_base_64() {
        let deep = Bytes::from(format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)));
        assert!(Payload::new("application/json", &deep).payload.is_none());
        let brackets = Bytes::from(format!("\"\\\"{}\"", "[".repeat(1_000)));
        assert!(
            Payload::new("application/json", &brackets)
                .payload
                .is_some()
        );
    }

    #[test]
    fn a_payload_is_given_in_one_way() {
        let raw = |text: &str| Some(RawValue::from_string(text.to_owned()).unwrap());
        let given = GivenPayload::new(None, raw("null"), None).unwrap();
        assert_eq!(
            (&given.bytes[..], &*given.content_type),
            (&b"null"[..], "application/json")
        );
        assert!(GivenPayload::new(None, raw("1"), Some(String::new())).is_err());
        assert!(GivenPayload::new(Some("text/plain".to_owned()), raw("1"), None).is_err());
        assert!(GivenPayload::new(None, None, Some("*".to_owned())).is_err());
        assert!(
            GivenPayload::new(None, None, None)
                .unwrap()
                .bytes
                .is_empty()
        );
    }
}
