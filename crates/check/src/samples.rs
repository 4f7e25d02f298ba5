//! What a check asks in place of what the manifest leaves open: hosts for destinations that cannot
//! be asked themselves, and paths at which a site's servers answer.

use std::collections::BTreeMap;

use outgate_manifest::{Lane, Place, Target, nearest};
use outgate_probe::Host;

/// The most hosts that one destination is probed with.
const MAX_HOSTS: usize = 8;

/// The longest path, in bytes, as in a manifest.
const MAX_PATH: usize = 1024;

/// What has a path that is asked for.
const WITH_PATH: [&str; 8] = [
    "http",
    "https",
    "long-polling",
    "mqtt-wss",
    "server-sent-events",
    "signalr",
    "ws",
    "wss",
];

/// Hosts by the destination that they stand for, and paths by flow.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    hosts: BTreeMap<String, Vec<Place>>,
    paths: BTreeMap<String, String>,
}

/// Why a host cannot stand for a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// No lane goes there.
    #[error("no lane goes to `{destination}`{hint}")]
    NoSuchDestination {
        /// What was given.
        destination: String,
        /// What was perhaps meant.
        hint: String,
    },
    /// The destination can be asked itself.
    #[error("`{0}` needs no sample: it is asked itself; --connect-to sends a probe elsewhere")]
    NotNeeded(String),
    /// The host is not one of those meant.
    #[error("`{host}` is not {expected}")]
    Elsewhere {
        /// What was given.
        host: String,
        /// What would fit.
        expected: String,
    },
    /// No lane is of that flow, or nothing that it speaks has a path.
    #[error("no lane of a flow `{flow}` has a path{hint}")]
    NoPathThere {
        /// What was given.
        flow: String,
        /// What was perhaps meant.
        hint: String,
    },
    /// It is no path.
    #[error("`{0}` is no path: it begins with a slash and is of ASCII without spaces")]
    NotAPath(String),
}

impl Samples {
    /// Takes a host for a destination of these lanes.
    ///
    /// # Errors
    /// When no lane goes there, or the host is not one that the destination means.
    pub fn give(
        &mut self,
        destination: &str,
        host: &str,
        lanes: &[Lane],
    ) -> Result<(), SampleError> {
        let elsewhere = |expected: String| {
            Err(SampleError::Elsewhere {
                host: host.to_owned(),
                expected,
            })
        };
        let Some(lane) = lanes.iter().find(|lane| lane.to.value() == destination) else {
            let known: Vec<String> = lanes.iter().map(|lane| lane.to.value()).collect();
            let hint = nearest(destination, known.iter().map(String::as_str))
                .map_or_else(String::new, |nearest| {
                    format!("; did you mean `{nearest}`?")
                });
            let destination = destination.to_owned();
            return Err(SampleError::NoSuchDestination { destination, hint });
        };
        let place = host.parse::<Place>();
        let fits = match (&lane.to, &place) {
            (Target::Wildcard(wildcard), Ok(Place::Name(name))) => wildcard.matches(name),
            (Target::Wildcard(_), _) => false,
            (Target::Network(network), Ok(Place::Address(address))) => network.contains(address),
            (Target::Network(_), _) => false,
            (Target::ServiceTag(_), Ok(Place::Name(_) | Place::Address(_))) => true,
            (Target::ServiceTag(_), _) => false,
            (Target::Multicast(_), Ok(Place::Name(_))) => true,
            (Target::Multicast(_), _) => false,
            (Target::Name(_) | Target::Address(_) | Target::Party(_) | Target::Dhcp(_), _) => {
                return Err(SampleError::NotNeeded(destination.to_owned()));
            }
        };
        match (place, fits) {
            (Ok(place), true) => {
                self.hosts
                    .entry(destination.to_owned())
                    .or_default()
                    .push(place);
                Ok(())
            }
            _ => elsewhere(match &lane.to {
                Target::Network(network) => format!("an address of {network}"),
                Target::Wildcard(wildcard) => format!("a name below {}", wildcard.domain()),
                Target::Multicast(_) => "a name, such as device.local".to_owned(),
                Target::Name(_)
                | Target::Address(_)
                | Target::Party(_)
                | Target::Dhcp(_)
                | Target::ServiceTag(_) => "a name or an address".to_owned(),
            }),
        }
    }

    /// Takes a path at which a flow of these lanes is asked, in place of the manifest's.
    ///
    /// # Errors
    /// When no such flow has a path, or it is none.
    pub fn ask_at(&mut self, flow: &str, path: &str, lanes: &[Lane]) -> Result<(), SampleError> {
        let fits = path.starts_with('/')
            && path.len() <= MAX_PATH
            && path.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(SampleError::NotAPath(path.to_owned()));
        }
        let with_path = lanes
            .iter()
            .filter(|lane| WITH_PATH.contains(&lane.protocol.as_str()));
        let flows: Vec<&str> = with_path.map(|lane| lane.flow.as_str()).collect();
        if !flows.contains(&flow) {
            let hint = nearest(flow, flows).map_or_else(String::new, |nearest| {
                format!("; did you mean `{nearest}`?")
            });
            let flow = flow.to_owned();
            return Err(SampleError::NoPathThere { flow, hint });
        }
        self.paths.insert(flow.to_owned(), path.to_owned());
        Ok(())
    }

    /// What was taken, in the order of the destinations.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.hosts
            .iter()
            .flat_map(|(destination, hosts)| hosts.iter().map(|host| (destination.as_str(), host)))
    }

    /// The paths that were taken, in the order of the flows.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &str)> {
        let paths = self.paths.iter();
        paths.map(|(flow, path)| (flow.as_str(), path.as_str()))
    }

    /// The path that a lane is asked at, if one was given.
    pub(crate) fn path(&self, lane: &Lane) -> Option<&str> {
        self.paths.get(lane.flow.as_str()).map(String::as_str)
    }

    /// The hosts that stand for a lane's destination: those given, then the manifest's own.
    pub(crate) fn hosts(&self, lane: &Lane) -> Vec<Host> {
        let given =
            self.hosts
                .get(&lane.to.value())
                .into_iter()
                .flatten()
                .map(|place| match place {
                    Place::Address(address) => Host::Address(*address),
                    Place::Name(_) | Place::Wildcard(_) | Place::Network(_) => {
                        Host::Name(place.to_string())
                    }
                });
        let own = lane.sample.iter().map(|name| Host::Name(name.to_string()));
        let mut hosts: Vec<Host> = given.chain(own).collect();
        hosts.dedup();
        hosts.truncate(MAX_HOSTS);
        hosts
    }
}
