//! Names to probe in place of destinations that cannot be asked themselves.

use std::collections::BTreeMap;

use outgate_manifest::{Lane, Place, Target, nearest};
use outgate_probe::Host;

/// The most hosts that one destination is probed with.
const MAX_HOSTS: usize = 8;

/// Hosts by the destination that they stand for.
#[derive(Debug, Clone, Default)]
pub struct Samples(BTreeMap<String, Vec<Place>>);

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
                self.0
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

    /// What was taken, in the order of the destinations.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0
            .iter()
            .flat_map(|(destination, hosts)| hosts.iter().map(|host| (destination.as_str(), host)))
    }

    /// The hosts that stand for a lane's destination: those given, then the manifest's own.
    pub(crate) fn hosts(&self, lane: &Lane) -> Vec<Host> {
        let given = self
            .0
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
