//! What must hold between the parts of a manifest.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::FromText;
use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned};
use crate::document::Document;
use crate::document::destination::Destination;
use crate::document::flow::{Flow, FlowRef, TrustKind};
use crate::document::product::{Reach, SettingKind};
use crate::document::speaks::{PortChoice, Speaks};
use crate::manifest::Declared;
use crate::name::{Catalogue, Id, Place};
use crate::port::{PortSpec, Ports, Transport};
use crate::selection::SettingValue;
use crate::version::VersionRange;

/// The most lanes that one flow may expand to.
const MAX_LANES: usize = 4096;

/// The party that is the product itself.
pub(crate) const DEVICE: &str = "device";

pub(crate) fn validate(
    document: &Document,
    flows: &Catalogue<Declared>,
    out: &mut Diagnostics<'_>,
) {
    let check = Check { document, flows };
    check.parties(out);
    check.settings(out);
    for (_, import) in &document.imports.0 {
        check.feature(import.feature.as_ref(), out);
        check.after(&import.after, out);
    }
    for (id, flow) in &document.flows.0 {
        check.flow(id, flow, out);
    }
    check.cycles(out);
}

struct Check<'a> {
    document: &'a Document,
    flows: &'a Catalogue<Declared>,
}

fn unknown<'a>(
    kind: &str,
    code: &'static str,
    word: &Id,
    known: impl Iterator<Item = &'a str>,
) -> Complaint {
    Complaint::error(code, format!("no {kind} `{word}` is declared"))
        .expected_one_of(word.as_str(), known)
}

