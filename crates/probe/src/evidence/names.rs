//! Evidence about names: how one was resolved, and what a resolver answered.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{micros, trouble::Trouble};

/// How a name was resolved, both families.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resolution {
    /// The name that was asked for: the lane's, or the target of a detour.
    pub name: String,
    /// The resolvers that may have been asked, in order.
    pub resolvers: Vec<NameServer>,
    /// The answer to the question for A records.
    pub ipv4: FamilyAnswer,
    /// The answer to the question for AAAA records.
    pub ipv6: FamilyAnswer,
    /// What a name server outside says, where it was asked for its opinion: only of names for which
    /// these ones give no address, or none that is outside the site.
    pub elsewhere: Option<Box<Elsewhere>>,
}

/// What a name server outside says of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Elsewhere {
    /// The name server.
    pub resolver: NameServer,
    /// Its answer to the question for A records.
    pub ipv4: FamilyAnswer,
    /// Its answer to the question for AAAA records.
    pub ipv6: FamilyAnswer,
}

impl Elsewhere {
    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        addresses([&self.ipv4, &self.ipv6])
    }

    /// Whether it says that the name does not exist.
    pub(crate) fn denies(&self) -> bool {
        let denied = |answer: &FamilyAnswer| {
            let mut codes = answer.asked.iter().map(|one| one.rcode.as_deref());
            codes.any(|code| code == Some("NXDOMAIN"))
        };
        denied(&self.ipv4) && denied(&self.ipv6)
    }
}

fn addresses(answers: [&FamilyAnswer; 2]) -> impl Iterator<Item = IpAddr> {
    let records = answers.into_iter().flat_map(|answer| &answer.addresses);
    records.map(|record| record.address)
}

impl Resolution {
    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        addresses([&self.ipv4, &self.ipv6])
    }

    /// The name servers that said nothing, where another one answered in their place.
    pub fn silent_servers(&self) -> impl Iterator<Item = &ServerAnswer> {
        let answered = |answer: &&FamilyAnswer| answer.asked.iter().any(ServerAnswer::counts);
        let families = [&self.ipv4, &self.ipv6].into_iter().filter(answered);
        let asked = families.flat_map(|answer| &answer.asked);
        asked.filter(|server| matches!(server.trouble, Some(Trouble::TimedOut { .. })))
    }
}

/// Who answers for names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(with = "String")]
pub enum NameServer {
    /// A name server at this address.
    At(SocketAddr),
    /// A name server that is asked over HTTPS (RFC 8484) at this URL, its path left out.
    Https(String),
}

impl fmt::Display for NameServer {
    /// An address, with its port unless it is the usual one (53).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) if address.port() == 53 => write!(f, "{}", address.ip()),
            Self::At(address) => write!(f, "{address}"),
            Self::Https(url) => f.write_str(url),
        }
    }
}

impl Serialize for NameServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(address) => serializer.collect_str(address),
            Self::Https(url) => serializer.serialize_str(url),
        }
    }
}

/// What one name server said to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerAnswer {
    /// The name server.
    pub server: NameServer,
    /// The response code, such as `NOERROR`; `None` if no answer came.
    pub rcode: Option<String>,
    /// Why no answer came. A time-out where another one answered means that this one had said
    /// nothing by the time the next was asked.
    pub trouble: Option<Trouble>,
    /// Whether the answer came over TCP, because it was too long for UDP.
    pub over_tcp: bool,
    /// From the question to the answer, or to the end of the wait.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}

impl ServerAnswer {
    /// Whether the name server did its work, if only by saying that there is no such name.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.rcode.as_deref(), Some("NOERROR" | "NXDOMAIN"))
    }
}

/// What came back for one record type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FamilyAnswer {
    /// The addresses, in the order of the answer, at most 32.
    pub addresses: Vec<AddressRecord>,
    /// The CNAME chain from the asked name, at most 16 steps.
    pub aliases: Vec<Alias>,
    /// The name servers in the order in which they were asked; none for a name that this machine
    /// knows by itself. One that was asked last and had no time to answer is left out.
    pub asked: Vec<ServerAnswer>,
    /// Why there are no addresses. [`Trouble::NoAddress`] alone is no failure: most names have no
    /// AAAA records.
    pub trouble: Option<Trouble>,
    /// How long the answer took.
    #[serde(rename = "took_micros", serialize_with = "micros")]
    #[schemars(with = "u64")]
    pub took: Duration,
}

impl FamilyAnswer {
    /// No addresses, for this reason.
    pub(crate) fn without(trouble: Trouble) -> Self {
        Self {
            addresses: Vec::new(),
            aliases: Vec::new(),
            trouble: Some(trouble),
            asked: Vec::new(),
            took: Duration::ZERO,
        }
    }
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
    /// Whether the answer over UDP was cut off for want of space.
    pub truncated: bool,
    /// Whether a question over UDP was asked again over TCP, and these are the answers to that.
    pub over_tcp: bool,
    /// Whether the resolver offers recursion.
    pub recursion_available: bool,
    /// How many questions were sent until the answer came, 1 or 2.
    pub sent: u8,
    /// Where the service is that was asked for (SRV): its servers in the order in which they are to
    /// be tried, at most 8; none where an address was asked for.
    pub services: Vec<ServiceServer>,
}

/// A server of a service (SRV, RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceServer {
    /// Those with the lowest are tried first.
    pub priority: u16,
    /// How often it is chosen among those of the same priority, beside the others' weights.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// Its name.
    pub target: String,
    /// Time to live in seconds, as it came.
    pub ttl_seconds: u32,
    /// Its addresses, at most 32 of each family.
    pub addresses: Vec<AddressRecord>,
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
