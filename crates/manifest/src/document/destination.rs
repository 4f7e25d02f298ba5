//! Where a flow goes to.

use std::net::IpAddr;

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, FromText, OneOrMany, keyword, record, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, Spanned, quote};
use crate::name::{Id, Place};
use crate::yaml::{Node, Value};

/// Where a flow goes to, as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// A party of the manifest.
    Party(Spanned<Id>),
    /// Names, wildcards, addresses or networks: all of them are needed.
    Places(Vec<Spanned<Place>>),
    /// A name, or the places that may be opened instead where a firewall cannot use names.
    Alternatives(Alternatives),
    /// What the site's DHCP server hands out.
    Dhcp(DhcpOption),
    /// Multicast groups.
    Multicast(Vec<Spanned<Group>>),
    /// A region of a public cloud.
    Cloud(CloudRegion),
}

impl Destination {
    /// Whether it only stands for one that could not be read: no list that was read is empty.
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, Self::Places(places) if places.is_empty())
    }
}

keyword! {
    /// What a DHCP server hands out that traffic can go to.
    pub enum DhcpOption {
        /// Time servers (option 42 of RFC 2132, option 56 of DHCPv6).
        NtpServers = "ntp-servers",
        /// Name servers (option 6 of RFC 2132, option 23 of DHCPv6).
        DnsServers = "dns-servers",
    }
}

record! {
    /// What the site's DHCP server hands out.
    pub struct DhcpDestination = "`{ dhcp: … }`" {
        /// The option.
        dhcp: DhcpOption = required "dhcp",
    }
}

record! {
    /// Multicast groups.
    kept struct MulticastDestination = "`{ multicast: … }`" {
        /// The groups' addresses.
        multicast: Vec<Spanned<Group>> = required "multicast",
    }
}

record! {
    /// A region of a public cloud, for which the cloud publishes its address ranges.
    pub struct CloudRegion = "`{ cloud: … }`" {
        /// The cloud.
        cloud: CloudProvider = required "cloud",
        /// The region as the document names it.
        region: String = required "region",
        /// The tag under which the cloud lists the region's addresses.
        tag: String = required "tag",
    }
}

record! {
    /// A name, or the places that may be opened instead where a firewall cannot use names.
    pub struct Alternatives = "`{ name: … }`" {
        /// The name that the product uses.
        name: Spanned<Place> = required "name",
        /// What may be opened instead of it.
        or: Vec<Spanned<Place>> = required "or",
    }
}

keyword! {
    /// A public cloud that publishes its address ranges.
    pub enum CloudProvider {
        /// Microsoft Azure: service tags.
        Azure = "azure",
        /// Amazon Web Services: `ip-ranges.json`.
        Aws = "aws",
    }
}

/// The address of a multicast group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub IpAddr);

impl FromText for Group {
    const EXPECTED: &'static str = "a multicast address such as `224.0.0.251` or `ff02::fb`";
    const PATTERN: &'static str = "[.:]";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_multicast() => Ok(Self(address)),
            Ok(_) => Err(format!("{} is not a multicast address", quote(text))),
            Err(_) => Err(format!("{} is not an address", quote(text))),
        }
    }
}

impl Decode for Destination {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        match &node.value {
            Value::String(word) if !word.contains(['.', ':', '*', '/']) => {
                Spanned::<Id>::decode(node, out).map(Self::Party)
            }
            Value::Map(entries) => {
                let has = |name: &str| entries.iter().any(|(key, _)| key.text == name);
                if has("dhcp") {
                    DhcpDestination::decode(node, out).map(|to| Self::Dhcp(to.dhcp))
                } else if has("multicast") {
                    MulticastDestination::decode(node, out).map(|to| Self::Multicast(to.multicast))
                } else if has("cloud") {
                    CloudRegion::decode(node, out).map(Self::Cloud)
                } else if has("name") {
                    Alternatives::decode(node, out).map(Self::Alternatives)
                } else {
                    let key = entries.first().map_or("", |(key, _)| key.text.as_str());
                    let span = entries.first().map_or(node.span, |(key, _)| key.span);
                    let message = format!("{} is no kind of destination", quote(key));
                    let kinds = ["dhcp", "multicast", "cloud", "name"];
                    let complaint = Complaint::error("unknown-field", message);
                    out.push(span, complaint.expected_one_of(key, kinds));
                    None
                }
            }
            Value::String(_) | Value::List(_) => {
                let before = out.errors();
                let places = OneOrMany::decode(node, out)?;
                // Of a list that is not whole nobody knows what it leaves out.
                (out.errors() == before).then_some(Self::Places(places.0))
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                wrong_type(
                    node,
                    "a party, names, addresses, or a map such as `{ dhcp: … }`",
                    out,
                );
                None
            }
        }
    }

    fn stand_in() -> Option<Self> {
        Some(Self::Places(Vec::new()))
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("Destination", |defs| {
            json!({
                "description": "Where a flow goes to: a party, names or addresses, or one of the maps.",
                "anyOf": [
                    Id::schema(defs),
                    OneOrMany::<Place>::schema(defs),
                    DhcpDestination::schema(defs),
                    MulticastDestination::schema(defs),
                    CloudRegion::schema(defs),
                    Alternatives::schema(defs),
                ],
            })
        })
    }
}
