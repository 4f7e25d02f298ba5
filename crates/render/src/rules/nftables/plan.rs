//! From lanes to rules, and to an entry in the ledger for each.

use std::collections::{BTreeMap, BTreeSet};

use outgate_manifest::{Lane, Transport};

use super::ends::{self, End, Remark};
use super::limits::{self, Reach, Side};
use super::scope::Scope;
use super::sets::{Line, Operands, Sets};
use super::text::{identifier, plain, quoted};
use crate::rules::{Entry, Expression, RulesRequest, describe};

/// The longest name of a limit, in bytes.
const MAX_LIMIT: usize = 200;

/// What a file is made of.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) scope: Scope,
    pub(super) sets: Sets,
    /// Definitions of limits.
    pub(super) limits: Vec<String>,
    /// Rules that drop what comes too often. They stand before the one for known connections,
    /// which knows a row of pings as one conversation.
    pub(super) floods: Vec<String>,
    pub(super) rules: Vec<Accepted>,
    /// How dnsmasq fills the sets that are empty at first.
    pub(super) lines: Vec<Line>,
    pub(super) ledger: Vec<Entry>,
}

/// What lets one lane through, or several that look the same to a firewall.
#[derive(Debug)]
pub(super) struct Accepted {
    /// The lanes, each in one line.
    pub(super) lanes: Vec<String>,
    flows: Vec<String>,
    /// What is matched, a rule each.
    matches: Vec<String>,
}

impl Accepted {
    /// The rules, without the indentation.
    pub(super) fn rules(&self) -> impl Iterator<Item = String> {
        let flows: Vec<String> = self
            .flows
            .iter()
            .map(|flow| format!("flow:{flow}"))
            .collect();
        let mark = quoted(&flows.join(" "));
        let rule = move |what| format!("{what} counter accept comment {mark}");
        self.matches.iter().map(rule)
    }
}

/// What the rules are written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// A table of the product's own, of this name.
    Table(&'a str),
    /// A table that is there already, and of which nothing is known: sets and limits have no place.
    Excerpt,
}

/// Plans the rules of a request.
pub(super) fn plan(request: &RulesRequest<'_>, form: Form<'_>) -> Plan {
    let (scope, sets) = match form {
        Form::Table(_) => {
            let mut sets = Sets::default();
            (Scope::new(request, &mut sets), sets)
        }
        Form::Excerpt => (Scope::Everything, Sets::inline()),
    };
    let mut planner = Planner {
        request,
        form,
        plan: Plan {
            scope,
            sets,
            limits: Vec::new(),
            floods: Vec::new(),
            rules: Vec::new(),
            lines: Vec::new(),
            ledger: Vec::new(),
        },
        drafts: Vec::new(),
        limits: BTreeMap::new(),
        taken: BTreeSet::new(),
    };
    for lane in request.lanes {
        planner.lane(lane);
    }
    planner.finish()
}

struct Planner<'a> {
    request: &'a RulesRequest<'a>,
    form: Form<'a>,
    plan: Plan,
    /// What is to be said of each lane so far, and what its rules let through, if it has any.
    drafts: Vec<(Vec<Remark>, Option<Reach>)>,
    /// Names of the limits that there are, by flow.
    limits: BTreeMap<String, String>,
    /// The names that limits have already.
    taken: BTreeSet<String>,
}

impl Planner<'_> {
    fn lane(&mut self, lane: &Lane) {
        let to = ends::destination(self.request, lane, &mut self.plan.sets);
        let mut remarks = Vec::new();
        let reach = if let End::NoRule(remark) = to {
            remarks.push(remark);
            None
        } else {
            let from = ends::source(self.request, lane, &mut self.plan.sets);
            self.rules(lane, from, to, &mut remarks)
        };
        self.drafts.push((remarks, reach));
    }

    /// Writes the ledger, now that all lanes are known: some strike each other.
    fn finish(mut self) -> Plan {
        let lines = match self.form {
            Form::Table(table) => self.plan.sets.dnsmasq(table),
            Form::Excerpt => Vec::new(),
        };
        let reaches = self.drafts.iter().filter_map(|(_, reach)| reach.as_ref());
        let limited: Vec<&Reach> = reaches.filter(|reach| reach.is_limited()).collect();
        for (lane, (remarks, reach)) in self.request.lanes.iter().zip(&self.drafts) {
            let struck = reach
                .as_ref()
                .and_then(|reach| limits::struck(reach, &limited, &lines));
            let remarks = remarks.iter().map(|remark| remark.finished(&lines));
            let remarks: Vec<Remark> = remarks.chain(struck).collect();
            self.plan.ledger.push(entry(lane, remarks));
        }
        self.plan.ledger.extend(self.plan.scope.gaps());
        self.plan.lines = lines;
        self.plan
    }

    fn rules(
        &mut self,
        lane: &Lane,
        from: End,
        to: End,
        remarks: &mut Vec<Remark>,
    ) -> Option<Reach> {
        let (from, to) = (matched(from, remarks), matched(to, remarks));
        if !self.plan.scope.judges([&from.networks, &to.networks]) {
            remarks.clear();
            remarks.push(not_judged(lane));
            return None;
        }
        let ends = families(&from.operands, &to.operands);
        if ends.is_empty() {
            remarks.clear();
            remarks.push(no_family(lane, &from));
            return None;
        }
        if lane.ports.is_none() && lane.transport != Transport::Icmp {
            let reason = format!(
                "the document names no port, so all ports of {} are open",
                lane.transport
            );
            remarks.push(Remark::new(Expression::Wider, reason));
        }
        let mut matches = Vec::new();
        for (v4, addresses) in ends {
            let what = format!("{addresses}{}", service(lane, v4));
            self.flood(lane, &what, remarks);
            matches.push(what);
        }
        self.accept(lane, matches);
        Some(Reach::new(lane, from, to))
    }

    fn accept(&mut self, lane: &Lane, matches: Vec<String>) {
        let shown = plain(&format!("{}: {}", lane.flow, describe(lane)));
        let flow = lane.flow.to_string();
        let same = self
            .plan
            .rules
            .iter_mut()
            .find(|known| known.matches == matches);
        if let Some(same) = same {
            same.lanes.push(shown);
            if !same.flows.contains(&flow) {
                same.flows.push(flow);
            }
        } else {
            self.plan.rules.push(Accepted {
                lanes: vec![shown],
                flows: vec![flow],
                matches,
            });
        }
    }

    /// Drops what comes more often than the lane may; all lanes of a flow share one limit.
    fn flood(&mut self, lane: &Lane, what: &str, remarks: &mut Vec<Remark>) {
        let Some(rate) = &lane.rate else {
            return;
        };
        let flow = lane.flow.to_string();
        let (at_most, per) = (rate.at_most.0, rate.per);
        if self.form == Form::Excerpt {
            let reason = format!("what comes more often than {at_most} a {per} passes too");
            let remark = Remark::new(Expression::Wider, reason);
            let whole = "the whole file of `outgate rules`, which has a limit";
            remarks.push(remark.instead(whole));
            return;
        }
        let limit = self.limits.entry(flow.clone()).or_insert_with(|| {
            let name = identifier("rate", &flow, MAX_LIMIT, &mut self.taken);
            let rate = format!("rate over {at_most}/{per} burst {at_most} packets");
            self.plan
                .limits
                .push(format!("limit {name} {{\n\t\t{rate}\n\t}}"));
            name
        });
        let reason = format!("up to {at_most} at once, and {at_most} a {per} in the long run");
        let remark = Remark::new(Expression::Exact, reason);
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
        // A connection counts once, a ping each time.
        let new = match lane.transport {
            Transport::Tcp | Transport::Udp => "ct state new ",
            Transport::Icmp => "",
        };
        let mark = quoted(&format!("rate:{flow}"));
        let rule = format!("{new}{what} limit name \"{limit}\" counter drop comment {mark}");
        self.plan.floods.push(rule);
    }
}

