//! What a message carries, in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a message carries: JSON where its media type says so, else bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Payload {
    /// A JSON value.
    #[serde(rename = "payload")]
    Json(Value),
    /// Bytes, in base 64.
    #[serde(rename = "payload_base64")]
    Base64(String),
}

impl Payload {
    /// What `bytes` of this media type are.
    #[must_use]
    pub fn new(content_type: &str, bytes: &[u8]) -> Self {
        let json = is_json(content_type).then(|| serde_json::from_slice(bytes).ok());
        match json.flatten() {
            Some(value) => Self::Json(value),
            None => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The payload's bytes; those of JSON as it is written here.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Base64(text) => STANDARD.decode(text).unwrap_or_default(),
        }
    }

    /// Puts it among the fields of a body.
    pub(crate) fn put(&self, body: &mut Map<String, Value>) {
        match self {
            Self::Json(value) => body.insert("payload".into(), value.clone()),
            Self::Base64(text) => body.insert("payload_base64".into(), text.clone().into()),
        };
    }
}

/// Whether a media type is JSON (RFC 8259, RFC 6839 section 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_itself_json_and_is_not_goes_as_bytes() {
        let good = Payload::new("application/vnd.x+json; charset=utf-8", b"{\"a\":1}");
        assert_eq!(good, Payload::Json(serde_json::json!({ "a": 1 })));
        let broken = Payload::new("application/json", b"{");
        assert_eq!(broken, Payload::Base64("ew==".into()));
        assert_eq!(broken.bytes(), b"{");
    }
}
