//! What devices log.

use outgate_core::logs::{Log, TakenLogs};
use outgate_core::{Refusal, Timestamp};
use outgate_wire::otlp::{Malformed, Record, Resource, Scope};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// A log record. Attributes and bodies are plain JSON; bytes in them are in base 64, and numbers
/// that JSON has not are texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogRecord {
    /// Its place: goes up with each record of the hub, never twice the same.
    #[schema(example = 1042)]
    pub(crate) place: u64,
    /// Who logged it.
    #[schema(example = "till-7")]
    device: String,
    /// Where that device stood.
    #[schema(example = "store-12")]
    site: String,
    /// When the hub took it.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) received: Timestamp,
    /// When it happened, by the device's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub(crate) time: Option<String>,
    /// When the device's software noticed it, by the device's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    observed: Option<String>,
    /// How bad it is, in the numbers of OpenTelemetry: 1 to 4 trace, 5 to 8 debug, 9 to 12 info,
    /// 13 to 16 warn, 17 to 20 error, 21 to 24 fatal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 24, example = 17)]
    pub(crate) severity: Option<u8>,
    /// The same in the device's words.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false, example = "ERROR")]
    pub(crate) severity_text: String,
    /// What is said: mostly a text.
    #[schema(example = "the printer does not answer")]
    pub(crate) body: Value,
    /// More.
    #[schema(value_type = Object)]
    pub(crate) attributes: Map<String, Value>,
    /// What wrote it: a logger, a library.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    scope: String,
    /// Of which kind of event it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    event: String,
    /// What it is about: the service, the process.
    #[schema(value_type = Object)]
    resource: Map<String, Value>,
    /// To which trace it belongs, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// To which span it belongs, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
}

/// Log records in the order of their places, and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogList {
    /// The records.
    items: Vec<LogRecord>,
    /// The place up to which all has been looked at: what to ask `after` next.
    #[schema(example = 1042)]
    next: u64,
    /// The newest place there was: while `next` is below it there may be more.
    #[schema(example = 2077)]
    newest: u64,
}

impl LogRecord {
    /// A record as it is kept.
    ///
    /// # Errors
    /// [`Refusal::Internal`] when it cannot be read.
    pub(crate) fn new(log: Log) -> Result<Self, Refusal> {
        let unreadable = |_: Malformed| Refusal::Internal("a log record cannot be read");
        let record = Record::from_bytes(&log.record).map_err(unreadable)?;
        let resource = Resource::from_bytes(&log.resource).map_err(unreadable)?;
        let scope = Scope::from_bytes(&log.scope).map_err(unreadable)?;
        Ok(Self {
            place: log.seq,
            device: log.device.into(),
            site: log.site.into(),
            received: log.received,
            time: moment(record.time),
            observed: moment(record.observed),
            severity: Some(record.severity).filter(|severity| *severity > 0),
            attributes: record.attributes_json(),
            severity_text: record.severity_text,
            body: record.body.to_json(),
            scope: scope.name,
            event: record.event,
            resource: resource.attributes_json(),
            trace_id: record.trace.map(|id| hexadecimal(&id)),
            span_id: record.span.map(|id| hexadecimal(&id)),
        })
    }
}

impl LogList {
    /// Records as they are kept.
    ///
    /// # Errors
    /// As [`LogRecord::new`].
    pub(crate) fn new(taken: TakenLogs) -> Result<Self, Refusal> {
        let items: Result<_, Refusal> = taken.logs.into_iter().map(LogRecord::new).collect();
        Ok(Self {
            items: items?,
            next: taken.next,
            newest: taken.newest,
        })
    }
}

/// Nanoseconds since 1970 as a date; none when it is not said.
fn moment(nanoseconds: u64) -> Option<String> {
    if nanoseconds == 0 {
        return None;
    }
    let date = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into());
    date.ok()?.format(&Rfc3339).ok()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
