//! Evidence about XMPP.

use schemars::JsonSchema;
use serde::Serialize;

/// What an XMPP server offers (RFC 6120 §4.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct XmppEvidence {
    /// The domain that was asked for.
    pub to: String,
    /// The domain that the server says it is, at most 256 characters.
    pub from: Option<String>,
    /// Whether it offers to change to TLS.
    pub start_tls: StartTls,
    /// The ways to log in that it offers last: once TLS stands, if it came to that. At most 32, of
    /// at most 256 characters each.
    pub mechanisms: Vec<String>,
}

/// Whether a server that begins in the clear offers to change to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StartTls {
    /// It does not.
    Missing,
    /// It does.
    Offered,
    /// It does, and goes no further without.
    Required,
}
