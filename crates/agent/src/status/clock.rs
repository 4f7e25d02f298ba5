//! The clock's column.

use serde::Serialize;
use time::OffsetDateTime;

/// What time the device thinks it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Whether a source has confirmed the time since the start.
    pub trusted: bool,
    /// Who has: `dhcp` or `configured` with the server's address, or `hub`.
    pub source: Option<String>,
    /// By how much the machine's own clock was wrong when it was last compared, in milliseconds;
    /// positive when it was behind.
    pub offset_millis: Option<i64>,
    /// By how much the source may be off for the way to it, in milliseconds.
    pub error_millis: Option<u64>,
    /// It cannot be earlier: the newest time that the hub has confirmed, or when the agent was built.
    #[serde(with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
    /// What became of asking time servers.
    pub asked: Vec<TimeSource>,
}

/// What became of asking the time servers of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeSource {
    /// `dhcp` or `configured`.
    pub source: String,
    /// The servers that have answered.
    pub answered: Vec<String>,
    /// Why there was no answer, or none that is believed.
    pub refused: Vec<String>,
}
