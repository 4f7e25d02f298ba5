//! What lanes reach, as a firewall sees it; and so, whose limits strike other flows too.

use ipnet::IpNet;

use outgate_manifest::{Lane, PortRange, Transport};

use super::ends::Remark;
use super::sets::{Line, Operands};
use crate::rules::Expression;

/// The most flows that one reason names.
const MAX_NAMED: usize = 3;

/// One end of a lane, as rules match it.
#[derive(Debug)]
pub(super) struct Side {
    /// None where any address will do.
    pub(super) operands: Option<Operands>,
    /// The addresses as far as they are known.
    pub(super) networks: Vec<IpNet>,
}

/// The traffic that the rules of a lane let through.
#[derive(Debug)]
pub(super) struct Reach {
    flow: String,
    from: Side,
    to: Side,
    transport: Transport,
    ports: Option<PortRange>,
    is_limited: bool,
}

impl Reach {
    pub(super) fn new(lane: &Lane, from: Side, to: Side) -> Self {
        Self {
            flow: lane.flow.to_string(),
            from,
            to,
            transport: lane.transport,
            ports: lane.ports,
            is_limited: lane.rate.is_some(),
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// Whether a packet may belong to both.
    fn meets(&self, other: &Self, lines: &[Line]) -> bool {
        let ports = match (self.ports, other.ports) {
            (Some(a), Some(b)) => a.low() <= b.high() && b.low() <= a.high(),
            (None, _) | (_, None) => true,
        };
        self.transport == other.transport
            && ports
            && self.from.meets(&other.from, lines)
            && self.to.meets(&other.to, lines)
    }
}

impl Side {
    fn meets(&self, other: &Self, lines: &[Line]) -> bool {
        let (Some(a), Some(b)) = (&self.operands, &other.operands) else {
            return true;
        };
        let shared = |line: &Line| line.fills(a) && line.fills(b);
        let meet = |a: &IpNet| {
            other
                .networks
                .iter()
                .any(|b| a.contains(b) || b.contains(a))
        };
        a == b || self.networks.iter().any(meet) || lines.iter().any(shared)
    }
}

/// What is to be said of a lane when limits of other flows strike it.
pub(super) fn struck(reach: &Reach, limited: &[&Reach], lines: &[Line]) -> Option<Remark> {
    let mut flows: Vec<&str> = Vec::new();
    for other in limited.iter().filter(|other| other.flow != reach.flow) {
        if !flows.contains(&other.flow.as_str()) && reach.meets(other, lines) {
            flows.push(&other.flow);
        }
    }
    if flows.is_empty() {
        return None;
    }
    let (named, others) = flows.split_at(flows.len().min(MAX_NAMED));
    let list = |mark: &str| {
        let named: Vec<String> = named.iter().map(|flow| format!("`{mark}{flow}`")).collect();
        let more = match others.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", named.join(", "))
    };
    let reason = format!(
        "a firewall cannot tell it from {}, so what comes more often than that flow's limit is \
         dropped here too",
        list("")
    );
    let workaround = format!(
        "delete the rules marked {}, if it needs more",
        list("rate:")
    );
    Some(Remark::new(Expression::Narrower, reason).instead(workaround))
}
