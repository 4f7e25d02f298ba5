//! What a SIP server said, and what became of the question on its way.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

/// What a SIP server said (RFC 3261), and what it received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SipEvidence {
    /// The status of its answer to OPTIONS, 200 to 699.
    pub status: u16,
    /// Its words, at most 256 characters.
    pub reason: String,
    /// What the server calls itself, at most 256 characters.
    pub server: Option<String>,
    /// Where the question left this machine; `None` if it went through a proxy.
    pub local: Option<SocketAddr>,
    /// From which address the server saw it come (RFC 3261 §18.2.1).
    pub received: Option<IpAddr>,
    /// From which port (RFC 3581).
    pub received_port: Option<u16>,
    /// Whether the server is an echo and said what it received. Otherwise only what every answer
    /// repeats was compared: Via, From, Call-ID and CSeq.
    pub echoed: bool,
    /// The lines that did not arrive as they were sent, at most 32.
    pub rewritten: Vec<RewrittenLine>,
}

/// A line of a message that somebody on the way changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RewrittenLine {
    /// As it was sent; `None` if it was added. At most 256 characters.
    pub sent: Option<String>,
    /// As it arrived; `None` if it was taken out. At most 256 characters.
    pub arrived: Option<String>,
}
