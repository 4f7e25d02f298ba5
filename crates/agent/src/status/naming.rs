//! How the device came to its names on the local networks.

use serde::Serialize;

/// How the device came to its names on the local networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Naming {
    /// The name that it is to have there, of one label.
    pub wanted: Option<String>,
    /// What became of it in multicast DNS.
    pub mdns: Claim,
    /// And in LLMNR.
    pub llmnr: Claim,
}

/// What became of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// It is not used there.
    #[default]
    Off,
    /// It is being asked whether somebody else has it, or there is no local network.
    Asking,
    /// It is the device's.
    Held,
    /// Somebody else has it, and the device goes by another.
    Renamed,
    /// Somebody else has it, and the device goes without.
    Taken,
    /// It cannot be used; the troubles say why.
    Failed,
}
