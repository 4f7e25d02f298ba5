//! What must hold between the parts of a manifest.
//!
//! Parts that could not be read were complained of before: they are stand-ins, or lost from their
//! catalogue, and no rule here judges them again.

mod cycles;
mod lanes;

use crate::catalogue::Catalogue;
use crate::diagnostic::{Complaint, Diagnostics, Span, Spanned, listed, nearest, quote};
use crate::document::Document;
use crate::document::destination::Destination;
use crate::document::flow::{Flow, FlowRef, TrustKind};
use crate::document::product::{PartCount, Reach, SettingKind};
use crate::document::speaks::{PortChoice, Speaks};
use crate::manifest::Declared;
use crate::name::{Id, Place};
use crate::port::{PortSpec, Ports, Transport};
use crate::selection::SettingValue;
use crate::version::{Version, VersionRange};

pub(crate) use self::lanes::MAX_ALL_LANES;

/// The most entries of a list that every lane of its flow carries: `after`, `sample`,
/// `credentials`, `pins`, `status`, `signed`.
const MAX_LISTED: usize = 64;

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
    for (_, import) in document.imports.entries() {
        check.feature(import.feature.as_ref(), out);
        check.after(&import.after, out);
    }
    for (id, flow) in document.flows.entries() {
        check.flow(id, flow, out);
    }
    for (id, declared) in flows.entries() {
        if declared.provenance.is_some() {
            check.imported(id, &declared.flow, out);
        }
    }
    lanes::check(flows, out);
    cycles::check(flows, out);
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
    Complaint::error(
        code,
        format!("no {kind} {} is declared", quote(word.as_str())),
    )
    .expected_one_of(word.as_str(), known)
}

