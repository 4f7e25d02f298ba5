//! Evidence about questions to everybody on a local network.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::DnsRecord;

/// What came back from a group (RFC 6762, RFC 4795).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MulticastEvidence {
    /// The name asked for.
    pub question: String,
    /// The record types asked for.
    pub record_types: Vec<String>,
    /// The interfaces that it was asked on, at most 8; none where the ask leads to one machine.
    pub interfaces: Vec<String>,
    /// Who answered, at most 64 answers. This machine's own are left out.
    pub answers: Vec<MulticastAnswer>,
    /// How many times each question was sent, 1 or 2.
    pub sent: u8,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MulticastAnswer {
    /// Who sent it.
    pub from: IpAddr,
    /// Its records, at most 32.
    pub records: Vec<DnsRecord>,
    /// Whether the answerer knows of others with its name (LLMNR, RFC 4795 §2.1.1).
    pub conflict: bool,
}
