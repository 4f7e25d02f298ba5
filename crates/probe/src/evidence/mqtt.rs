//! Evidence about MQTT.

use schemars::JsonSchema;
use serde::Serialize;

/// What an MQTT server answered to a CONNECT (MQTT 5.0 and 3.1.1, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MqttEvidence {
    /// The version of MQTT in which it answered: `5.0` or `3.1.1`.
    pub version: &'static str,
    /// Its reason code of MQTT 5.0, 0 when it let us in; for a return code of 3.1.1 the reason code
    /// that means the same.
    pub code: u8,
    /// What the code means.
    pub reason: String,
    /// The reason in the server's own words, at most 256 characters. 3.1.1 has none.
    pub words: Option<String>,
    /// Whether it asks who is there: it speaks MQTT, and lets nobody in without a login.
    pub login_wanted: bool,
}
