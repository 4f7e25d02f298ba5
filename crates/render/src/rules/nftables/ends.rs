//! The two ends of a lane: what a rule can match them with, and what has to be said about it.

use std::net::IpAddr;

use ipnet::IpNet;

use outgate_manifest::document::product::Reach;
use outgate_manifest::{Lane, Target};

use super::sets::{Elements, Line, Operands, Sets};
use crate::rules::{Expression, RulesRequest};

/// The kind of sets for all names below a domain.
const BELOW: &str = "below";

/// How well something can be said, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) expression: Expression,
    pub(super) reason: String,
    pub(super) workaround: Option<String>,
    /// The set that dnsmasq may fill; its line goes behind the workaround.
    pub(super) filled: Option<Operands>,
}

impl Remark {
    pub(super) fn new(expression: Expression, reason: impl Into<String>) -> Self {
        Self {
            expression,
            reason: reason.into(),
            workaround: None,
            filled: None,
        }
    }

    pub(super) fn instead(self, workaround: impl Into<String>) -> Self {
        Self {
            workaround: Some(workaround.into()),
            ..self
        }
    }

    /// With what dnsmasq is told about the set, now that all sets are known.
    pub(super) fn finished(&self, lines: &[Line]) -> Self {
        let mut finished = self.clone();
        let (Some(set), Some(workaround)) = (&self.filled, &mut finished.workaround) else {
            return finished;
        };
        let filling: Vec<&Line> = lines.iter().filter(|line| line.fills(set)).collect();
        if filling.len() > 1 {
            let all = filling.len();
            workaround.push_str(&format!(" ({all} lines at the head of the file name it)"));
        }
        // The set's own line has the shortest domain: the others are for names below it.
        if let Some(own) = filling.iter().min_by_key(|line| line.domain.len()) {
            workaround.push_str(&format!(": {}", own.text()));
        }
        for line in lines.iter().filter(|line| line.should_fill(set)) {
            let domain = &line.domain;
            finished.reason.push_str(&format!(
                "; dnsmasq's line for {domain} has no room for it, so it lacks the names there"
            ));
        }
        finished
    }

    fn filling(self, set: &Operands) -> Self {
        Self {
            filled: Some(set.clone()),
            ..self
        }
    }
}

/// What rules match one end with.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing to match: any address will do.
    Any(Remark),
    /// These addresses.
    These {
        operands: Operands,
        /// The addresses as far as they are known.
        networks: Vec<IpNet>,
        remark: Option<Remark>,
    },
    /// No rule can be written or is needed.
    NoRule(Remark),
}

impl End {
    fn exactly(operands: Operands, networks: Vec<IpNet>) -> Self {
        Self::These {
            operands,
            networks,
            remark: None,
        }
    }
}

/// The end that starts the conversation.
pub(super) fn source(request: &RulesRequest<'_>, lane: &Lane, sets: &mut Sets) -> End {
    let party = lane.from.as_str();
    match party_networks(request, party) {
        Some(networks) => party_end(party, networks, sets),
        None => {
            let reason = format!("the address of `{party}` is not known, so any source may use it");
            let remark = Remark::new(Expression::Wider, reason);
            End::Any(remark.instead(format!("--address {party}=ADDRESS,…")))
        }
    }
}

/// The end that the conversation goes to.
pub(super) fn destination(request: &RulesRequest<'_>, lane: &Lane, sets: &mut Sets) -> End {
    match &lane.to {
        Target::Address(address) => address_end(*address),
        Target::Network(network) => End::exactly(Operands::literal(*network), vec![*network]),
        Target::Multicast(group) => multicast(*group),
        Target::Name(name) => {
            let domain = name.as_str();
            named(request, lane, ("name", domain, domain), sets)
        }
        Target::Wildcard(wildcard) => {
            let label = wildcard.to_string();
            let domain = wildcard.domain().as_str();
            named(request, lane, (BELOW, &label, domain), sets)
        }
        Target::Party(party) => match party_networks(request, party.as_str()) {
            Some(networks) => party_end(party.as_str(), networks, sets),
            None => unknown_party(request, lane, party.as_str()),
        },
        Target::Dhcp(option) => {
            let what = format!("what DHCP hands out as {option} differs from site to site");
            given_or_not(request, "dhcp", option.as_str(), what, sets)
        }
        Target::ServiceTag(tag) => {
            let what = format!("nftables knows no service tags, and the networks of {tag} change");
            given_or_not(request, "tag", tag, what, sets)
        }
    }
}

/// The networks of a party, when they are known.
pub(super) fn party_networks(request: &RulesRequest<'_>, party: &str) -> Option<Vec<IpNet>> {
    request
        .addresses
        .of_party(party, request.manifest, request.selection)
}

/// The operands of a party whose networks are known.
pub(super) fn party_end(party: &str, networks: Vec<IpNet>, sets: &mut Sets) -> End {
    let operands = sets.operands("party", party, &Elements::Given(networks.clone()));
    End::exactly(operands, networks)
}

