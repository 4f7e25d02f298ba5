//! Evidence about what DHCP hands out.

use std::{fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::http::without_secrets;

/// Who answers questions of DHCP, and with what (RFC 2131, RFC 8415).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DhcpEvidence {
    /// The interfaces that it was asked on, at most 8; none where the ask leads to one server.
    pub interfaces: Vec<String>,
    /// How many times each question was sent, 1 or 2; 0 where nothing could be sent.
    pub sent: u8,
    /// The servers that answered, at most 16.
    pub servers: Vec<DhcpServer>,
}

/// A DHCP server and what it hands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DhcpServer {
    /// The server, as it calls itself (option 54), else and over IPv6 the address that its answer came
    /// from.
    pub server: IpAddr,
    /// The interface that it answered on; `None` where the ask led to it alone.
    pub interface: Option<String>,
    /// Whether it offered an address (DHCPOFFER), which was not taken.
    pub offers: bool,
    /// Whether it told its settings alone (DHCPACK to a DHCPINFORM, REPLY to an INFORMATION-REQUEST).
    pub informs: bool,
    /// What it hands out; both answers together.
    pub settings: DhcpSettings,
}

/// In one line, for whoever reads a report.
impl fmt::Display for DhcpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hands out {}", self.server, self.settings)
    }
}

/// What a DHCP server hands out. Every text has at most 256 characters, every list 8 entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DhcpSettings {
    /// Option 3.
    pub routers: Vec<IpAddr>,
    /// Option 6; of DHCPv6, option 23.
    pub name_servers: Vec<IpAddr>,
    /// Option 15; of DHCPv6, option 24, with spaces between several.
    pub domain: Option<String>,
    /// Option 42; of DHCPv6, options 31 and 56.
    pub time_servers: Vec<IpAddr>,
    /// Option 56 of DHCPv6, where it gives names.
    pub time_server_names: Vec<String>,
    /// Option 43, the first 128 bytes of it in hexadecimal.
    pub vendor: Option<String>,
    /// Option 51: how long an address is lent, in seconds; only with an offer.
    pub lease_seconds: Option<u32>,
    /// Option 66: a name, an address or, to telephones, a URL. An ellipsis stands for what may be a
    /// secret in a URL: user name, the values of the query, the fragment.
    #[serde(serialize_with = "hidden")]
    pub tftp_server: Option<String>,
    /// Option 67, or the field for a file; a URL as in option 66.
    #[serde(serialize_with = "hidden")]
    pub boot_file: Option<String>,
    /// Option 252: where the script that chooses proxies is; a URL as in option 66.
    #[serde(serialize_with = "hidden")]
    pub proxy_script: Option<String>,
}

impl DhcpSettings {
    /// Whether two servers hand out the same. How long they lend an address is their own.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let lasting = |settings: &Self| Self {
            lease_seconds: None,
            ..settings.clone()
        };
        lasting(self) == lasting(other)
    }

    /// Puts in what another answer of the same server says on top.
    pub(crate) fn complete(&mut self, other: Self) {
        let lists = [
            (&mut self.routers, other.routers),
            (&mut self.name_servers, other.name_servers),
            (&mut self.time_servers, other.time_servers),
        ];
        for (own, other) in lists {
            if own.is_empty() {
                *own = other;
            }
        }
        if self.time_server_names.is_empty() {
            self.time_server_names = other.time_server_names;
        }
        let texts = [
            (&mut self.domain, other.domain),
            (&mut self.vendor, other.vendor),
            (&mut self.tftp_server, other.tftp_server),
            (&mut self.boot_file, other.boot_file),
            (&mut self.proxy_script, other.proxy_script),
        ];
        for (own, other) in texts {
            *own = own.take().or(other);
        }
        self.lease_seconds = self.lease_seconds.or(other.lease_seconds);
    }
}

/// In one line, for whoever reads a report.
impl fmt::Display for DhcpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("router", &self.routers),
            ("name server", &self.name_servers),
            ("time server", &self.time_servers),
        ];
        let texts = [
            ("domain", &self.domain),
            ("option 66", &self.tftp_server),
            ("option 67", &self.boot_file),
            ("option 43", &self.vendor),
            ("proxy script", &self.proxy_script),
        ];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let lists = lists.map(|(what, list)| {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            format!("{what} {}", list.join(" and "))
        });
        let names = self.time_server_names.iter();
        let names = names.map(|name| format!("time server {name}"));
        let texts = texts
            .into_iter()
            .filter_map(|(what, text)| Some(format!("{what} {}", without_secrets(text.as_ref()?))));
        let all: Vec<String> = lists.chain(names).chain(texts).collect();
        if all.is_empty() {
            return f.write_str("no settings");
        }
        f.write_str(&all.join(", "))
    }
}

/// A text that may be a URL, without what may be a secret in it.
fn hidden<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = text.as_deref().map(without_secrets);
    text.serialize(serializer)
}
