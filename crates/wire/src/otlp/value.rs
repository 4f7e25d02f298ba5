//! What a log record says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use super::protobuf;
use super::{Malformed, writer};

/// The highest severity (`SEVERITY_NUMBER_FATAL4`).
pub const MAX_SEVERITY: u8 = 24;

/// The ranges of severities, each with its lowest number (OpenTelemetry's logs data model, section
/// "Displaying Severity").
pub const SEVERITIES: [(u8, &str); 6] = [
    (1, "TRACE"),
    (5, "DEBUG"),
    (9, "INFO"),
    (13, "WARN"),
    (17, "ERROR"),
    (21, "FATAL"),
];

/// What a severity is called; none for 0, which says nothing.
#[must_use]
pub fn severity_name(number: u8) -> Option<&'static str> {
    let reached = |(lowest, name): &(u8, _)| (number >= *lowest).then_some(*name);
    SEVERITIES.iter().rev().find_map(reached)
}

/// `AnyValue`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// None of the following.
    Empty,
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Values in order.
    List(Vec<Value>),
    /// Named values in order.
    Map(Vec<(String, Value)>),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// What a request's records are about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What it is: `service.name` and so on.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender left out.
    pub dropped: u32,
    /// The schema of its attributes, or empty.
    pub schema: String,
}

/// What wrote records: a library, a logger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Its name, or empty.
    pub name: String,
    /// Its version, or empty.
    pub version: String,
    /// More about it.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender left out.
    pub dropped: u32,
    /// The schema of the records, or empty.
    pub schema: String,
}

/// One log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it happened by the sender's clock, in nanoseconds since 1970; 0 when it is not said.
    pub time: u64,
    /// When it was noticed by the sender's clock, in nanoseconds since 1970; 0 when it is not said.
    pub observed: u64,
    /// How bad it is: 1 to [`MAX_SEVERITY`]; 0 when it is not said.
    pub severity: u8,
    /// The same in the sender's words, or empty.
    pub severity_text: String,
    /// What is said.
    pub body: Value,
    /// More.
    pub attributes: Vec<(String, Value)>,
    /// How many attributes the sender left out.
    pub dropped: u32,
    /// Flags of the trace (W3C Trace Context).
    pub flags: u32,
    /// To which trace it belongs.
    pub trace: Option<[u8; 16]>,
    /// To which span it belongs.
    pub span: Option<[u8; 8]>,
    /// Of which kind of event it is, or empty.
    pub event: String,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            time: 0,
            observed: 0,
            severity: 0,
            severity_text: String::new(),
            body: Value::Empty,
            attributes: Vec::new(),
            dropped: 0,
            flags: 0,
            trace: None,
            span: None,
            event: String::new(),
        }
    }
}

impl Value {
    /// The value as plain JSON: bytes in base 64, numbers that JSON has not as text.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Empty => Json::Null,
            Self::Text(text) => Json::String(text.clone()),
            Self::Bool(yes) => Json::Bool(*yes),
            Self::Int(number) => Json::from(*number),
            Self::Double(number) => Number::from_f64(*number)
                .map_or_else(|| Json::String(number.to_string()), Json::Number),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(members) => Json::Object(object(members)),
            Self::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        }
    }

    /// The value as text: text as it is, anything else as JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Empty => String::new(),
            Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Bytes(_) => self.to_json().to_string(),
        }
    }
}

/// Named values as a JSON object; of two with the same name the later one.
#[must_use]
pub(super) fn object(members: &[(String, Value)]) -> Map<String, Json> {
    let members = members.iter();
    members
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect()
}

impl Resource {
    /// Its attributes as a JSON object.
    #[must_use]
    pub fn attributes_json(&self) -> Map<String, Json> {
        object(&self.attributes)
    }

    /// As it is kept: `ResourceLogs` without its scopes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        writer::resource(self)
    }

    /// What [`Resource::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        protobuf::resource(bytes)
    }
}

impl Scope {
    /// As it is kept: `ScopeLogs` without its records.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        writer::scope(self)
    }

    /// What [`Scope::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        protobuf::scope(bytes)
    }
}

impl Record {
    /// Its attributes as a JSON object.
    #[must_use]
    pub fn attributes_json(&self) -> Map<String, Json> {
        object(&self.attributes)
    }

    /// As it is kept: `LogRecord`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        writer::record(self)
    }

    /// What [`Record::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        protobuf::record(bytes)
    }
}