impl Check<'_> {
    fn party(&self, party: &Spanned<Id>, out: &mut Diagnostics<'_>) -> Option<Reach> {
        let found = self.document.parties.get(&party.value);
        if found.is_none() {
            let known = self.document.parties.ids();
            out.push(
                party.span,
                unknown("party", "unknown-party", &party.value, known),
            );
        }
        found.map(|party| party.at)
    }

    fn setting(&self, setting: &Spanned<Id>, kind: SettingKind, out: &mut Diagnostics<'_>) {
        match self.document.settings.get(&setting.value) {
            None => {
                let known = self.document.settings.ids();
                out.push(
                    setting.span,
                    unknown("setting", "unknown-setting", &setting.value, known),
                );
            }
            Some(found) if found.kind != kind => {
                let message = format!("setting `{}` holds a {}", setting.value, found.kind);
                let complaint = Complaint::error("wrong-setting", message);
                out.push(
                    setting.span,
                    complaint.expected(format!("a setting of kind `{kind}`")),
                );
            }
            Some(_) => {}
        }
    }

    fn feature(&self, feature: Option<&Spanned<Id>>, out: &mut Diagnostics<'_>) {
        if let Some(feature) = feature
            && self.document.features.get(&feature.value).is_none()
        {
            let known = self.document.features.ids();
            out.push(
                feature.span,
                unknown("feature", "unknown-feature", &feature.value, known),
            );
        }
    }

    fn after(&self, after: &[Spanned<FlowRef>], out: &mut Diagnostics<'_>) {
        for after in after {
            if self.flows.get(&after.value.0).is_none() {
                let complaint = unknown("flow", "unknown-flow", &after.value.0, self.flows.ids());
                out.push(after.span, complaint);
            }
        }
    }

    fn parties(&self, out: &mut Diagnostics<'_>) {
        if self.document.parties.find(DEVICE).is_none() {
            let at = self
                .document
                .parties
                .0
                .first()
                .map_or(Span::default(), |(id, _)| id.span);
            let complaint = Complaint::error("missing-party", "no party is the product itself");
            out.push(at, complaint.expected(format!("a party `{DEVICE}`")));
        }
        for (_, party) in &self.document.parties.0 {
            if let Some(setting) = &party.setting {
                self.setting(setting, SettingKind::Host, out);
            }
        }
    }

    fn settings(&self, out: &mut Diagnostics<'_>) {
        for (id, setting) in &self.document.settings.0 {
            match &setting.default {
                None if setting.kind == SettingKind::Port => {
                    let complaint = Complaint::error("missing-field", "a port has no default");
                    out.push(id.span, complaint.expected("`default:` with a port"));
                }
                None => {}
                Some(default) => {
                    if let Err(expected) = SettingValue::read(setting.kind, &default.value.0) {
                        let message = format!("`{}` does not fit the setting", default.value.0);
                        let complaint = Complaint::error("wrong-value", message);
                        out.push(default.span, complaint.expected(expected));
                    }
                }
            }
        }
    }

    fn flow(&self, id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
        let from: Vec<Option<Reach>> = flow
            .from
            .0
            .iter()
            .map(|party| self.party(party, out))
            .collect();
        self.feature(flow.feature.as_ref(), out);
        self.after(&flow.after, out);
        if let Some(versions) = &flow.versions {
            self.versions(versions, out);
        }
        self.tls(id, flow, out);
        samples(id, flow, out);
        let steps = flow
            .ladder
            .iter()
            .map(|step| (step.to.as_ref().unwrap_or(&flow.to), &step.speaks));
        for (to, speaks) in std::iter::once((&flow.to, &flow.speaks)).chain(steps) {
            self.ends(id, flow, &from, to, out);
            self.speaks(id, to, speaks, out);
        }
    }

    /// Source and destination: declared, different, and of concern to the site.
    fn ends(
        &self,
        id: &Spanned<Id>,
        flow: &Flow,
        from: &[Option<Reach>],
        to: &Destination,
        out: &mut Diagnostics<'_>,
    ) {
        let end = match to {
            Destination::Party(party) => {
                if flow.from.0.iter().any(|from| from.value == party.value) {
                    let message = format!("`{}` talks to itself", party.value);
                    let complaint = Complaint::error("same-party", message);
                    out.push(
                        party.span,
                        complaint.expected("another party than in `from`"),
                    );
                }
                self.party(party, out)
            }
            Destination::Places(_) | Destination::Alternatives(_) | Destination::Cloud(_) => {
                Some(flow.reach.unwrap_or(Reach::Internet))
            }
            Destination::Dhcp(_) | Destination::Multicast(_) => Some(Reach::Site),
        };
        let outside = |reach: &Option<Reach>| *reach == Some(Reach::Internet);
        if from.iter().any(outside) && outside(&flow.reach.or(end)) {
            let message = "both ends are on the internet";
            let complaint = Complaint::error("not-at-the-site", message);
            out.push(
                id.span,
                complaint.expected("at least one end in the customer's network"),
            );
        }
    }

    fn versions(&self, versions: &Spanned<VersionRange>, out: &mut Diagnostics<'_>) {
        let Some(scheme) = &self.document.product.versions else {
            let complaint = Complaint::error("no-versions", "the product declares no versions");
            out.push(
                versions.span,
                complaint.expected("`versions: { parts: … }` under `product`"),
            );
            return;
        };
        for bound in versions
            .value
            .bounds()
            .filter(|bound| bound.parts() != scheme.parts.0)
        {
            let message = format!("`{bound}` has {} numbers", bound.parts());
            let complaint = Complaint::error("wrong-version", message);
            out.push(
                versions.span,
                complaint.expected(format!("{} numbers", scheme.parts.0)),
            );
        }
    }

    fn tls(&self, id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
        let Some(tls) = &flow.tls else { return };
        let steps = flow.ladder.iter().map(|step| &step.speaks);
        if !steps
            .chain([&flow.speaks])
            .any(|speaks| speaks.protocol.may_use_tls())
        {
            let message = format!(
                "`tls` is given, but {} does not use TLS",
                flow.speaks.protocol
            );
            let complaint = Complaint::error("no-tls", message);
            out.push(
                id.span,
                complaint.expected("a protocol over TLS, or no `tls`"),
            );
        }
        if (tls.trust == Some(TrustKind::Pinned)) == tls.pins.is_empty() {
            let complaint = Complaint::error("wrong-pins", "pins and `trust: pinned` go together");
            out.push(id.span, complaint.expected("both or neither"));
        }
    }

    fn speaks(
        &self,
        id: &Spanned<Id>,
        to: &Destination,
        speaks: &Speaks,
        out: &mut Diagnostics<'_>,
    ) {
        let transports = speaks.transports();
        let protocol = speaks.protocol;
        if transports.is_empty() {
            let complaint = Complaint::error("no-ports", "neither TCP nor UDP ports are given");
            out.push(id.span, complaint.expected("`tcp:`, `udp:` or both"));
        }
        let icmp = protocol.transports() == [Transport::Icmp];
        if icmp && speaks.ports != PortChoice::Standard {
            let complaint = Complaint::error("no-ports", "ICMP has no ports");
            out.push(id.span, complaint.expected(format!("`speaks: {protocol}`")));
        }
        let portless = speaks.ports == PortChoice::Standard && protocol.port().is_none();
        if portless && !icmp && !protocol.is_unspecified() {
            let complaint =
                Complaint::error("no-ports", format!("{protocol} has no port of its own"));
            out.push(
                id.span,
                complaint.expected(format!("`speaks: {{ {protocol}: … }}`")),
            );
        }
        let tcp = transports.iter().any(|(one, _)| *one == Transport::Tcp);
        if tcp && matches!(to, Destination::Multicast(_)) {
            let complaint =
                Complaint::error("wrong-transport", "TCP does not reach a multicast group");
            out.push(id.span, complaint.expected("a protocol over UDP"));
        }
        let mut lanes = 0usize;
        for ports in transports.iter().filter_map(|(_, ports)| *ports) {
            self.ports(ports, out);
            lanes += ports.0.len();
        }
        lanes = lanes.max(transports.len()).saturating_mul(destinations(to));
        if lanes > MAX_LANES {
            let complaint = Complaint::error("too-large", format!("{lanes} lanes for one flow"));
            out.push(id.span, complaint.expected(format!("at most {MAX_LANES}")));
        }
    }

    fn ports(&self, ports: &Ports, out: &mut Diagnostics<'_>) {
        for port in &ports.0 {
            if let PortSpec::Setting(setting) = port {
                self.setting(setting, SettingKind::Port, out);
            }
        }
    }

    /// `after` must have a beginning.
    fn cycles(&self, out: &mut Diagnostics<'_>) {
        let needs: BTreeMap<&str, Vec<&str>> = self
            .flows
            .iter()
            .map(|(id, d)| {
                (
                    id.as_str(),
                    d.flow.after.iter().map(|a| a.value.0.as_str()).collect(),
                )
            })
            .collect();
        for (id, flow) in &self.document.flows.0 {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&str> = needs.get(id.value.as_str()).cloned().unwrap_or_default();
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(needs.get(next).into_iter().flatten());
                }
            }
            if seen.contains(id.value.as_str()) {
                let at = flow.after.first().map_or(id.span, |after| after.span);
                let message = format!("`{}` can only start after itself", id.value);
                let complaint = Complaint::error("after-cycle", message);
                out.push(
                    at,
                    complaint.expected("flows that do not need this one first"),
                );
            }
        }
    }
}

