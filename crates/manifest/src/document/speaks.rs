//! What a flow speaks, over what, on which ports.

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Defs, wrong_type};
use crate::diagnostic::{Complaint, Diagnostics};
use crate::port::{Ports, PortsByTransport, Transport};
use crate::protocol::Protocol;
use crate::yaml::{Node, Value};

/// The protocol and, where they are not the protocol's own, its ports.
#[derive(Debug, Clone, PartialEq)]
pub struct Speaks {
    /// What is spoken.
    pub protocol: Protocol,
    /// On which ports.
    pub ports: PortChoice,
}

/// Which ports a flow uses.
#[derive(Debug, Clone, PartialEq)]
pub enum PortChoice {
    /// Those that the protocol has by its standard.
    Standard,
    /// These, over all the protocol's own transports.
    Each(Ports),
    /// These, by transport; a transport that is not named is not used.
    ByTransport(PortsByTransport),
}

impl Speaks {
    /// The transports used, each with its ports; none where the document names no port.
    pub fn transports(&self) -> Vec<(Transport, Option<&Ports>)> {
        match &self.ports {
            PortChoice::Standard => self
                .protocol
                .transports()
                .iter()
                .map(|one| (*one, None))
                .collect(),
            PortChoice::Each(ports) => self
                .protocol
                .transports()
                .iter()
                .map(|one| (*one, Some(ports)))
                .collect(),
            PortChoice::ByTransport(by) => [(Transport::Tcp, &by.tcp), (Transport::Udp, &by.udp)]
                .into_iter()
                .filter_map(|(one, ports)| ports.as_ref().map(|ports| (one, Some(ports))))
                .collect(),
        }
    }
}

impl Speaks {
    /// What was right of it. Without a protocol its ports are taken for ports of UDP, of which no
    /// rule asks anything.
    fn kept_parts(protocol: Option<Protocol>, ports: Option<PortChoice>) -> Option<Self> {
        let none = PortsByTransport {
            tcp: None,
            udp: None,
        };
        let ports = match (protocol, ports) {
            (None, Some(PortChoice::Each(ports))) => PortChoice::ByTransport(PortsByTransport {
                udp: Some(ports),
                ..none
            }),
            (_, Some(ports)) => ports,
            (_, None) => PortChoice::ByTransport(none),
        };
        let protocol = protocol.or_else(|| Protocol::from_word("unspecified"))?;
        Some(Self { protocol, ports })
    }
}

impl Decode for Speaks {
    fn decode(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::String(_) => {
                let protocol = Protocol::decode(node, out)?;
                return Some(Self {
                    protocol,
                    ports: PortChoice::Standard,
                });
            }
            Value::Map(entries) => entries,
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::List(_) => {
                wrong_type(
                    node,
                    "a protocol, or a map such as `{ http: [80, 8080] }`",
                    out,
                );
                return None;
            }
        };
        let [(key, ports)] = entries.as_slice() else {
            let message = format!("{} protocols for one flow", entries.len());
            let complaint = Complaint::error("wrong-value", message);
            out.push(
                node.span,
                complaint.expected("one protocol; a second one is a second flow"),
            );
            return None;
        };
        let written = Node {
            span: key.span,
            value: Value::String(key.text.clone()),
        };
        let before = out.errors();
        let protocol = Protocol::named(&key.text, &written, out);
        let by_transport = matches!(&ports.value, Value::Map(entries)
            if !entries.iter().any(|(key, _)| key.text == "setting"));
        let choice = if by_transport {
            PortsByTransport::decode(ports, out).map(PortChoice::ByTransport)
        } else {
            Ports::decode(ports, out).map(PortChoice::Each)
        };
        let speaks = Self::kept_parts(protocol, choice)?;
        if speaks.transports().is_empty() && out.errors() == before {
            let complaint = Complaint::error("no-ports", "neither TCP nor UDP ports are given");
            out.push(ports.span, complaint.expected("`tcp:`, `udp:` or both"));
        }
        Some(speaks)
    }

    fn stand_in() -> Option<Self> {
        Self::kept_parts(None, None)
    }

    fn schema(defs: &mut Defs) -> Json {
        defs.define("Speaks", |defs| {
            let protocol = Protocol::schema(defs);
            json!({
                "description": "A protocol on its own ports, or a map of one protocol to its ports.",
                "anyOf": [
                    protocol.clone(),
                    {
                        "type": "object",
                        "minProperties": 1,
                        "maxProperties": 1,
                        "propertyNames": protocol,
                        "additionalProperties": {
                            "anyOf": [Ports::schema(defs), PortsByTransport::schema(defs)],
                        },
                    },
                ],
            })
        })
    }
}
