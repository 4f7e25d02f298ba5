//! What a manifest says, as lines that a table can name.

use std::collections::BTreeSet;

use outgate_manifest::document::destination::Destination;
use outgate_manifest::document::flow::{Credential, Flow, Period, Tls};
use outgate_manifest::document::speaks::PortChoice;
use outgate_manifest::{Declared, Lane, Manifest, PortSpec, Ports, Text};

/// A lane in one line: `flow: from > kind:place transport ports protocol need direction`, with its
/// rung and the name that it may stand in for.
pub(crate) fn lane(lane: &Lane) -> String {
    let ports = lane.ports.map_or("-".to_owned(), |ports| ports.to_string());
    let step = lane
        .ladder
        .as_ref()
        .map_or(String::new(), |rung| format!(" step {}", rung.step));
    let stands_for = lane
        .alternative_to
        .as_ref()
        .map_or(String::new(), |name| format!(" for {name}"));
    format!(
        "{}: {} > {}:{} {} {ports} {} {} {}{step}{stands_for}",
        lane.flow,
        lane.from,
        lane.to.kind(),
        lane.to.value(),
        lane.transport,
        lane.protocol,
        lane.need,
        lane.direction,
    )
}

/// Everything that a manifest says beside its lanes and texts. Each line must be in its table.
pub(crate) fn facts(manifest: &Manifest) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut add = |subject: &str, facts: Vec<String>| {
        all.extend(facts.into_iter().map(|fact| format!("{subject}: {fact}")));
    };
    for (id, declared) in manifest.flows().iter() {
        add(id.as_str(), flow(declared));
    }
    for (id, party) in manifest.parties().iter() {
        let setting = party.setting.iter();
        add(
            &format!("party {id}"),
            setting.map(|s| format!("setting {}", s.value)).collect(),
        );
    }
    for (id, feature) in manifest.features().iter() {
        let off = (!feature.default.0).then(|| "off unless chosen".to_owned());
        add(&format!("feature {id}"), off.into_iter().collect());
    }
    for (id, setting) in manifest.settings().iter() {
        let default = setting.default.iter();
        add(
            &format!("setting {id}"),
            default.map(|d| format!("default {}", d.value.0)).collect(),
        );
    }
    all
}

fn flow(declared: &Declared) -> Vec<String> {
    let Flow {
        to,
        feature,
        after,
        tls: of_tls,
        rate,
        switch,
        signed,
        credentials,
        ..
    } = &declared.flow;
    let mut facts: Vec<String> = Vec::new();
    facts.extend(feature.iter().map(|one| format!("feature {}", one.value)));
    facts.extend(after.iter().map(|one| format!("after {}", one.value.0)));
    facts.extend(of_tls.iter().flat_map(tls));
    facts.extend(signed.iter().map(|one| format!("signed for {one}")));
    facts.extend(credentials.iter().map(credential));
    facts.extend(port_settings(&declared.flow));
    facts.extend(rate.iter().map(|rate| {
        let period = match rate.per {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
        };
        format!("at most {} a {period}", rate.at_most.0)
    }));
    facts.extend(
        switch
            .iter()
            .map(|switch| format!("initially {}", switch.initially)),
    );
    if let Destination::Cloud(region) = to {
        facts.push(format!("region {} {}", region.cloud, region.region));
    }
    if let Some(from) = &declared.provenance {
        facts.push(format!("imported from {}", from.product));
    }
    facts
}

fn tls(tls: &Tls) -> Vec<String> {
    let min = tls.min.map(|min| format!("tls >={}", min.as_str()));
    let trust = tls.trust.map(|trust| format!("trust {trust}"));
    let inspection = tls.inspection.map(|what| format!("inspection {what}"));
    let mutual = tls.mutual.then(|| "tls mutual".to_owned());
    [min, trust, inspection, mutual]
        .into_iter()
        .flatten()
        .collect()
}

fn credential(credential: &Credential) -> String {
    let scope = credential
        .scope
        .map_or(String::new(), |scope| format!(" a {scope}"));
    let days = credential
        .days
        .map_or(String::new(), |days| format!(" for {} days", days.0));
    let revocable = if credential.revocable {
        " revocable"
    } else {
        ""
    };
    format!("credential {}{scope}{days}{revocable}", credential.kind)
}

fn port_settings(flow: &Flow) -> Vec<String> {
    let of = |ports: &Ports| -> Vec<String> {
        let settings = ports.0.iter().filter_map(|port| match port {
            PortSpec::Setting(setting) => Some(format!("port setting {}", setting.value)),
            PortSpec::Range(_) => None,
        });
        settings.collect()
    };
    match &flow.speaks.ports {
        PortChoice::Standard => Vec::new(),
        PortChoice::Each(ports) => of(ports),
        PortChoice::ByTransport(by) => by.tcp.iter().chain(&by.udp).flat_map(of).collect(),
    }
}

/// Every text of a manifest, by what it belongs to: a flow's id, `party x`, `feature x`,
/// `setting x` or `source`; and what kind of text it is.
pub(crate) fn texts(manifest: &Manifest) -> Vec<(String, &'static str, &Text)> {
    let mut all = Vec::new();
    all.extend(
        manifest
            .source()
            .note
            .iter()
            .map(|note| ("source".to_owned(), "note", note)),
    );
    for (id, party) in manifest.parties().iter() {
        all.push((format!("party {id}"), "name", &party.name));
        all.extend(
            party
                .note
                .iter()
                .map(|note| (format!("party {id}"), "note", note)),
        );
    }
    for (id, feature) in manifest.features().iter() {
        all.push((format!("feature {id}"), "name", &feature.name));
        all.extend(
            feature
                .note
                .iter()
                .map(|note| (format!("feature {id}"), "note", note)),
        );
    }
    for (id, setting) in manifest.settings().iter() {
        all.push((format!("setting {id}"), "name", &setting.name));
    }
    for (id, declared) in manifest.flows().iter() {
        let of_flow = flow_texts(&declared.flow).into_iter();
        all.extend(of_flow.map(|(kind, text)| (id.to_string(), kind, text)));
    }
    all
}

fn flow_texts(flow: &Flow) -> Vec<(&'static str, &Text)> {
    let mut all = vec![("why", &flow.why)];
    all.extend(flow.blocked.iter().map(|text| ("blocked", text)));
    all.extend(flow.note.iter().map(|text| ("note", text)));
    all.extend(
        flow.ladder
            .iter()
            .filter_map(|step| step.why.as_ref())
            .map(|text| ("why", text)),
    );
    all.extend(flow.switch.iter().map(|switch| ("how", &switch.how)));
    let notes = flow.credentials.iter().filter_map(|one| one.note.as_ref());
    all.extend(notes.map(|text| ("note", text)));
    all
}
