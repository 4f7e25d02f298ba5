//! Asking a device that is there now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::payload::Payload;
use crate::error::Error;
use crate::transport::{Ask, Client};

/// How much longer than the deadline the hub's own answer may take.
const MARGIN: Duration = Duration::from_secs(10);

/// What a device answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The device's own status, by custom one of HTTP.
    pub status: i32,
    /// A media type, or empty.
    pub content_type: String,
    /// The payload.
    #[serde(flatten)]
    pub payload: Payload,
}

impl Client {
    /// Asks a device and waits for its answer, at most `deadline`. Asked once: whoever does not
    /// hear the answer cannot know whether the device has acted.
    ///
    /// # Errors
    /// [`Error::Refused`] when the device is not connected or does not answer in time; as any
    /// request.
    pub async fn call(
        &self,
        device: &str,
        method: &str,
        content_type: &str,
        payload: &Payload,
        deadline: Duration,
    ) -> Result<Answer, Error> {
        let mut body = Map::new();
        body.insert("content_type".into(), content_type.into());
        payload.put(&mut body);
        let ask = Ask::post_once(["api", "devices", device, "calls", method])
            .query("deadline", Some(deadline.as_secs()))
            .json(&Value::Object(body))
            .patience(deadline + MARGIN);
        self.send(&ask).await?.json()
    }
}
