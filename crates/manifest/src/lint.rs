//! What is not wrong with a manifest but could be better. The rules on names follow RFC 9726
//! (operational considerations for use of DNS in IoT devices).

use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned};
use crate::document::destination::Destination;
use crate::document::flow::Flow;
use crate::document::product::Need;
use crate::manifest::Manifest;
use crate::name::{Id, Place};
use crate::port::{PortSpec, Transport};
use crate::text::Text;

/// The most ports that one range can have before an administrator asks why.
const WIDE: u32 = 1024;

pub(crate) fn lint(manifest: &Manifest, out: &mut Diagnostics<'_>) {
    let lint = Lint { manifest };
    for (id, flow) in manifest.own_flows() {
        lint.texts(id.span, &flow.why, out);
        destination(id, flow, out);
        wide_range(id, flow, out);
        clear_text(id, flow, out);
        service(id, flow, out);
        if flow.need != Need::Required && flow.blocked.is_none() {
            let message = format!(
                "`{}` is {}, but what is lost without it is not said",
                id.value, flow.need
            );
            let complaint = Complaint::warning("no-consequence", message);
            out.push(id.span, complaint.expected("`blocked:` with a text"));
        }
    }
    lint.unused(out);
}

struct Lint<'a> {
    manifest: &'a Manifest,
}

impl Lint<'_> {
    fn texts(&self, span: Span, text: &Text, out: &mut Diagnostics<'_>) {
        for language in ["en", self.manifest.source().language.as_str()] {
            if text.get(language).is_none() {
                let message = format!("there is no text in `{language}`");
                let complaint = Complaint::warning("missing-language", message);
                out.push(
                    span,
                    complaint.expected("English and the document's language"),
                );
            }
        }
    }

    fn unused(&self, out: &mut Diagnostics<'_>) {
        let flows = || {
            self.manifest
                .flows()
                .iter()
                .map(|(_, declared)| &declared.flow)
        };
        for (id, _) in self.manifest.features().entries() {
            let uses = |flow: &Flow| flow.feature.as_ref().is_some_and(|f| f.value == id.value);
            if !flows().any(uses) {
                unused(id, "feature", out);
            }
        }
        for (id, _) in self.manifest.parties().entries() {
            let uses = |flow: &Flow| {
                flow.from.0.iter().any(|from| from.value == id.value)
                    || matches!(&flow.to, Destination::Party(to) if to.value == id.value)
            };
            if !flows().any(uses) {
                unused(id, "party", out);
            }
        }
    }
}

fn unused(id: &Spanned<Id>, kind: &str, out: &mut Diagnostics<'_>) {
    let complaint = Complaint::warning("unused", format!("no flow uses {kind} `{}`", id.value));
    out.push(
        id.span,
        complaint.expected(format!("a flow that does, or no such {kind}")),
    );
}

fn destination(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let Destination::Places(places) = &flow.to else {
        return;
    };
    for place in places {
        match &place.value {
            Place::Wildcard(wildcard) => {
                if !flow.sample.iter().any(|name| wildcard.matches(&name.value)) {
                    let message =
                        format!("`{wildcard}` cannot be probed: no name below it is given");
                    let complaint = Complaint::warning("no-sample", message);
                    out.push(
                        place.span,
                        complaint.expected("`sample:` with a name that answers"),
                    );
                }
            }
            Place::Address(_) => {
                let message = format!("`{}` goes to an address instead of a name", id.value);
                let complaint = Complaint::warning("address-literal", message);
                out.push(
                    place.span,
                    complaint.expected("a name that the vendor controls"),
                );
            }
            Place::Name(_) | Place::Network(_) => {}
        }
    }
}

fn service(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let asks = flow.probe.as_ref().and_then(|probe| probe.service.as_ref());
    let speaks = std::iter::once(&flow.speaks).chain(flow.ladder.iter().map(|step| &step.speaks));
    let mut protocols = speaks.map(|speaks| speaks.protocol.as_str());
    if let Some(service) = asks
        && !protocols.any(|protocol| protocol == "dns")
    {
        let message = format!(
            "nobody is asked for `{}`: `{}` does not speak DNS",
            service.0, id.value
        );
        let complaint = Complaint::warning("service-not-asked", message);
        out.push(
            id.span,
            complaint.expected("`service` in a flow that speaks `dns`"),
        );
    }
}

fn wide_range(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let ports = flow
        .speaks
        .transports()
        .into_iter()
        .filter_map(|(_, ports)| ports);
    for port in ports.flat_map(|ports| &ports.0) {
        if let PortSpec::Range(range) = port
            && range.count() > WIDE
        {
            let message = format!("`{}` opens {} ports", id.value, range.count());
            let complaint = Complaint::warning("wide-range", message);
            out.push(
                id.span,
                complaint.expected(format!("at most {WIDE}, or a note why")),
            );
        }
    }
}

fn clear_text(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let tcp = flow
        .speaks
        .transports()
        .iter()
        .any(|(one, _)| *one == Transport::Tcp);
    let outside = matches!(&flow.to, Destination::Places(places)
        if places.iter().any(|place| matches!(place.value, Place::Name(_) | Place::Wildcard(_))));
    if tcp && outside && !flow.speaks.protocol.may_use_tls() && flow.signed.is_empty() {
        let message = format!("`{}` crosses the internet without TLS", id.value);
        let complaint = Complaint::warning("clear-text", message);
        out.push(
            id.span,
            complaint.expected("a protocol over TLS, or signed messages"),
        );
    }
}
