//! The SSH switch's column.

use serde::Serialize;
use time::OffsetDateTime;

/// The SSH switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ssh {
    /// Whether it is on.
    pub state: SshState,
    /// Until when, as far as the agent knows what time it is; what ends it is a clock that nobody puts
    /// forward or back.
    #[serde(with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// Who has switched it on.
    pub by: Option<String>,
    /// Where it listens while it is on.
    pub listen: Vec<String>,
    /// How many connections there are.
    pub connections: usize,
    /// The accounts that may log in while it is on.
    pub users: Vec<String>,
    /// For how many minutes it can be switched on.
    pub most_minutes: u64,
    /// What its key is known by, as `SHA256:…`; made when it is first switched on.
    pub host_key: Option<String>,
    /// Whether the hub has told whose certificates count; nothing where it is not asked.
    pub hub_certificates: Option<bool>,
}

/// Whether the SSH switch is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshState {
    /// Nobody can log in.
    #[default]
    Off,
    /// Whoever has a key or certificate that counts can.
    On,
    /// What was going on is being ended.
    Ending,
}