fn destinations(to: &Destination) -> usize {
    match to {
        Destination::Places(places) => places.len(),
        Destination::Alternatives(all) => all.or.len() + 1,
        Destination::Multicast(groups) => groups.len(),
        Destination::Party(_) | Destination::Dhcp(_) | Destination::Cloud(_) => 1,
    }
}

fn samples(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let tos = flow
        .ladder
        .iter()
        .filter_map(|step| step.to.as_ref())
        .chain([&flow.to]);
    let wildcards: Vec<_> = tos
        .flat_map(|to| match to {
            Destination::Places(places) => places.as_slice(),
            Destination::Alternatives(all) => std::slice::from_ref(&all.name),
            Destination::Party(_)
            | Destination::Dhcp(_)
            | Destination::Multicast(_)
            | Destination::Cloud(_) => &[],
        })
        .filter_map(|place| match &place.value {
            Place::Wildcard(wildcard) => Some(wildcard),
            Place::Name(_) | Place::Address(_) | Place::Network(_) => None,
        })
        .collect();
    for name in &flow.sample {
        if !wildcards
            .iter()
            .any(|wildcard| wildcard.matches(&name.value))
        {
            let message = format!("`{}` is below no wildcard of `{}`", name.value, id.value);
            let complaint = Complaint::error("wrong-sample", message);
            out.push(
                name.span,
                complaint.expected(crate::name::DomainName::EXPECTED),
            );
        }
    }
}
