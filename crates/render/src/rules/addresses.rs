//! Addresses that are given for what rules cannot name: domain names, parties, DHCP options and
//! service tags.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use outgate_manifest::{Lane, Manifest, Selection, Target, nearest};

/// The most networks that may be given for one word. The longest lists of clouds have some
/// thousands.
pub const MAX_NETWORKS: usize = 20_000;

/// Addresses by word: a domain name, a wildcard, the id of a party, a DHCP option or a service
/// tag. Upper and lower case are the same. A party and a DHCP option of one name share addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(BTreeMap<String, Vec<IpNet>>);

/// Why an `--address` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no equals sign, or nothing on one side of it.
    #[error("`{0}` gives no addresses: expected NAME=ADDRESS,ADDRESS")]
    Shape(String),
    /// Something that is neither an address nor a network.
    #[error("`{0}` is neither an address nor a network such as 192.0.2.0/24")]
    Address(String),
    /// More networks than [`MAX_NETWORKS`].
    #[error("more than {MAX_NETWORKS} networks for `{0}`")]
    TooMany(String),
}

/// A word that addresses were given for, and that no lane uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// The word.
    pub word: String,
    /// What was perhaps meant.
    pub nearest: Option<String>,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no lane uses the address of `{}`", self.word)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl Addresses {
    /// Adds what `WORD=ADDRESS,NETWORK,…` says.
    ///
    /// # Errors
    /// When the text has another shape, or more than [`MAX_NETWORKS`] come together.
    pub fn read(&mut self, text: &str) -> Result<(), AddressError> {
        let shape = || AddressError::Shape(text.to_owned());
        let (word, list) = text.split_once('=').ok_or_else(shape)?;
        let (word, list) = (word.trim(), list.trim());
        if word.is_empty() || list.is_empty() {
            return Err(shape());
        }
        self.give(word, list)
    }

    /// Adds addresses and networks, divided by commas, for a word.
    ///
    /// # Errors
    /// When something in the list is no address, or more than [`MAX_NETWORKS`] come together.
    pub fn give(&mut self, word: &str, list: &str) -> Result<(), AddressError> {
        let networks: Result<Vec<IpNet>, AddressError> =
            list.split(',').map(|one| network(one.trim())).collect();
        self.add(word, networks?)
    }

    /// Whether there are addresses for a word.
    pub fn knows(&self, word: &str) -> bool {
        self.of(word).is_some()
    }

    /// Adds networks for a word; a single address is a network of one.
    ///
    /// # Errors
    /// When more than [`MAX_NETWORKS`] come together for the word.
    pub fn add(
        &mut self,
        word: &str,
        networks: impl IntoIterator<Item = IpNet>,
    ) -> Result<(), AddressError> {
        let known = self.0.entry(word.to_ascii_lowercase()).or_default();
        for network in networks {
            if known.len() >= MAX_NETWORKS {
                return Err(AddressError::TooMany(word.to_owned()));
            }
            known.push(network.trunc());
        }
        *known = distinct(std::mem::take(known));
        Ok(())
    }

    /// The networks of a word, sorted, none within another; none when the word is not known.
    pub fn of(&self, word: &str) -> Option<&[IpNet]> {
        let found = self.0.get(&word.to_ascii_lowercase());
        found.map(Vec::as_slice).filter(|found| !found.is_empty())
    }

    /// The networks of a party: those given for it, or for what its setting holds.
    pub(crate) fn of_party(
        &self,
        party: &str,
        manifest: &Manifest,
        selection: &Selection,
    ) -> Option<Vec<IpNet>> {
        if let Some(given) = self.of(party) {
            return Some(given.to_vec());
        }
        let value = set_for(party, manifest, selection)?;
        match value.parse::<IpAddr>() {
            Ok(address) => Some(vec![IpNet::from(address)]),
            Err(_) => self.of(value).map(<[IpNet]>::to_vec),
        }
    }

    /// The words that no lane uses, and that no party is called by or found under.
    pub(crate) fn unused(
        &self,
        manifest: &Manifest,
        selection: &Selection,
        lanes: &[Lane],
    ) -> Vec<Unused> {
        let of_lane = |lane: &Lane| match &lane.to {
            Target::Address(_) | Target::Network(_) | Target::Multicast(_) => None,
            Target::Name(_)
            | Target::Wildcard(_)
            | Target::Party(_)
            | Target::Dhcp(_)
            | Target::ServiceTag(_) => Some(lane.to.value().to_ascii_lowercase()),
        };
        let mut used: BTreeSet<String> = lanes.iter().filter_map(of_lane).collect();
        for party in manifest.parties().ids() {
            used.insert(party.to_owned());
            let value = set_for(party, manifest, selection);
            used.extend(value.map(str::to_ascii_lowercase));
        }
        let unused = self.0.keys().filter(|word| !used.contains(*word));
        unused
            .map(|word| Unused {
                word: word.clone(),
                nearest: nearest(word, used.iter().map(String::as_str)),
            })
            .collect()
    }
}

