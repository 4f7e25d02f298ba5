//! What a check would do, before anything is sent.

use std::time::Duration;

use outgate_manifest::document::destination::DhcpOption;
use outgate_manifest::document::expect::Expect;
use outgate_manifest::document::flow::{Inspection, Tls, TrustKind};
use outgate_manifest::document::product::TlsVersion as Floor;
use outgate_manifest::{Direction, Lane, Target, Transport};
use outgate_probe::{
    Ask, Expected, Host, HttpAsk, Probe, TlsAsk, TlsVersion, Transport as Carrier, Trust, probe_for,
};

use crate::samples::Samples;

/// All lanes of a check, each with what is to be done.
pub struct Plan {
    /// The lanes, in the order of the manifest.
    pub lanes: Vec<PlannedLane>,
}

/// A lane and what is to be done with it.
pub struct PlannedLane {
    /// The lane.
    pub lane: Lane,
    /// What is to be done.
    pub subject: Subject,
}

/// What is to be done with a lane.
pub enum Subject {
    /// Ask these, all of them.
    Probe {
        /// The probe that speaks the lane's protocol.
        probe: &'static dyn Probe,
        /// One ask a name, and one an end of a port range.
        asks: Vec<Ask>,
    },
    /// Nothing can be done; the text says why.
    NotRun(String),
}

impl Plan {
    /// Plans the probes of lanes. `samples` come on top of the hosts that the manifest gives, and in
    /// place of its paths; `hold` is how long a WebSocket is held open.
    pub fn new(lanes: Vec<Lane>, samples: &Samples, hold: Duration) -> Self {
        let question = lanes.iter().find_map(|lane| question(lane, samples));
        let planned = lanes.into_iter().map(|lane| {
            let subject = subject(&lane, samples, hold, question.as_deref());
            PlannedLane { lane, subject }
        });
        Self {
            lanes: planned.collect(),
        }
    }
}

/// A name that a resolver should know, for probing the resolver itself.
fn question(lane: &Lane, samples: &Samples) -> Option<String> {
    let own = match &lane.to {
        Target::Name(name) => Some(name.to_string()),
        Target::Wildcard(_)
        | Target::Address(_)
        | Target::Network(_)
        | Target::Party(_)
        | Target::Dhcp(_)
        | Target::Multicast(_)
        | Target::ServiceTag(_) => None,
    };
    own.or_else(|| {
        samples.hosts(lane).into_iter().find_map(|host| match host {
            Host::Name(name) => Some(name),
            Host::Address(_) | Host::SystemResolvers | Host::TimeServers | Host::Role(_) => None,
        })
    })
}

fn subject(lane: &Lane, samples: &Samples, hold: Duration, question: Option<&str>) -> Subject {
    let protocol = match asked_as(lane) {
        Ok(protocol) => protocol,
        Err(why) => return Subject::NotRun(why),
    };
    let Some(probe) = probe_for(protocol) else {
        return Subject::NotRun(format!("no probe for {protocol} yet"));
    };
    let hosts = match hosts(lane, samples) {
        Ok(hosts) => hosts,
        Err(why) => return Subject::NotRun(why),
    };
    let ports: Vec<Option<u16>> = match lane.ports {
        None if lane.transport == Transport::Icmp => vec![None],
        None => return Subject::NotRun("the document names no port".into()),
        Some(range) if range.count() == 1 => vec![Some(range.low())],
        Some(range) if protocol == "rtp" => vec![Some(range.low())],
        Some(range) => vec![Some(range.low()), Some(range.high())],
    };
    let mut asks = Vec::with_capacity(hosts.len() * ports.len());
    // A group is asked for a name; the resolvers for one that they should know.
    let named = |host: &Host| match &lane.to {
        Target::Multicast(group) => match host {
            Host::Name(name) => (Host::Address(*group), Some(name.clone())),
            Host::Address(_) | Host::SystemResolvers | Host::TimeServers | Host::Role(_) => {
                (host.clone(), None)
            }
        },
        Target::Name(_)
        | Target::Wildcard(_)
        | Target::Address(_)
        | Target::Network(_)
        | Target::Party(_)
        | Target::Dhcp(_)
        | Target::ServiceTag(_) => (host.clone(), service(lane).or(question.map(str::to_owned))),
    };
    for host in hosts {
        let (host, question) = named(&host);
        for port in &ports {
            asks.push(Ask {
                tls: tls(lane.tls.as_ref()),
                http: http(lane, samples.path(lane)),
                hold,
                outside: lane.direction == Direction::Outbound,
                question: question.clone(),
                last_port: lane.ports.map(|range| range.high()),
                ..Ask::new(protocol, host.clone(), *port, carrier(lane.transport))
            });
        }
    }
    Subject::Probe { probe, asks }
}

/// The service that a lane's name servers are asked for.
fn service(lane: &Lane) -> Option<String> {
    let service = lane.probe.as_ref()?.service.as_ref()?;
    Some(service.0.to_string())
}

