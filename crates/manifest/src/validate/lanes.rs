//! How many lanes there may be.

use crate::catalogue::Catalogue;
use crate::diagnostic::{Complaint, Diagnostics};
use crate::document::destination::Destination;
use crate::document::flow::Flow;
use crate::document::speaks::Speaks;
use crate::manifest::Declared;

/// The most lanes that one flow may expand to, with all its steps and sources.
const MAX_LANES: usize = 4096;
/// The most lanes that all flows of a manifest may expand to, imported ones included.
pub(crate) const MAX_ALL_LANES: usize = 65_536;

/// Complains of each flow with too many lanes, and of the first with which all have too many.
pub(super) fn check(flows: &Catalogue<Declared>, out: &mut Diagnostics<'_>) {
    let mut all = 0usize;
    for (id, declared) in flows.entries() {
        let lanes = lanes(&declared.flow);
        if lanes > MAX_LANES {
            let complaint = Complaint::error("too-large", format!("{lanes} lanes for one flow"));
            out.push(id.span, complaint.expected(format!("at most {MAX_LANES}")));
            continue;
        }
        let before = all;
        all += lanes;
        if before <= MAX_ALL_LANES && all > MAX_ALL_LANES {
            let message = format!("with `{}` the manifest has {all} lanes", id.value);
            let complaint = Complaint::error("too-large", message);
            let expected = format!("at most {MAX_ALL_LANES} for all flows");
            out.push(id.span, complaint.expected(expected));
        }
    }
}

/// The lanes of a flow, those that two of its steps have in common counted twice.
fn lanes(flow: &Flow) -> usize {
    let steps = flow.ladder.iter();
    let steps = steps.map(|step| (step.to.as_ref().unwrap_or(&flow.to), &step.speaks));
    let of_a_source = std::iter::once((&flow.to, &flow.speaks))
        .chain(steps)
        .map(|(to, speaks)| targets(to).saturating_mul(ports(speaks)))
        .fold(0, usize::saturating_add);
    of_a_source.saturating_mul(flow.from.0.len())
}

fn ports(speaks: &Speaks) -> usize {
    let transports = speaks.transports().into_iter();
    transports
        .map(|(_, ports)| ports.map_or(1, |ports| ports.0.len()))
        .sum()
}

fn targets(to: &Destination) -> usize {
    match to {
        Destination::Places(places) => places.len(),
        Destination::Alternatives(all) => all.or.len().saturating_add(1),
        Destination::Multicast(groups) => groups.len(),
        Destination::Party(_) | Destination::Dhcp(_) | Destination::Cloud(_) => 1,
    }
}