/// What the setting of a party holds: a name or an address.
fn set_for<'a>(party: &str, manifest: &'a Manifest, selection: &'a Selection) -> Option<&'a str> {
    let setting = &manifest.parties().find(party)?.setting.as_ref()?.value;
    let changed = selection.set.get(setting.as_str()).map(String::as_str);
    changed.or_else(|| {
        let default = manifest.settings().get(setting)?.default.as_ref();
        default.map(|default| default.value.0.as_str())
    })
}

fn network(text: &str) -> Result<IpNet, AddressError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network = text.parse::<IpNet>();
    network.map_err(|_| AddressError::Address(text.to_owned()))
}

/// Sorted, without those that lie within another: nftables refuses intervals that overlap.
fn distinct(mut networks: Vec<IpNet>) -> Vec<IpNet> {
    // A network sorts before those within it, and behind it nothing foreign comes between.
    networks.sort_by_key(|network| (network.addr(), network.prefix_len()));
    let mut kept: Vec<IpNet> = Vec::with_capacity(networks.len());
    for network in networks {
        if !kept.last().is_some_and(|last| last.contains(&network)) {
            kept.push(network);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, AddressError> {
        let mut addresses = Addresses::default();
        addresses.read(text)?;
        let word = text.split('=').next().unwrap().to_uppercase();
        let found = addresses.of(&word).unwrap();
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn networks_within_others_are_dropped_and_the_rest_is_sorted() {
        let found =
            read("AzureCloud.westeurope=10.1.0.1, 10.0.0.0/8,10.2.0.0/16,2001:db8::/32,9.0.0.1");
        assert_eq!(
            found.unwrap(),
            ["9.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"]
        );
        assert_eq!(read("a=10.0.0.7/8").unwrap(), ["10.0.0.0/8"]);
    }

    #[test]
    fn an_unused_word_is_told_with_what_was_perhaps_meant() {
        let mut unused = Unused {
            word: "devise".to_owned(),
            nearest: None,
        };
        assert_eq!(unused.to_string(), "no lane uses the address of `devise`");
        unused.nearest = Some("device".to_owned());
        assert_eq!(
            unused.to_string(),
            "no lane uses the address of `devise`; did you mean `device`?"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "a", "a=", "=10.0.0.1"] {
            assert!(
                matches!(read(wrong), Err(AddressError::Shape(_))),
                "{wrong}"
            );
        }
        for wrong in ["a=b", "a=10.0.0.1,", "a=10.0.0.1/33", "a=1.2.3"] {
            assert!(
                matches!(read(wrong), Err(AddressError::Address(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_word_has_a_bound_on_its_networks() {
        let many = (0..=MAX_NETWORKS).map(|n| IpNet::from(IpAddr::from((n as u32).to_be_bytes())));
        let mut addresses = Addresses::default();
        assert!(matches!(
            addresses.add("a", many),
            Err(AddressError::TooMany(_))
        ));
    }
}
