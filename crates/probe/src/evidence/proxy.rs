//! Evidence about proxies.

use schemars::JsonSchema;
use serde::Serialize;

/// What a connection went through, and what was said there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProxyEvidence {
    /// The proxy's URL, without a login.
    pub proxy: String,
    /// What it was asked to lead to: a name or address, and a port.
    pub target: String,
    /// Who turned the target's name into an address.
    pub resolved_by: ResolvedBy,
    /// The status of its answer, where it speaks HTTP and the answer is its own.
    pub status: Option<u16>,
    /// The kinds of login that it asks for, by their HTTP names, at most 16.
    pub schemes: Vec<String>,
    /// Whether a login was given to it.
    pub login_given: bool,
}

/// Who turned a name into an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResolvedBy {
    /// The proxy; what it made of the name is not known.
    Proxy,
    /// This machine, as the resolution says.
    Here,
    /// Nobody: it was an address.
    Nobody,
}
