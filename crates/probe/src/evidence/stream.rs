//! Evidence about what comes over HTTP bit by bit, or late.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Outcome, Trouble, micros, optional_micros};

/// What came on a stream of Server-Sent Events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventsEvidence {
    /// Events that came; no more are read after 1,000.
    pub events: u32,
    /// From the head of the answer to the first byte after it.
    #[serde(rename = "first_byte_micros", serialize_with = "optional_micros")]
    #[schemars(with = "Option<u64>")]
    pub first_byte: Option<Duration>,
    /// From the head of the answer to the first event.
    #[serde(rename = "first_event_micros", serialize_with = "optional_micros")]
    #[schemars(with = "Option<u64>")]
    pub first_event: Option<Duration>,
    /// The median of the times between two events.
    #[serde(rename = "gap_micros", serialize_with = "optional_micros")]
    #[schemars(with = "Option<u64>")]
    pub gap: Option<Duration>,
    /// How long the stream was watched.
    #[serde(rename = "watched_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub watched: Duration,
}

/// What came of a long poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PollEvidence {
    /// From the question until its answer, its end, or the end of our patience.
    #[serde(rename = "waited_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub waited: Duration,
    /// The status of the answer; `None` if none came: the poll was held.
    pub status: Option<u16>,
}

/// What a SignalR hub offers, and what of it gets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignalREvidence {
    /// The transports in the order in which a client comes to them: one whose messages are in JSON,
    /// and then one whose are in MessagePack.
    pub transports: Vec<SignalRTransportEvidence>,
}

/// How a transport of SignalR fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SignalRTransportEvidence {
    /// Its name in SignalR, such as `WebSockets`.
    pub transport: &'static str,
    /// What the messages are in, by its name in SignalR: `json` or `messagepack`.
    pub protocol: &'static str,
    /// Pass when the hub answered the handshake of its protocol over it; not applicable when it
    /// refuses these messages and takes others.
    pub outcome: Outcome,
    /// The reason for anything but a pass.
    pub trouble: Option<Trouble>,
    /// How long it took, from the negotiation.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}
