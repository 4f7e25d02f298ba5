//! How often the device answers pings.

use serde::Deserialize;

/// How often the device answers pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    /// Whether the agent has the machine's packet filter (nftables) answer no more than the
    /// product's manifest says, or one a second where it says nothing.
    pub limit: bool,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct WrittenPing {
    limit: bool,
}

impl WrittenPing {
    pub(super) fn checked(self) -> Ping {
        Ping { limit: self.limit }
    }
}
