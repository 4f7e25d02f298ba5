//! What a STUN server said, and what that tells of the NAT before us.

use std::{net::SocketAddr, time::Duration};

use outgate_wire::stun::Behaviour;
use schemars::JsonSchema;
use serde::Serialize;

/// What a STUN server said (RFC 8489), and the NAT in the words of RFC 5780 and RFC 4787.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StunEvidence {
    /// Where the question left this machine; `None` if a proxy asked in its place.
    pub local: Option<SocketAddr>,
    /// As whom the server saw it (RFC 8489: the reflexive transport address).
    pub reflexive: SocketAddr,
    /// Whether the two differ: a NAT stands between. `None` if a proxy does.
    pub translated: Option<bool>,
    /// As whom one socket is seen by different places.
    pub mapping: NatBehaviour,
    /// From whom a socket hears that has talked to one place. Without a NAT: what a firewall lets
    /// in.
    pub filtering: NatBehaviour,
    /// Why one of the two, or both, are not known.
    pub not_known: Option<String>,
    /// The other end that the server says it has (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// What the server calls itself, at most 127 characters.
    pub software: Option<String>,
    /// From the question to the answer; `None` if it was asked twice over UDP, because nothing
    /// tells which of the two was answered.
    #[serde(
        rename = "round_trip_micros",
        serialize_with = "super::optional_micros"
    )]
    #[schemars(with = "Option<u64>")]
    pub round_trip: Option<Duration>,
}

/// On what a NAT's or firewall's choice depends (RFC 4787 §4.1, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NatBehaviour {
    /// On nothing outside.
    EndpointIndependent,
    /// On the other side's address.
    AddressDependent,
    /// On the other side's address and port; the mapping of what is called a symmetric NAT.
    AddressAndPortDependent,
    /// It could not be found out.
    NotKnown,
}

impl From<Behaviour> for NatBehaviour {
    fn from(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::EndpointIndependent => Self::EndpointIndependent,
            Behaviour::AddressDependent => Self::AddressDependent,
            Behaviour::AddressAndPortDependent => Self::AddressAndPortDependent,
        }
    }
}

impl std::fmt::Display for NatBehaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
            Self::NotKnown => "not known",
        })
    }
}
