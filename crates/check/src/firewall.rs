//! The rules that mend a cause, from the renderers of `outgate rules`.

use std::collections::BTreeSet;

use outgate_manifest::{Lane, Manifest, Selection, Target as Destination};
use outgate_probe::Path;
use outgate_render::rules::addresses::Addresses;
use outgate_render::rules::{Entry, Rules, RulesRequest, Target, WHOLE_FILE};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cause::CauseKind;
use crate::report::{LaneReport, Report};

/// Whose firewall it is, and what was checked.
#[derive(Clone, Copy)]
pub struct Firewall<'a> {
    /// What the rules are for.
    pub target: &'a dyn Target,
    /// The product.
    pub manifest: &'a Manifest,
    /// What the lanes were expanded for.
    pub selection: &'a Selection,
    /// The lanes of the plan, in its order.
    pub lanes: &'a [Lane],
}

/// What lets the lanes of a cause through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CauseRules {
    /// What the rules are for: a target of `outgate rules`.
    pub target: String,
    /// The rules; empty where the target can say none of them.
    pub text: String,
    /// What the rules do not say exactly.
    pub gaps: Vec<RuleGap>,
}

/// A lane that rules do not say exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleGap {
    /// Id of the flow, or `*` for all of the rules.
    pub flow: String,
    /// The lane in one line.
    pub lane: String,
    /// `narrower`, `wider` or `inexpressible`.
    pub expression: String,
    /// Why.
    pub reason: Option<String>,
    /// What to do about it.
    pub workaround: Option<String>,
}

impl CauseKind {
    /// Whether letting packets through mends it: what was seen is what a packet filter does. What
    /// is opened and cut later, answered by somebody else or not found at all is not mended so.
    pub const fn is_mended_by_rules(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::NothingPasses
                | Self::Prohibited
                | Self::Refused
                | Self::Silent
                | Self::UdpBlocked
                | Self::RtpBlocked
        )
    }
}

impl Report {
    /// Puts beside each cause that a firewall mends the rules for the lanes that it takes down:
    /// from this machine, as `path` sets out, to the addresses that the probes went to. Lanes that
    /// went through a proxy have none, for the firewall sees the proxy's address in their place.
    pub fn advise(&mut self, firewall: &Firewall<'_>, path: &Path) {
        for cause in &mut self.causes {
            if !cause.kind.is_mended_by_rules() {
                continue;
            }
            let mut lanes = Vec::new();
            let mut addresses = Addresses::default();
            for at in &cause.lanes {
                let (Some(lane), Some(told)) = (firewall.lanes.get(*at), self.lanes.get(*at))
                else {
                    continue;
                };
                if !goes_directly(told) {
                    continue;
                }
                ends(lane, told, path, &mut addresses);
                lanes.push(lane.clone());
            }
            if lanes.is_empty() {
                continue;
            }
            let rules = firewall.target.excerpt(&RulesRequest {
                manifest: firewall.manifest,
                selection: firewall.selection,
                lanes: &lanes,
                addresses: &addresses,
                judged: &BTreeSet::new(),
                language: self.heading.language.tag(),
            });
            cause.rules = Some(CauseRules::new(firewall.target, rules));
        }
    }
}

/// Whether packets went to the far end itself.
fn goes_directly(told: &LaneReport) -> bool {
    let mut attempts = told.probes.iter().flat_map(|probe| &probe.finding.attempts);
    attempts.all(|attempt| attempt.proxy.is_none())
}

/// The addresses of both ends. Those of a wildcard, a network or a tag are more than the one that
/// was probed, and stay open.
fn ends(lane: &Lane, told: &LaneReport, path: &Path, addresses: &mut Addresses) {
    let known = match &lane.to {
        Destination::Name(_) | Destination::Party(_) | Destination::Dhcp(_) => true,
        Destination::Wildcard(_)
        | Destination::Address(_)
        | Destination::Network(_)
        | Destination::Multicast(_)
        | Destination::ServiceTag(_) => false,
    };
    let attempts = told.probes.iter().flat_map(|probe| &probe.finding.attempts);
    for attempt in attempts {
        let own = path.local_address(attempt.address);
        // There are never so many addresses that there is no room.
        let _ = addresses.add(lane.from.as_str(), own.map(Into::into));
        if known {
            let _ = addresses.add(&lane.to.value(), [attempt.address.into()]);
        }
    }
}

impl CauseRules {
    fn new(target: &dyn Target, rules: Rules) -> Self {
        Self {
            target: target.id().to_owned(),
            gaps: rules.gaps().map(RuleGap::from).collect(),
            text: rules.text,
        }
    }

    /// The rules and, as comments, what they do not say exactly; line by line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let remarks = self.remarks().map(|remark| format!("# {remark}"));
        self.text.lines().map(str::to_owned).chain(remarks)
    }

    /// What the rules do not say exactly, a line a lane.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.gaps.iter().map(|gap| {
            let mut line = format!("{}: ", gap.expression);
            if gap.flow != WHOLE_FILE {
                line.push_str(&format!("{}: ", gap.flow));
            }
            line.push_str(&gap.lane);
            for more in [&gap.reason, &gap.workaround].into_iter().flatten() {
                line.push_str(&format!("; {more}"));
            }
            line
        })
    }
}

impl From<&Entry> for RuleGap {
    fn from(entry: &Entry) -> Self {
        Self {
            flow: entry.flow.clone(),
            lane: entry.lane.clone(),
            expression: entry.expression.as_str().to_owned(),
            reason: entry.reason.clone(),
            workaround: entry.workaround.clone(),
        }
    }
}
