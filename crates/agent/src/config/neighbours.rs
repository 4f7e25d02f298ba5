//! The device among the others of its site.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::ConfigError;
use super::file::wrong;
use crate::lan::neighbours::{KNOWN_MAX, SEARCHED_MAX};

/// The device among the others of its site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// Where it listens for them: the port that the manifest's flow between devices of a site has.
    pub listen: SocketAddr,
    /// Where others may be, for networks without multicast.
    pub known: Vec<SocketAddr>,
    /// An address of each network of the site in which others are looked for, one address after the
    /// other, while some are missing.
    pub search: Vec<IpAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Written {
    listen: SocketAddr,
    #[serde(default)]
    known: Vec<Address>,
    #[serde(default)]
    search: Vec<IpAddr>,
}

/// An address, at the port at which all listen unless it has one of its own.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Address {
    Whole(SocketAddr),
    Bare(IpAddr),
}

impl Written {
    pub(super) fn checked(self) -> Result<Neighbours, ConfigError> {
        if self.known.len() > KNOWN_MAX {
            let right = format!("at most {KNOWN_MAX} addresses");
            return wrong("neighbours.known", &right);
        }
        if self.search.len() > SEARCHED_MAX || !self.search.iter().all(is_of_a_site) {
            let right = format!(
                "at most {SEARCHED_MAX} addresses (IPv4), each of a private network of the site"
            );
            return wrong("neighbours.search", &right);
        }
        let port = self.listen.port();
        let known = self.known.into_iter().map(|address| match address {
            Address::Whole(address) => address,
            Address::Bare(address) => SocketAddr::new(address, port),
        });
        Ok(Neighbours {
            listen: self.listen,
            known: known.collect(),
            search: self.search,
        })
    }
}

/// Whether an address can be searched around: nobody is asked who is not of the site.
fn is_of_a_site(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_private() || address.is_link_local() || address.is_loopback()
        }
        IpAddr::V6(_) => false,
    }
}
