//! Whose a cause is to mend.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::words::Language;

/// Whose it is to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The customer's firewall.
    Firewall,
    /// The customer's name servers.
    Dns,
    /// The customer's DHCP servers.
    Dhcp,
    /// What joins the machines on the spot: switches, access points.
    Lan,
    /// The customer's proxy or TLS inspection.
    Proxy,
    /// The machine that the check runs on.
    ThisMachine,
    /// The operator of the time server.
    TimeServer,
    /// The product's vendor.
    Vendor,
    /// The customer's firewall or the vendor's server: what was seen fits both.
    FirewallOrVendor,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Language::En.owner(*self))
    }
}
