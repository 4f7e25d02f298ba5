//! Lanes grouped for people: what differs only in its destination or its port stands in one row.

use outgate_manifest::{Direction, Id, Lane, PortRange, Protocol, Target, Transport};

/// Lanes of one flow and rung that are a full matrix: every source, to every destination, by
/// every service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row<'a> {
    /// The first of its lanes; the others differ in source, destination, transport and port only.
    pub(super) lane: &'a Lane,
    pub(super) from: Vec<&'a Id>,
    pub(super) to: Vec<Place<'a>>,
    pub(super) services: Vec<Service>,
}

/// A destination, and the name in whose place it may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) target: &'a Target,
    pub(super) instead_of: Option<&'a str>,
}

/// A transport with one of its ports or ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) transport: Transport,
    pub(super) ports: Option<PortRange>,
}

/// The rows of the lanes that go one way, in the order of the lanes.
pub(super) fn rows(lanes: &[Lane], direction: Direction) -> Vec<Row<'_>> {
    let chosen = lanes.iter().filter(|lane| lane.direction == direction);
    let family = |lane: &&Lane| -> (Id, Option<usize>, Protocol) {
        let step = lane.ladder.as_ref().map(|rung| rung.step);
        (lane.flow.clone(), step, lane.protocol)
    };
    let families = grouped(chosen.map(|lane| (family(&lane), lane)));
    families
        .into_iter()
        .flat_map(|(_, lanes)| matrices(&lanes))
        .collect()
}

/// The rows of lanes of one flow, rung and protocol.
fn matrices<'a>(lanes: &[&'a Lane]) -> Vec<Row<'a>> {
    let end = |lane: &'a Lane| {
        let to = Place {
            target: &lane.to,
            instead_of: lane.alternative_to.as_deref(),
        };
        let service = Service {
            transport: lane.transport,
            ports: lane.ports,
        };
        ((&lane.from, to), (service, lane))
    };
    let pairs = grouped(lanes.iter().map(|lane| end(lane)));
    let by_source = grouped(pairs.into_iter().filter_map(|((from, to), found)| {
        let lane = found.first()?.1;
        let services: Vec<Service> = found.into_iter().map(|(service, _)| service).collect();
        Some(((from, services), (to, lane)))
    }));
    let by_matrix = grouped(
        by_source
            .into_iter()
            .filter_map(|((from, services), found)| {
                let lane = found.first()?.1;
                let to: Vec<Place<'_>> = found.into_iter().map(|(to, _)| to).collect();
                Some(((to, services), (from, lane)))
            }),
    );
    let mut rows = Vec::new();
    for ((to, services), found) in by_matrix {
        rows.extend(found.first().map(|(_, lane)| Row {
            lane,
            from: found.iter().map(|(from, _)| *from).collect(),
            to,
            services,
        }));
    }
    rows
}

/// Values by key, keys in the order of their first value.
pub(super) fn grouped<K: PartialEq, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

/// Values without repeats, in the order of their first.
pub(super) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for value in values {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
