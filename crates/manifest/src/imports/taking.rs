//! What one import brings.

use std::collections::HashSet;

use crate::catalogue::Catalogue;
use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned};
use crate::document::Document;
use crate::document::destination::Destination;
use crate::document::flow::{Flow, FlowRef};
use crate::document::import::Import;
use crate::document::speaks::PortChoice;
use crate::manifest::{Declared, Manifest, Provenance};
use crate::name::Id;
use crate::port::{PortSpec, Ports};

/// The most flows that a manifest may have with those that it imports. Each is a lane at least.
const MAX_FLOWS: usize = crate::validate::MAX_ALL_LANES;

/// One import at work.
pub(super) struct Taking<'a> {
    id: &'a Spanned<Id>,
    import: &'a Import,
    other: &'a Manifest,
    /// The flows that are taken over.
    taken: Vec<(&'a Id, &'a Declared)>,
    ids: HashSet<&'a Id>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(id: &'a Spanned<Id>, import: &'a Import, other: &'a Manifest) -> Self {
        let wanted: HashSet<&Id> = import.flows.iter().map(|one| &one.value).collect();
        let is_taken = |id: &Id, flow: &Flow| match wanted.is_empty() {
            true => is_usual(flow, other),
            false => wanted.contains(id),
        };
        let flows = other.flows().iter();
        let taken: Vec<_> = flows.filter(|(id, one)| is_taken(id, &one.flow)).collect();
        Self {
            id,
            import,
            other,
            ids: taken.iter().map(|(id, _)| *id).collect(),
            taken,
        }
    }

    /// Says what the import names and the other manifest, or ours, does not have.
    pub(super) fn check(&self, document: &Document, out: &mut Diagnostics<'_>) {
        for flow in &self.import.flows {
            if !flow.value.is_unread() && self.other.flow(&flow.value).is_none() {
                let message = format!(
                    "`{}` has no flow `{}`",
                    self.import.manifest.value, flow.value
                );
                let complaint = Complaint::error("unknown-flow", message);
                let known = self.other.flows().ids();
                out.push(
                    flow.span,
                    complaint.expected_one_of(flow.value.as_str(), known),
                );
            }
        }
        for (theirs, ours) in self.import.parties.entries() {
            if self.other.parties().get(&theirs.value).is_none() {
                let message = format!(
                    "`{}` has no party `{}`",
                    self.import.manifest.value, theirs.value
                );
                let complaint = Complaint::error("unknown-party", message);
                let known = self.other.parties().ids();
                out.push(
                    theirs.span,
                    complaint.expected_one_of(theirs.value.as_str(), known),
                );
            }
            let known = document.parties.get(&ours.value).is_some()
                || document.parties.has_lost(ours.value.as_str());
            if !ours.value.is_unread() && !known {
                let message = format!("no party `{}`", ours.value);
                let complaint = Complaint::error("unknown-party", message);
                let known = document.parties.ids();
                out.push(
                    ours.span,
                    complaint.expected_one_of(ours.value.as_str(), known),
                );
            }
        }
    }

    fn our_party(&self, theirs: &Spanned<Id>) -> Spanned<Id> {
        let ours = self
            .import
            .parties
            .get(&theirs.value)
            .map(|ours| ours.value.clone());
        Spanned {
            value: ours.unwrap_or_else(|| theirs.value.clone()),
            span: self.id.span,
        }
    }

    /// Parties that the taken flows speak of and that we do not have are taken along.
    pub(super) fn parties(&self, document: &mut Document) {
        let mut used: Vec<Spanned<Id>> = Vec::new();
        for (_, declared) in &self.taken {
            used.extend(declared.flow.from.0.iter().cloned());
            let steps = declared
                .flow
                .ladder
                .iter()
                .filter_map(|step| step.to.as_ref());
            for to in steps.chain([&declared.flow.to]) {
                if let Destination::Party(party) = to {
                    used.push(party.clone());
                }
            }
        }
        for theirs in used {
            let ours = self.our_party(&theirs);
            if document.parties.get(&ours.value).is_none()
                && let Some(party) = self.other.parties().get(&theirs.value)
            {
                let party = crate::document::product::Party {
                    setting: None,
                    ..party.clone()
                };
                document.parties.push(ours, party);
            }
        }
    }

    pub(super) fn flows(&self, flows: &mut Catalogue<Declared>, out: &mut Diagnostics<'_>) {
        let provenance = Provenance {
            product: self.other.product().id.clone(),
            document: self.other.source().document.clone(),
        };
        for (id, declared) in &self.taken {
            if flows.len() >= MAX_FLOWS {
                let message = format!("more than {MAX_FLOWS} flows with the imported ones");
                let complaint = Complaint::error("too-large", message);
                out.push(self.id.span, complaint.expected("fewer"));
                return;
            }
            if uses_settings(&declared.flow) {
                let message = format!("flow `{id}` of the imported manifest has a setting");
                let complaint = Complaint::error("unsupported-import", message);
                out.push(
                    self.id.span,
                    complaint.expected("flows with ports of their own"),
                );
                continue;
            }
            let provenance = declared
                .provenance
                .clone()
                .or_else(|| Some(provenance.clone()));
            let flow = self.adapted(&declared.flow);
            let id = Spanned {
                value: id.under(&self.id.value),
                span: self.id.span,
            };
            flows.push(id, Declared { flow, provenance });
        }
    }

    fn adapted(&self, flow: &Flow) -> Flow {
        let span: Span = self.id.span;
        let mut flow = flow.clone();
        flow.from.0 = flow
            .from
            .0
            .iter()
            .map(|party| self.our_party(party))
            .collect();
        let ours = |to: &mut Destination| {
            if let Destination::Party(party) = to {
                *party = self.our_party(party);
            }
        };
        ours(&mut flow.to);
        flow.ladder
            .iter_mut()
            .filter_map(|step| step.to.as_mut())
            .for_each(ours);
        flow.after.retain(|after| self.ids.contains(&after.value.0));
        for after in &mut flow.after {
            *after = Spanned {
                value: FlowRef(after.value.0.under(&self.id.value)),
                span,
            };
        }
        flow.after.extend(self.import.after.iter().cloned());
        flow.feature = self.import.feature.clone();
        flow.need = self.import.need.unwrap_or(flow.need);
        // Ranges of the other product's versions mean nothing for ours.
        flow.versions = None;
        flow
    }
}

/// Whether a flow is needed where the other product is as its newest version comes.
fn is_usual(flow: &Flow, of: &Manifest) -> bool {
    let feature = flow.feature.as_ref();
    let used = feature.and_then(|feature| of.features().get(&feature.value));
    let versions = flow.versions.as_ref();
    used.is_none_or(|feature| feature.default.0)
        && versions.is_none_or(|range| range.value.contains(None))
}

fn uses_settings(flow: &Flow) -> bool {
    let has = |ports: &Ports| {
        ports
            .0
            .iter()
            .any(|one| matches!(one, PortSpec::Setting(_)))
    };
    let steps = flow.ladder.iter().map(|step| &step.speaks);
    steps
        .chain([&flow.speaks])
        .any(|speaks| match &speaks.ports {
            PortChoice::Standard => false,
            PortChoice::Each(ports) => has(ports),
            PortChoice::ByTransport(by) => {
                by.tcp.as_ref().is_some_and(has) || by.udp.as_ref().is_some_and(has)
            }
        })
}