impl Check<'_> {
    fn party(&self, party: &Spanned<Id>, out: &mut Diagnostics<'_>) -> Option<Reach> {
        let parties = &self.document.parties;
        let found = parties.get(&party.value);
        let word = party.value.as_str();
        if found.is_none() && !party.value.is_unread() && !parties.has_lost(word) {
            // An import that could not be read might have brought it along, unless it is misspelt.
            let brought = self.document.imports.has_lost_any();
            if !brought || nearest(word, parties.ids()).is_some() {
                out.push_with(party.span, || {
                    unknown("party", "unknown-party", &party.value, parties.ids())
                });
            }
        }
        found.map(|party| party.at)
    }

    fn setting(&self, setting: &Spanned<Id>, kind: SettingKind, out: &mut Diagnostics<'_>) {
        let settings = &self.document.settings;
        match settings.get(&setting.value) {
            None => {
                let lost = settings.has_lost(setting.value.as_str());
                if !lost && !setting.value.is_unread() {
                    out.push_with(setting.span, || {
                        unknown("setting", "unknown-setting", &setting.value, settings.ids())
                    });
                }
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
        let features = &self.document.features;
        if let Some(feature) = feature
            && features.get(&feature.value).is_none()
            && !feature.value.is_unread()
            && !features.has_lost(feature.value.as_str())
        {
            out.push_with(feature.span, || {
                unknown("feature", "unknown-feature", &feature.value, features.ids())
            });
        }
    }

    fn after(&self, after: &[Spanned<FlowRef>], out: &mut Diagnostics<'_>) {
        for after in after {
            let id = &after.value.0;
            let word = id.as_str();
            let import = word.split_once('/').map(|(import, _)| import);
            let lost = import.map_or_else(
                || self.document.flows.has_lost(word),
                |import| self.document.imports.has_lost(import),
            );
            if self.flows.get(id).is_none() && !lost {
                out.push_with(after.span, || {
                    unknown("flow", "unknown-flow", id, self.flows.ids())
                });
            }
        }
    }

    fn parties(&self, out: &mut Diagnostics<'_>) {
        let parties = &self.document.parties;
        if parties.find(DEVICE).is_none() && !parties.has_lost(DEVICE) {
            let at = parties
                .entries()
                .first()
                .map_or(Span::default(), |(id, _)| id.span);
            let complaint = Complaint::error("missing-party", "no party is the product itself");
            out.push(at, complaint.expected(format!("a party `{DEVICE}`")));
        }
        for (_, party) in parties.entries() {
            if let Some(setting) = &party.setting {
                self.setting(setting, SettingKind::Host, out);
            }
        }
    }

    fn settings(&self, out: &mut Diagnostics<'_>) {
        for (id, setting) in self.document.settings.entries() {
            match &setting.default {
                None if setting.kind == SettingKind::Port => {
                    let complaint = Complaint::error("missing-field", "a port has no default");
                    out.push(id.span, complaint.expected("`default:` with a port"));
                }
                None => {}
                Some(default) => {
                    if let Err(expected) = SettingValue::read(setting.kind, &default.value.0) {
                        let value = quote(&default.value.0);
                        let message = format!("{value} does not fit the setting");
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
        lists(id, flow, out);
        samples(id, flow, out);
        let steps = flow
            .ladder
            .iter()
            .map(|step| (step.to.as_ref().unwrap_or(&flow.to), &step.speaks));
        for (to, speaks) in std::iter::once((&flow.to, &flow.speaks)).chain(steps) {
            if let Destination::Party(party) = to {
                self.party(party, out);
                same_party(flow, party, party.span, out);
            }
            self.speaks(id, to, speaks, out);
        }
        self.sides(id.span, flow, &from, out);
    }

    /// An imported flow, sound by itself, among our parties. Its places are in another text, so
    /// the import is to blame.
    fn imported(&self, id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
        for to in destinations(flow) {
            if let Destination::Party(party) = to {
                same_party(flow, party, id.span, out);
            }
        }
        let at = |party: &Spanned<Id>| self.document.parties.get(&party.value).map(|one| one.at);
        let from: Vec<Option<Reach>> = flow.from.0.iter().map(at).collect();
        self.sides(id.span, flow, &from, out);
    }

    /// A flow is of concern to the site: one of its ends is there.
    fn sides(&self, at: Span, flow: &Flow, from: &[Option<Reach>], out: &mut Diagnostics<'_>) {
        let party = |id: &Id| self.document.parties.get(id).map(|party| party.at);
        let outside = |reach: Option<Reach>| reach == Some(Reach::Internet);
        let ends_outside = |to: &Destination| outside(flow.reach.or_else(|| to.reach(party)));
        if from.iter().copied().any(outside) && destinations(flow).any(ends_outside) {
            let message = "both ends are on the internet";
            let complaint = Complaint::error("not-at-the-site", message);
            out.push(
                at,
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
        let parts = scheme.parts;
        let wrong = |bound: &&Version| parts != PartCount::UNREAD && bound.parts() != parts.0;
        for bound in versions.value.bounds().filter(wrong) {
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
        if tls.whoami.is_some() && !flow.speaks.protocol.is_tls() {
            let message = format!(
                "`whoami` is given, but {} does not begin with TLS",
                flow.speaks.protocol
            );
            let complaint = Complaint::error("no-whoami", message);
            out.push(
                id.span,
                complaint.expected("a protocol inside TLS, such as https, or no `whoami`"),
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
        for ports in transports.iter().filter_map(|(_, ports)| *ports) {
            self.ports(ports, out);
        }
    }

    fn ports(&self, ports: &Ports, out: &mut Diagnostics<'_>) {
        for port in &ports.0 {
            if let PortSpec::Setting(setting) = port {
                self.setting(setting, SettingKind::Port, out);
            }
        }
    }
}

/// Where a flow and the steps of its ladder go.
fn destinations(flow: &Flow) -> impl Iterator<Item = &Destination> {
    let steps = flow.ladder.iter().filter_map(|step| step.to.as_ref());
    std::iter::once(&flow.to).chain(steps)
}

fn same_party(flow: &Flow, party: &Spanned<Id>, at: Span, out: &mut Diagnostics<'_>) {
    if flow.from.0.iter().any(|from| from.value == party.value) {
        let message = format!("`{}` talks to itself", party.value);
        let complaint = Complaint::error("same-party", message);
        out.push(at, complaint.expected("another party than in `from`"));
    }
}

fn lists(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    let pins = flow.tls.as_ref().map_or(0, |tls| tls.pins.len());
    let status = flow.probe.as_ref().map_or(0, |probe| probe.status.len());
    let lengths = [
        ("after", flow.after.len()),
        ("sample", flow.sample.len()),
        ("credentials", flow.credentials.len()),
        ("signed", flow.signed.len()),
        ("pins", pins),
        ("status", status),
    ];
    for (name, length) in lengths {
        if length > MAX_LISTED {
            let message = format!("`{name}` has {length} entries");
            let complaint = Complaint::error("too-large", message);
            out.push(id.span, complaint.expected(format!("at most {MAX_LISTED}")));
        }
    }
}

fn samples(id: &Spanned<Id>, flow: &Flow, out: &mut Diagnostics<'_>) {
    if destinations(flow).any(Destination::is_unread) {
        return;
    }
    let wildcards: Vec<_> = destinations(flow)
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
            let known: Vec<String> = wildcards.iter().map(ToString::to_string).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let expected = match known.as_slice() {
                [] => "no `sample:`, for `to` has no wildcard".to_owned(),
                known => format!("a name below {}", listed(known)),
            };
            out.push(name.span, complaint.expected(expected));
        }
    }
}