fn address_end(address: IpAddr) -> End {
    let stays = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
    };
    if stays {
        let reason = format!("{address} is never routed, so it does not pass a firewall");
        return End::NoRule(Remark::new(Expression::NotNeeded, reason));
    }
    let network = IpNet::from(address);
    End::exactly(Operands::literal(network), vec![network])
}

/// Multicast of one link is never forwarded (RFC 5771, section 4: 224.0.0.0/24; RFC 4291,
/// section 2.7: scopes 1 and 2).
fn multicast(group: IpAddr) -> End {
    let stays = match group {
        IpAddr::V4(v4) => v4.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(v6) => v6.segments()[0] & 0xf <= 2,
    };
    if stays {
        let reason = format!("{group} is multicast of one link, which routers do not forward");
        let remark = Remark::new(Expression::NotNeeded, reason);
        return End::NoRule(
            remark.instead("allow it in the switches and access points of the site"),
        );
    }
    let network = IpNet::from(group);
    End::These {
        operands: Operands::literal(network),
        networks: vec![network],
        remark: Some(Remark::new(
            Expression::Exact,
            "it passes only where multicast routing is set up",
        )),
    }
}

/// A name or wildcard: (kind of set, label, domain).
fn named(
    request: &RulesRequest<'_>,
    lane: &Lane,
    (kind, label, domain): (&str, &str, &str),
    sets: &mut Sets,
) -> End {
    if let Some(networks) = request.addresses.of(label) {
        let operands = sets.operands(kind, label, &Elements::Given(networks.to_vec()));
        let reason = format!("right for as long as {label} has the addresses that were given");
        return End::These {
            operands,
            networks: networks.to_vec(),
            remark: Some(Remark::new(Expression::Exact, reason)),
        };
    }
    let alternatives = alternatives(request, lane);
    if alternatives > 0 {
        let reason =
            format!("opened by the {alternatives} destinations that may stand in for {label}");
        return End::NoRule(Remark::new(Expression::Exact, reason));
    }
    if !sets.can_be_filled() {
        let reason = format!("the addresses of {label} are not known");
        let remark = Remark::new(Expression::Inexpressible, reason);
        let whole = "the whole file of `outgate rules`, whose sets dnsmasq fills";
        return End::NoRule(remark.instead(whole));
    }
    let below = kind == BELOW;
    let elements = Elements::Filled {
        domain: domain.to_owned(),
        below,
    };
    let operands = sets.operands(kind, label, &elements);
    let remark = if below {
        let reason = format!(
            "nftables has no wildcard names; the rule's set is empty until it is filled, and \
             dnsmasq puts the addresses of {domain} itself into it too"
        );
        Remark::new(Expression::Inexpressible, reason).instead("let dnsmasq fill the set")
    } else {
        let reason = format!(
            "nftables matches addresses, not names; nothing passes until the set of {label} is \
             filled, and dnsmasq puts the addresses of names below {label} into it too"
        );
        Remark::new(Expression::Narrower, reason).instead(format!(
            "--resolve, or --address {label}=ADDRESS,…, or let dnsmasq fill the set"
        ))
    };
    End::These {
        remark: Some(remark.filling(&operands)),
        operands,
        networks: Vec::new(),
    }
}

/// How many lanes to addresses stand in for this one.
fn alternatives(request: &RulesRequest<'_>, lane: &Lane) -> usize {
    let name = lane.to.value();
    let stands_in = |other: &&Lane| {
        other.alternative_to.as_deref() == Some(name.as_str())
            && matches!(other.to, Target::Address(_) | Target::Network(_))
            && (&other.flow, &other.from, other.transport, other.ports)
                == (&lane.flow, &lane.from, lane.transport, lane.ports)
    };
    request.lanes.iter().filter(stands_in).count()
}

fn unknown_party(request: &RulesRequest<'_>, lane: &Lane, party: &str) -> End {
    if lane.protocol.as_str() == "dhcp" {
        let reason = "DHCP is broadcast within the device's own network, which no router forwards";
        let workaround = format!("--address {party}=ADDRESS, if the server stands elsewhere");
        return End::NoRule(Remark::new(Expression::NotNeeded, reason).instead(workaround));
    }
    let reason = format!("the address of `{party}` differs from site to site and is not known");
    let declared = request.manifest.parties().find(party);
    let anywhere = match declared.map(|party| party.at) {
        Some(Reach::Internet) => "; 0.0.0.0/0,::/0 means anywhere",
        Some(Reach::Site) | None => "",
    };
    let remark = Remark::new(Expression::Inexpressible, reason);
    End::NoRule(remark.instead(format!("--address {party}=ADDRESS,…{anywhere}")))
}

fn given_or_not(
    request: &RulesRequest<'_>,
    kind: &str,
    label: &str,
    what: String,
    sets: &mut Sets,
) -> End {
    match request.addresses.of(label) {
        Some(networks) => {
            let operands = sets.operands(kind, label, &Elements::Given(networks.to_vec()));
            End::exactly(operands, networks.to_vec())
        }
        None => {
            let remark = Remark::new(Expression::Inexpressible, what);
            End::NoRule(remark.instead(format!("--address {label}=ADDRESS,NETWORK,…")))
        }
    }
}