fn not_judged(lane: &Lane) -> Remark {
    let party = &lane.from;
    let reason = format!("traffic of `{party}` is not judged by this file, so all of it passes");
    let workaround = format!("--judge {party} with --address {party}=ADDRESS,…, if that is wanted");
    Remark::new(Expression::Wider, reason).instead(workaround)
}

/// The addresses of both ends are known, and not of the same family.
fn no_family(lane: &Lane, from: &Side) -> Remark {
    let v4 = from.operands.as_ref().is_some_and(|ends| ends.v4.is_some());
    let (ours, theirs) = if v4 {
        ("IPv4", "IPv6")
    } else {
        ("IPv6", "IPv4")
    };
    let (from, to) = (&lane.from, lane.to.value());
    let reason = format!(
        "of `{from}` only {ours} addresses are known and of {to} only {theirs} addresses, so there \
         is no rule"
    );
    let workaround = format!("--address with an {theirs} address of `{from}` too");
    Remark::new(Expression::Inexpressible, reason).instead(workaround)
}

/// An end as rules match it; what is to be said goes to `remarks`.
fn matched(end: End, remarks: &mut Vec<Remark>) -> Side {
    match end {
        End::Any(remark) | End::NoRule(remark) => {
            remarks.push(remark);
            Side {
                operands: None,
                networks: Vec::new(),
            }
        }
        End::These {
            operands,
            networks,
            remark,
        } => {
            remarks.extend(remark);
            Side {
                operands: Some(operands),
                networks,
            }
        }
    }
}

/// The matches of the two ends for each family that both have; true for IPv4.
fn families(from: &Option<Operands>, to: &Option<Operands>) -> Vec<(bool, String)> {
    let operand = |end: &Option<Operands>, v4: bool| match end {
        None => Some(None),
        Some(operands) => {
            let known = if v4 { &operands.v4 } else { &operands.v6 };
            known.clone().map(Some)
        }
    };
    let family = |v4: bool| {
        let (from, to) = (operand(from, v4)?, operand(to, v4)?);
        let ip = if v4 { "ip" } else { "ip6" };
        let mut matches = String::new();
        for (side, operand) in [("saddr", from), ("daddr", to)] {
            if let Some(operand) = operand {
                matches.push_str(&format!("{ip} {side} {operand} "));
            }
        }
        Some((v4, matches))
    };
    [true, false].into_iter().filter_map(family).collect()
}

fn service(lane: &Lane, v4: bool) -> String {
    match (lane.transport, lane.ports) {
        (Transport::Icmp, _) if v4 => "icmp type echo-request".to_owned(),
        (Transport::Icmp, _) => "icmpv6 type echo-request".to_owned(),
        (transport, Some(ports)) => format!("{transport} dport {ports}"),
        (transport, None) => format!("meta l4proto {transport}"),
    }
}

/// The entry of a lane: the worst of what was remarked, with all the reasons.
fn entry(lane: &Lane, remarks: Vec<Remark>) -> Entry {
    let worst = remarks.iter().map(|remark| remark.expression).max();
    let join = |parts: Vec<String>, with: &str| (!parts.is_empty()).then(|| parts.join(with));
    let workarounds = remarks
        .iter()
        .filter_map(|remark| remark.workaround.clone());
    Entry {
        flow: lane.flow.to_string(),
        lane: describe(lane),
        expression: worst.unwrap_or(Expression::Exact),
        workaround: join(workarounds.collect(), "; and "),
        reason: join(
            remarks.into_iter().map(|remark| remark.reason).collect(),
            "; ",
        ),
    }
}
