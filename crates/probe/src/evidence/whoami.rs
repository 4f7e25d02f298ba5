//! How the far end sees a connection, beside how it looks from here.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

/// How the far end saw a question of ours (`GET /whoami`), on a TLS connection of its own that was
/// opened as the lane's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WhoamiEvidence {
    /// Whether both ends see the same TLS connection.
    pub ends: TlsEnds,
    /// Why nobody knows; `None` where it is known.
    pub not_known: Option<String>,
    /// The address that the question came from there.
    pub address: Option<IpAddr>,
    /// The port that it came from there.
    pub port: Option<u16>,
    /// Whether the two are others than those it left this machine with: a NAT or a proxy stands
    /// between. `None` if it was handed to a proxy by its name.
    pub translated: Option<bool>,
    /// The version of TLS there, at most 16 characters; `None` where it came without TLS.
    pub version: Option<String>,
    /// What ALPN agreed on there, at most 255 characters.
    pub alpn: Option<String>,
    /// The name that was asked for there, at most 253 characters.
    pub server_name: Option<String>,
    /// Header fields that were not sent so and arrived, such as `via: 1.1 proxy`, at most 16 of at
    /// most 256 characters each.
    pub added: Vec<String>,
}

/// Whether both ends of a connection are of the same TLS connection: whether they derive the same
/// channel binding (RFC 9266).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsEnds {
    /// They are: nobody opens TLS on the way, whoever issued the certificate.
    Same,
    /// They are not: somebody opens it.
    Different,
    /// The far end does not tell.
    NotKnown,
}
