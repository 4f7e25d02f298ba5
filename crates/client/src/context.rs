//! Which hub, who asks, and whom to trust.

use serde::{Deserialize, Serialize};

use crate::token::Token;

mod file;

pub use file::{ContextError, Contexts, MAX_CONTEXTS};

/// Whom to believe that it is the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// The authorities of this machine, and that of the context if it has one.
    #[default]
    System,
    /// Only the authority of the context.
    Pinned,
}

/// Which hub, who asks, and whom to trust.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Context {
    /// Where the hub is: `https://HOST[:PORT]`, or `http://` on this very machine.
    pub hub: String,
    /// Proves who asks; none for what may be asked without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Whom to believe.
    #[serde(default)]
    pub trust: Trust,
    /// Certificates of further authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}
