//! What devices log.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::tail::Tail;
use crate::transport::{Ask, Client};

/// A log record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its place: goes up with each record of the hub, never twice the same.
    pub place: u64,
    /// Who logged it.
    pub device: String,
    /// Where that device stood.
    pub site: String,
    /// When the hub took it.
    pub received: String,
    /// When it happened, by the device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// When the device's software noticed it, by the device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// How bad it is, 1 to 24, in the numbers of OpenTelemetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// The same in the device's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub severity_text: String,
    /// What is said.
    pub body: Value,
    /// More.
    pub attributes: Map<String, Value>,
    /// What wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// Of which kind of event it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// What it is about.
    pub resource: Map<String, Value>,
    /// To which trace it belongs, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// To which span it belongs, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

/// Which records of a device are wanted.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Only those that the hub took at this moment or later.
    pub since: Option<String>,
    /// Only those that the hub took before this moment.
    pub until: Option<String>,
    /// Only those at least so bad, 1 to 24.
    pub severity: Option<u8>,
    /// Only those in which this regular expression is found.
    pub grep: Option<String>,
}

/// A part of the records, and where to go on.
#[derive(Clone, Debug, Deserialize)]
pub struct LogPart {
    /// The records, in the order of their places.
    pub items: Vec<LogRecord>,
    /// The place up to which all has been looked at.
    pub next: u64,
    /// The newest place there was.
    pub newest: u64,
}

impl Client {
    /// What a device logged after a place, at most `limit` records.
    ///
    /// # Errors
    /// As any request.
    pub async fn logs(
        &self,
        device: &str,
        filter: &LogFilter,
        after: u64,
        limit: u32,
    ) -> Result<LogPart, Error> {
        let ask = logs(device, filter)
            .query("after", Some(after))
            .query("limit", Some(limit));
        self.send(&ask).await?.json()
    }

    /// What a device logs from now on, for as long as it is asked; with a place, also what came
    /// after that.
    #[must_use]
    pub fn follow_logs(
        &self,
        device: &str,
        filter: &LogFilter,
        after: Option<u64>,
    ) -> Tail<LogRecord> {
        let place = after.map(|after| after.to_string());
        Tail::new(self.clone(), logs(device, filter), place)
    }
}

fn logs(device: &str, filter: &LogFilter) -> Ask {
    Ask::get(["api", "devices", device, "logs"])
        .query("since", filter.since.as_ref())
        .query("until", filter.until.as_ref())
        .query("severity", filter.severity)
        .query("grep", filter.grep.as_ref())
}