/// The protocol that a lane is asked in. Where the document does not say what is spoken, or it is
/// a vendor's own, but names a TCP port, that the port opens is all there is to show.
fn asked_as(lane: &Lane) -> Result<&'static str, String> {
    let protocol = lane.protocol;
    let open = lane.transport == Transport::Tcp && lane.ports.is_some();
    if protocol.is_unspecified() {
        return match open {
            true => Ok("tcp"),
            false => Err("the document does not say what is spoken here".into()),
        };
    }
    if protocol.is_vendors_own() {
        return match open {
            true => Ok("tcp"),
            false => Err(format!(
                "what {protocol} says is not published, so over UDP nobody can be asked"
            )),
        };
    }
    Ok(protocol.as_str())
}

fn hosts(lane: &Lane, samples: &Samples) -> Result<Vec<Host>, String> {
    let value = lane.to.value();
    let sampled = samples.hosts(lane);
    if !sampled.is_empty() {
        return Ok(sampled);
    }
    let give = |what: &str| Err(format!("{what}; give one: --sample '{value}=HOST'"));
    match &lane.to {
        Target::Name(name) => Ok(vec![Host::Name(name.to_string())]),
        Target::Address(address) => Ok(vec![Host::Address(*address)]),
        Target::Dhcp(DhcpOption::DnsServers) => Ok(vec![Host::SystemResolvers]),
        Target::Dhcp(DhcpOption::NtpServers) => Ok(vec![Host::TimeServers]),
        Target::Party(party) => Ok(vec![Host::Role(party.to_string())]),
        Target::Wildcard(_) => give("a wildcard is never guessed, and no name below it is given"),
        Target::ServiceTag(_) => give("a cloud region has no name of its own"),
        Target::Network(_) => give("no host of the network is given"),
        // Everybody who offers a service answers mDNS; LLMNR only the one whose name is asked for.
        Target::Multicast(group) if lane.protocol.as_str() == "mdns" => {
            Ok(vec![Host::Address(*group)])
        }
        Target::Multicast(_) => give("a multicast group has nobody to ask but by name"),
    }
}

fn carrier(transport: Transport) -> Carrier {
    match transport {
        Transport::Tcp => Carrier::Tcp,
        Transport::Udp => Carrier::Udp,
        Transport::Icmp => Carrier::Icmp,
    }
}

fn tls(tls: Option<&Tls>) -> TlsAsk {
    let floor = match tls.and_then(|tls| tls.min) {
        Some(Floor::V1_3) => TlsVersion::Tls13,
        Some(Floor::V1_2) | None => TlsVersion::Tls12,
    };
    let trust = match tls.and_then(|tls| tls.trust) {
        Some(TrustKind::Pinned) => Trust::Pinned(
            tls.into_iter()
                .flat_map(|tls| &tls.pins)
                .map(|pin| pin.0)
                .collect(),
        ),
        Some(TrustKind::Vendor) => Trust::Vendor,
        Some(TrustKind::Public) => Trust::Public,
        None => Trust::Any,
    };
    let exempt = tls.is_some_and(|tls| tls.inspection == Some(Inspection::Exempt));
    TlsAsk {
        floor,
        trust,
        exempt,
        required: tls.is_some(),
        whoami: tls.and_then(|tls| Some(tls.whoami.as_ref()?.0.clone())),
    }
}

/// What is asked over HTTP, at `path` or where the manifest says.
fn http(lane: &Lane, path: Option<&str>) -> HttpAsk {
    let hints = lane.probe.as_ref();
    let own = || Some(hints?.path.as_ref()?.0.as_str());
    let path = path.or_else(own).unwrap_or_else(|| usual_path(lane));
    let statuses = hints.into_iter().flat_map(|hints| &hints.status);
    HttpAsk {
        path: path.to_owned(),
        statuses: statuses.map(|status| status.0..=status.0).collect(),
        events_apart: hints
            .and_then(|hints| hints.events_apart)
            .map(|apart| Duration::from_secs(apart.0.into())),
        echo: hints.is_some_and(|hints| hints.echo),
        expected: hints
            .and_then(|hints| hints.expect.as_ref())
            .map_or_else(Expected::default, expected),
    }
}

fn expected(expect: &Expect) -> Expected {
    let header = expect.header.as_ref();
    let json = expect.json.as_ref();
    Expected {
        header: header.map(|header| (header.name.0.clone(), header.contains.clone())),
        body: expect.body.clone(),
        sha256: expect.sha256.map(|sum| sum.0),
        json: json.map(|field| (field.at.0.clone(), field.is.clone())),
        redirect_host: expect.redirect.as_ref().map(ToString::to_string),
    }
}

/// What is asked for where the manifest does not say.
fn usual_path(lane: &Lane) -> &'static str {
    if lane.protocol.as_str() == "mqtt-wss" {
        // Where MQTT servers have their WebSocket: AWS IoT, and Outgate's hub.
        "/mqtt"
    } else {
        "/"
    }
}
