//! Evidence about directories.

use schemars::JsonSchema;
use serde::Serialize;

/// What a directory says to somebody who has not logged in (RFC 4512 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LdapEvidence {
    /// How the question for the root DSE ended, such as `success`.
    pub result: String,
    /// Whether the root DSE was shown.
    pub root_dse: bool,
    /// The versions of the protocol it speaks, at most 8.
    pub versions: Vec<String>,
    /// Whether it says that it offers to change to TLS.
    pub start_tls: bool,
    /// The ways to log in, at most 32.
    pub mechanisms: Vec<String>,
    /// The maker and version it names, at most 256 characters.
    pub vendor: Option<String>,
}
