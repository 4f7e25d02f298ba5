//! From flows to lanes.

use std::collections::{BTreeSet, HashSet};

use crate::document::destination::Destination;
use crate::document::flow::Flow;
use crate::document::product::Reach;
use crate::document::speaks::Speaks;
use crate::lane::{Direction, Lane, Rung, Target};
use crate::manifest::{Declared, Manifest};
use crate::name::{Id, Place};
use crate::port::{PortRange, PortSpec, Ports, Transport};
use crate::selection::{Selection, SelectionError, SettingValue, Site};
use crate::text::Text;

impl Manifest {
    /// The lanes of a site, in the order of the manifest.
    ///
    /// # Errors
    /// When the selection names what the manifest does not have.
    pub fn lanes(&self, selection: &Selection) -> Result<Vec<Lane>, SelectionError> {
        let site = selection.resolve(self)?;
        let used: BTreeSet<&Id> = self
            .flows()
            .iter()
            .filter(|(_, d)| site.uses(&d.flow))
            .map(|(id, _)| id)
            .collect();
        let mut lanes: Vec<Lane> = Vec::new();
        for (id, declared) in self.flows().iter().filter(|(id, _)| used.contains(id)) {
            let expansion = Expansion {
                manifest: self,
                site: &site,
                used: &used,
                id,
                declared,
            };
            expansion.run(&mut lanes);
        }
        Ok(lanes)
    }
}

impl Site {
    fn uses(&self, flow: &Flow) -> bool {
        let version = self.version.as_ref();
        let feature = flow.feature.as_ref();
        feature.is_none_or(|feature| self.features.contains(feature.value.as_str()))
            && flow
                .versions
                .as_ref()
                .is_none_or(|range| range.value.contains(version))
    }
}

/// One flow being expanded.
struct Expansion<'a> {
    manifest: &'a Manifest,
    site: &'a Site,
    used: &'a BTreeSet<&'a Id>,
    id: &'a Id,
    declared: &'a Declared,
}

/// What two lanes of a flow must not have in common.
#[derive(PartialEq, Eq, Hash)]
struct LaneKey {
    from: Id,
    to: Target,
    transport: Transport,
    ports: Option<PortRange>,
    protocol: &'static str,
}

/// One rung of the ladder, the flow itself being the first.
struct Step<'a> {
    to: &'a Destination,
    speaks: &'a Speaks,
    why: &'a Text,
    rung: Option<Rung>,
}

impl<'a> Expansion<'a> {
    fn run(&self, lanes: &mut Vec<Lane>) {
        let mut seen = HashSet::new();
        for step in self.steps() {
            for from in &self.declared.flow.from.0 {
                if self
                    .site
                    .from
                    .as_ref()
                    .is_none_or(|wanted| wanted == from.value.as_str())
                {
                    self.expand(&step, &from.value, &mut seen, lanes);
                }
            }
        }
    }

