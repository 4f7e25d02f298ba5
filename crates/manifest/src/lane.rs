//! Lanes: flows expanded to one source, one destination, one transport, one port or range.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::decode::keyword;
use crate::document::destination::DhcpOption;
use crate::document::flow::{Credential, ProbeHints, Rate, Switch, Tls};
use crate::document::product::Need;
use crate::manifest::Provenance;
use crate::name::{DomainName, Id, Wildcard};
use crate::port::{PortRange, Transport};
use crate::protocol::Protocol;
use crate::text::Text;
use crate::version::VersionRange;

/// One source, one destination, one transport, one port or range. Rules, probes and observations
/// are about lanes.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The flow that it is a part of.
    pub flow: Id,
    /// The party that starts the conversation.
    pub from: Id,
    /// Where it goes.
    pub to: Target,
    /// What carries it.
    pub transport: Transport,
    /// The destination's ports; none for ICMP and where the document names none.
    pub ports: Option<PortRange>,
    /// What is spoken.
    pub protocol: Protocol,
    /// How badly it is needed.
    pub need: Need,
    /// Which way it crosses the customer's border.
    pub direction: Direction,
    /// What TLS must be like, where TLS has a part in it.
    pub tls: Option<Tls>,
    /// The product versions that need it; all, when none.
    pub versions: Option<VersionRange>,
    /// The flows that must work first and that are in use.
    pub after: Vec<Id>,
    /// Its rung, where the flow is a fallback ladder.
    pub ladder: Option<Rung>,
    /// The name in whose place this destination may be opened.
    pub alternative_to: Option<String>,
    /// The feature it belongs to.
    pub feature: Option<Id>,
    /// What it is for.
    pub why: Text,
    /// What no longer works when it is blocked.
    pub blocked: Text,
    /// What the document says that is odd or open, and what is true.
    pub note: Text,
    /// Names that a probe may ask for, when the destination is a wildcard.
    pub sample: Vec<DomainName>,
    /// What a probe sends and what answer is right.
    pub probe: Option<ProbeHints>,
    /// How often it may be used at most.
    pub rate: Option<Rate>,
    /// Present when it is switched off or on by people.
    pub switch: Option<Switch>,
    /// By what the two ends know each other.
    pub credentials: Vec<Credential>,
    /// The other product's manifest that it comes from.
    pub provenance: Option<Provenance>,
}

/// Where a lane goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// One domain name.
    Name(DomainName),
    /// All names below a domain.
    Wildcard(Wildcard),
    /// One address.
    Address(IpAddr),
    /// All addresses of a prefix.
    Network(IpNet),
    /// A party whose name or address differs from site to site.
    Party(Id),
    /// What the site's DHCP server hands out.
    Dhcp(DhcpOption),
    /// A multicast group.
    Multicast(IpAddr),
    /// The addresses that a cloud lists under this tag.
    ServiceTag(String),
}

impl Target {
    /// The kind of destination, as in JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Wildcard(_) => "wildcard",
            Self::Address(_) => "address",
            Self::Network(_) => "network",
            Self::Party(_) => "party",
            Self::Dhcp(_) => "dhcp",
            Self::Multicast(_) => "multicast",
            Self::ServiceTag(_) => "service-tag",
        }
    }

    /// The destination itself, as in JSON.
    pub fn value(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Wildcard(wildcard) => wildcard.to_string(),
            Self::Address(address) | Self::Multicast(address) => address.to_string(),
            Self::Network(network) => network.to_string(),
            Self::Party(party) => party.to_string(),
            Self::Dhcp(option) => option.to_string(),
            Self::ServiceTag(tag) => tag.clone(),
        }
    }
}

keyword! {
    /// Which way a lane crosses the customer's border.
    pub enum Direction {
        /// From the customer's network to the internet.
        Outbound = "outbound",
        /// From the internet into the customer's network.
        Inbound = "inbound",
        /// Within the customer's network.
        Lan = "lan",
    }
}

/// A place in a fallback ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The flow whose ladder it is.
    pub of: Id,
    /// Its place, from 1, which is tried first. Lanes of one step are tried together.
    pub step: usize,
}
