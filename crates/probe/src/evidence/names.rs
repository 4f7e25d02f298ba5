//! Evidence about names: how one was resolved, and what a resolver answered.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{micros, trouble::Trouble};

/// How a name was resolved, both families.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resolution {
    /// The name that was asked for: the lane's, or the target of a detour.
    pub name: String,
    /// The resolvers that may have been asked, in order.
    pub resolvers: Vec<SocketAddr>,
    /// The answer to the question for A records.
    pub ipv4: FamilyAnswer,
    /// The answer to the question for AAAA records.
    pub ipv6: FamilyAnswer,
}

/// What came back for one record type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FamilyAnswer {
    /// The addresses, in the order of the answer, at most 32.
    pub addresses: Vec<AddressRecord>,
    /// The CNAME chain from the asked name, at most 16 steps.
    pub aliases: Vec<Alias>,
    /// Why there are no addresses. [`Trouble::NoAddress`] alone is no failure: most names have no
    /// AAAA records.
    pub trouble: Option<Trouble>,
    /// How long the answer took.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}

/// An address and how long it may be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AddressRecord {
    /// The address.
    pub address: IpAddr,
    /// Time to live in seconds, as it came.
    pub ttl_seconds: u32,
}

/// One CNAME.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Alias {
    /// The alias.
    pub name: String,
    /// What it stands for.
    pub target: String,
    /// Time to live in seconds, as it came.
    pub ttl_seconds: u32,
}

/// What a resolver answered when it was itself the one being probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DnsEvidence {
    /// The name asked for; `.` is the root.
    pub question: String,
    /// The record type asked for.
    pub record_type: String,
    /// The response code, such as `NOERROR` or `NXDOMAIN`.
    pub rcode: String,
    /// The answer section, at most 32 records.
    pub answers: Vec<DnsRecord>,
    /// Whether the answer was cut off for want of space.
    pub truncated: bool,
    /// Whether the resolver offers recursion.
    pub recursion_available: bool,
    /// How many questions were sent until the answer came, 1 or 2.
    pub sent: u8,
}

/// One resource record, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DnsRecord {
    /// The owner name.
    pub name: String,
    /// The type, such as `CNAME`.
    pub record_type: String,
    /// Time to live in seconds.
    pub ttl_seconds: u32,
    /// The data in presentation form, at most 256 characters.
    pub data: String,
}