    fn steps(&self) -> impl Iterator<Item = Step<'a>> {
        let flow = &self.declared.flow;
        let id = self.id;
        let rung = move |step| {
            (!flow.ladder.is_empty()).then(|| Rung {
                of: id.clone(),
                step,
            })
        };
        let itself = Step {
            to: &flow.to,
            speaks: &flow.speaks,
            why: &flow.why,
            rung: rung(1),
        };
        let others = flow.ladder.iter().enumerate().map(move |(at, step)| Step {
            to: step.to.as_ref().unwrap_or(&flow.to),
            speaks: &step.speaks,
            why: step.why.as_ref().unwrap_or(&flow.why),
            rung: rung(at + 2),
        });
        std::iter::once(itself).chain(others)
    }

    /// Adds the lanes of one step and source that are not among those `seen` of the flow.
    fn expand(
        &self,
        step: &Step<'a>,
        from: &Id,
        seen: &mut HashSet<LaneKey>,
        lanes: &mut Vec<Lane>,
    ) {
        let all_ports = self.ports(step.speaks);
        for (to, alternative_to) in self.targets(step.to) {
            for &(transport, ports) in &all_ports {
                let key = LaneKey {
                    from: from.clone(),
                    to: to.clone(),
                    transport,
                    ports,
                    protocol: step.speaks.protocol.as_str(),
                };
                if seen.insert(key) {
                    let lane = self.lane(step, from, to.clone(), alternative_to.clone());
                    lanes.push(Lane {
                        transport,
                        ports,
                        ..lane
                    });
                }
            }
        }
    }

    fn lane(&self, step: &Step<'a>, from: &Id, to: Target, alternative_to: Option<String>) -> Lane {
        let flow = &self.declared.flow;
        let direction = self.direction(from, step.to, &to);
        let mut sample = Vec::new();
        if let Target::Wildcard(wildcard) = &to {
            let names = flow.sample.iter().map(|name| &name.value);
            sample.extend(names.filter(|name| wildcard.matches(name)).cloned());
        }
        let after = flow.after.iter().map(|after| &after.value.0);
        Lane {
            flow: self.id.clone(),
            from: from.clone(),
            to,
            transport: Transport::Tcp,
            ports: None,
            protocol: step.speaks.protocol,
            need: flow.need,
            direction,
            tls: flow
                .tls
                .clone()
                .filter(|_| step.speaks.protocol.may_use_tls()),
            versions: flow.versions.as_ref().map(|range| range.value.clone()),
            after: after.filter(|id| self.used.contains(id)).cloned().collect(),
            ladder: step.rung.clone(),
            alternative_to,
            feature: flow.feature.as_ref().map(|feature| feature.value.clone()),
            why: step.why.clone(),
            blocked: flow.blocked.clone().unwrap_or_default(),
            note: flow.note.clone().unwrap_or_default(),
            sample,
            probe: flow.probe.clone(),
            rate: flow.rate.clone(),
            switch: flow.switch.clone(),
            credentials: flow.credentials.clone(),
            provenance: self.declared.provenance.clone(),
        }
    }

    /// The destinations, each with the name that it may stand in for.
    fn targets(&self, to: &Destination) -> Vec<(Target, Option<String>)> {
        let plain = |target| (target, None);
        match to {
            Destination::Party(party) => vec![plain(self.party(&party.value))],
            Destination::Places(places) => places
                .iter()
                .map(|place| plain(target(&place.value)))
                .collect(),
            Destination::Alternatives(all) => {
                let name = all.name.value.to_string();
                let others = all
                    .or
                    .iter()
                    .map(|or| (target(&or.value), Some(name.clone())));
                std::iter::once(plain(target(&all.name.value)))
                    .chain(others)
                    .collect()
            }
            Destination::Dhcp(option) => vec![plain(Target::Dhcp(*option))],
            Destination::Multicast(groups) => groups
                .iter()
                .map(|group| plain(Target::Multicast(group.value.0)))
                .collect(),
            Destination::Cloud(region) => vec![plain(Target::ServiceTag(region.tag.clone()))],
        }
    }

    fn party(&self, id: &Id) -> Target {
        let setting = self
            .manifest
            .parties()
            .get(id)
            .and_then(|party| party.setting.as_ref());
        match setting.and_then(|setting| self.site.settings.get(setting.value.as_str())) {
            Some(SettingValue::Name(name)) => Target::Name(name.clone()),
            Some(SettingValue::Address(address)) => Target::Address(*address),
            Some(SettingValue::Port(_)) | None => Target::Party(id.clone()),
        }
    }

    fn ports(&self, speaks: &Speaks) -> Vec<(Transport, Option<PortRange>)> {
        let standard = speaks.protocol.port().and_then(PortRange::single);
        let one = |(transport, ports): (Transport, Option<&Ports>)| match ports {
            None => vec![(transport, standard)],
            Some(ports) => {
                let ranges = ports.0.iter().map(|port| match port {
                    PortSpec::Range(range) => Some(*range),
                    PortSpec::Setting(setting) => self.port_of(setting.value.as_str()),
                });
                ranges.map(|range| (transport, range)).collect()
            }
        };
        speaks.transports().into_iter().flat_map(one).collect()
    }

    fn port_of(&self, setting: &str) -> Option<PortRange> {
        match self.site.settings.get(setting) {
            Some(SettingValue::Port(port)) => Some(*port),
            Some(SettingValue::Name(_) | SettingValue::Address(_)) | None => None,
        }
    }

    fn direction(&self, from: &Id, written: &Destination, to: &Target) -> Direction {
        let source = self
            .manifest
            .parties()
            .get(from)
            .map_or(Reach::Site, |party| party.at);
        let mut end = to.reach();
        if let Destination::Party(party) = written
            && let Some(party) = self.manifest.parties().get(&party.value)
        {
            end = party.at;
        }
        let end = self.declared.flow.reach.unwrap_or(end);
        match (source, end) {
            (Reach::Site, Reach::Site) => Direction::Lan,
            (Reach::Internet, _) => Direction::Inbound,
            (Reach::Site, Reach::Internet) => Direction::Outbound,
        }
    }
}

fn target(place: &Place) -> Target {
    match place {
        Place::Name(name) => Target::Name(name.clone()),
        Place::Wildcard(wildcard) => Target::Wildcard(wildcard.clone()),
        Place::Address(address) => Target::Address(*address),
        Place::Network(network) => Target::Network(*network),
    }
}
