//! Taking over flows from the manifests of other products.

use crate::diagnostic::{Complaint, Diagnostic, Diagnostics, Span, Spanned};
use crate::document::Document;
use crate::document::destination::Destination;
use crate::document::flow::{Flow, FlowRef};
use crate::document::import::Import;
use crate::document::speaks::PortChoice;
use crate::manifest::{Declared, Manifest, Provenance, parse_in};
use crate::name::{Catalogue, Id};
use crate::port::{PortSpec, Ports};

/// How many manifests may import one another in a row.
const MAX_DEPTH: usize = 4;

/// Hands out the text of manifests that others import.
pub trait Library {
    /// The text of the manifest that is a built-in of this id or a file of this name, with the
    /// name to show in diagnostics. The name is never a path with folders.
    fn find(&self, reference: &str) -> Option<(String, String)>;
}

/// A library that holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl Library for Empty {
    fn find(&self, _: &str) -> Option<(String, String)> {
        None
    }
}

pub(crate) fn parse_nested(
    name: &str,
    text: &str,
    library: &dyn Library,
    stack: &mut Vec<String>,
) -> Result<Manifest, Vec<Diagnostic>> {
    stack.push(name.to_owned());
    let parsed = parse_in(name, text, library, stack);
    stack.pop();
    parsed
}

/// Adds the imported flows, and the parties that they bring along.
pub(crate) fn merge(
    document: &mut Document,
    flows: &mut Catalogue<Declared>,
    library: &dyn Library,
    stack: &mut Vec<String>,
    out: &mut Diagnostics<'_>,
) {
    let imports = document.imports.clone();
    for (id, import) in &imports.0 {
        if let Some(other) = load(import, library, stack, out) {
            let taking = Taking {
                id,
                import,
                other: &other,
            };
            taking.check(document, out);
            taking.parties(document);
            taking.flows(flows, out);
        }
    }
}

fn load(
    import: &Import,
    library: &dyn Library,
    stack: &mut Vec<String>,
    out: &mut Diagnostics<'_>,
) -> Option<Manifest> {
    let Spanned {
        value: reference,
        span,
    } = &import.manifest;
    let Some((name, text)) = library.find(reference.as_str()) else {
        let complaint = Complaint::error("unknown-manifest", format!("no manifest `{reference}`"));
        out.push(
            *span,
            complaint.expected("a built-in manifest, or a file beside this one"),
        );
        return None;
    };
    if stack.contains(&name) || stack.len() > MAX_DEPTH {
        let message =
            format!("`{reference}` imports itself, or imports run more than {MAX_DEPTH} deep");
        out.push(
            *span,
            Complaint::error("import-cycle", message).expected("a shorter chain"),
        );
        return None;
    }
    match parse_nested(&name, &text, library, stack) {
        Ok(other) => Some(other),
        Err(found) => {
            let first = found
                .first()
                .map_or_else(String::new, |first| format!("; first: {first}"));
            let message = format!(
                "`{reference}` has {} mistakes of its own{first}",
                found.len()
            );
            out.push(
                *span,
                Complaint::error("broken-import", message).expected("a sound manifest"),
            );
            None
        }
    }
}

/// One import at work.
struct Taking<'a> {
    id: &'a Spanned<Id>,
    import: &'a Import,
    other: &'a Manifest,
}

impl Taking<'_> {
    fn check(&self, document: &Document, out: &mut Diagnostics<'_>) {
        for flow in &self.import.flows {
            if self.other.flow(&flow.value).is_none() {
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
        for (theirs, ours) in &self.import.parties.0 {
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
            if document.parties.get(&ours.value).is_none() {
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

    fn taken(&self) -> impl Iterator<Item = (&Id, &Declared)> {
        let wanted = &self.import.flows;
        self.other
            .flows()
            .iter()
            .filter(move |(id, _)| wanted.is_empty() || wanted.iter().any(|one| one.value == **id))
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
    fn parties(&self, document: &mut Document) {
        let mut used: Vec<Spanned<Id>> = Vec::new();
        for (_, declared) in self.taken() {
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
                document.parties.0.push((ours, party));
            }
        }
    }

    fn flows(&self, flows: &mut Catalogue<Declared>, out: &mut Diagnostics<'_>) {
        let provenance = Provenance {
            product: self.other.product().id.clone(),
            document: self.other.source().document.clone(),
        };
        for (id, declared) in self.taken() {
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
            flows.0.push((id, Declared { flow, provenance }));
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
        let known = |after: &Spanned<FlowRef>| self.taken().any(|(id, _)| *id == after.value.0);
        flow.after.retain(known);
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
