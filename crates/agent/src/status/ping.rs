//! Whether there is a bound on how many pings the device answers.

use serde::Serialize;

/// Whether there is a bound on how many pings the device answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ping {
    /// Whether.
    pub limit: Limit,
    /// The bound that there is or should be, as `1/second`.
    pub rate: Option<String>,
    /// Why there is none, and what to do, where there should be one.
    pub reason: Option<String>,
}

/// Whether there is a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// None is wanted.
    #[default]
    Off,
    /// There is one.
    On,
    /// There should be one, and is none.
    Failed,
}
