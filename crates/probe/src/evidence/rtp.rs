//! Which ports pass speech, and how well.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// What became of RTP packets (RFC 3550) to a range of ports of somebody who sends them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RtpEvidence {
    /// First port of the range.
    pub first: u16,
    /// Last port of the range.
    pub last: u16,
    /// How many of its ports were asked; evenly spread if not all.
    pub asked: u16,
    /// Every how many ports one was asked: 1 where all were. Of a range of more than 10,240 ports,
    /// or of more than there is time for, a sample is asked.
    pub step: u16,
    /// How many answered.
    pub answered: u16,
    /// Those that did not, at most 64 spans.
    pub blocked: Vec<PortSpan>,
    /// A second of speech to one of the ports that answered; `None` if there was no time for it.
    pub stream: Option<RtpStream>,
}

/// Ports from the first to the last, of those that were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PortSpan {
    /// The first.
    pub first: u16,
    /// The last; may be the first.
    pub last: u16,
}

impl std::fmt::Display for PortSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A stream that went there and back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RtpStream {
    /// To which port.
    pub port: u16,
    /// How many packets were sent, one each 20 ms.
    pub sent: u16,
    /// How many came back, each counted once.
    pub received: u16,
    /// How many of them came after one that was sent later.
    pub late: u16,
    /// The interarrival jitter of both ways together (RFC 3550 §6.4.1).
    #[serde(rename = "jitter_micros", serialize_with = "super::micros")]
    #[schemars(with = "u64")]
    pub jitter: Duration,
    /// How late this machine itself sent, at the most. Where that is more than the 20 ms between
    /// two packets, nothing is said of jitter.
    #[serde(rename = "own_delay_micros", serialize_with = "super::micros")]
    #[schemars(with = "u64")]
    pub own_delay: Duration,
}
