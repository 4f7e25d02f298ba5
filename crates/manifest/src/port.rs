//! Ports, and the ranges of them that flows use.

use std::fmt;

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, OneOrMany, keyword, record, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics, Spanned, quote};
use crate::name::Id;
use crate::yaml::{Node, Value};

keyword! {
    /// What carries a lane's packets.
    pub enum Transport {
        /// Transmission Control Protocol (RFC 9293).
        Tcp = "tcp",
        /// User Datagram Protocol (RFC 768).
        Udp = "udp",
        /// Internet Control Message Protocol (RFC 792, RFC 4443); it has no ports.
        Icmp = "icmp",
    }
}

/// The ports from one to another, both included; one port is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    low: u16,
    high: u16,
}

impl PortRange {
    /// The ports from `low` to `high`; none when that is no port, 0, or the wrong way round.
    pub const fn new(low: u16, high: u16) -> Option<Self> {
        if low == 0 || low > high {
            None
        } else {
            Some(Self { low, high })
        }
    }

    /// A single port; none when it is 0.
    pub const fn single(port: u16) -> Option<Self> {
        Self::new(port, port)
    }

    /// The first port, 1 to 65535.
    pub const fn low(self) -> u16 {
        self.low
    }

    /// The last port, 1 to 65535, never below the first.
    pub const fn high(self) -> u16 {
        self.high
    }

    /// How many ports there are.
    pub const fn count(self) -> u32 {
        self.high as u32 - self.low as u32 + 1
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            let part = part.trim();
            part.parse::<u16>()
                .ok()
                .filter(|&port| port > 0)
                .ok_or_else(|| not_a_port(part))
        };
        match text.split_once('-') {
            None => number(text).map(|port| Self {
                low: port,
                high: port,
            }),
            Some((low, high)) => {
                let (low, high) = (number(low)?, number(high)?);
                Self::new(low, high).ok_or_else(|| format!("the range {low}-{high} is backwards"))
            }
        }
    }
}

fn not_a_port(text: &str) -> String {
    format!("{} is not a port", quote(text))
}

const EXPECTED_PORT: &str = "a port from 1 to 65535, or a range such as \"10000-20000\"";

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            f.pad(&self.low.to_string())
        } else {
            f.pad(&format!("{}-{}", self.low, self.high))
        }
    }
}

impl std::str::FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Decode for PortRange {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let parsed = match &node.value {
            Value::Integer(number) => Self::parse(&number.to_string()),
            Value::String(text) => Self::parse(text),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                wrong_type(node, EXPECTED_PORT, out);
                return None;
            }
        };
        match parsed {
            Ok(range) => Some(range),
            Err(message) => {
                let complaint = Complaint::error("wrong-port", message);
                out.push(node.span, complaint.expected(EXPECTED_PORT));
                None
            }
        }
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("PortRange", |_| {
            json!({
                "description": "A port from 1 to 65535, or a range such as \"10000-20000\".",
                "anyOf": [
                    { "type": "integer", "minimum": 1, "maximum": 65535 },
                    { "type": "string", "pattern": "^\\s*[0-9]+\\s*(-\\s*[0-9]+\\s*)?$" },
                ],
            })
        })
    }
}

record! {
    /// A value that the customer may change.
    pub struct SettingRef = "`{ setting: … }`" {
        /// Identifier of the setting.
        setting: Spanned<Id> = required "setting",
    }
}

/// Ports as written: themselves, or the setting that holds the port.
#[derive(Debug, Clone, PartialEq)]
pub enum PortSpec {
    /// A port or a range.
    Range(PortRange),
    /// The port that a setting has.
    Setting(Spanned<Id>),
}

impl Decode for PortSpec {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        if matches!(node.value, Value::Map(_)) {
            return SettingRef::decode(node, out).map(|r| Self::Setting(r.setting));
        }
        PortRange::decode(node, out).map(Self::Range)
    }

    fn schema(defs: &mut Defs) -> Json {
        json!({ "anyOf": [PortRange::schema(defs), SettingRef::schema(defs)] })
    }
}

record! {
    /// Ports for each transport.
    kept struct PortsByTransport = "ports by transport" {
        /// Ports of TCP.
        tcp: Option<Ports> = optional "tcp",
        /// Ports of UDP.
        udp: Option<Ports> = optional "udp",
    }
}

/// One port or several.
#[derive(Debug, Clone, PartialEq)]
pub struct Ports(pub Vec<PortSpec>);

impl Decode for Ports {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        OneOrMany::decode(node, out).map(|many| Self(many.0))
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("Ports", OneOrMany::<PortSpec>::schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_ends_and_never_runs_backwards() {
        assert_eq!(
            "10000-20000".parse(),
            Ok(PortRange {
                low: 10000,
                high: 20000
            })
        );
        assert_eq!("443".parse::<PortRange>().unwrap().count(), 1);
        assert_eq!("1-65535".parse::<PortRange>().unwrap().count(), 65535);
        for wrong in ["0", "65536", "20-10", "a", "1-", "-5", ""] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }
}
