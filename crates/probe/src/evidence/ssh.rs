//! Evidence about SSH.

use schemars::JsonSchema;
use serde::Serialize;

/// Who an SSH server says it is (RFC 4253 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SshEvidence {
    /// The version of the protocol, such as `2.0`, at most 16 characters.
    pub protocol: String,
    /// Software and version, such as `OpenSSH_9.2p1`, at most 256 characters.
    pub software: String,
    /// What the software says beside that, at most 256 characters.
    pub comments: Option<String>,
    /// Lines that it said before, such as a legal notice. They are not kept.
    pub lines_before: usize,
}
