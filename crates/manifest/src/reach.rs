//! On which side of the customer's border something stands by its nature.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::diagnostic::Spanned;
use crate::document::destination::Destination;
use crate::document::product::Reach;
use crate::lane::Target;
use crate::name::{Id, Place};

impl Target {
    /// The side that it is on by its nature.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Name(_) | Self::Wildcard(_) | Self::ServiceTag(_) => Reach::Internet,
            Self::Address(address) => of_address(*address),
            Self::Network(network) => of_network(network),
            Self::Party(_) | Self::Dhcp(_) | Self::Multicast(_) => Reach::Site,
        }
    }
}

impl Destination {
    /// The side that it is on, given where the parties stand: the internet when any part of it is
    /// there. None when that is not known.
    pub(crate) fn reach(&self, party: impl Fn(&Id) -> Option<Reach>) -> Option<Reach> {
        match self {
            Self::Party(id) => party(&id.value),
            Self::Places(places) => Some(of_places(places)),
            Self::Alternatives(all) => Some(of_places(std::iter::once(&all.name).chain(&all.or))),
            Self::Dhcp(_) | Self::Multicast(_) => Some(Reach::Site),
            Self::Cloud(_) => Some(Reach::Internet),
        }
    }
}

fn of_places<'a>(places: impl IntoIterator<Item = &'a Spanned<Place>>) -> Reach {
    let mut places = places.into_iter();
    if places.any(|place| of_place(&place.value) == Reach::Internet) {
        Reach::Internet
    } else {
        Reach::Site
    }
}

fn of_place(place: &Place) -> Reach {
    match place {
        Place::Name(_) | Place::Wildcard(_) => Reach::Internet,
        Place::Address(address) => of_address(*address),
        Place::Network(network) => of_network(network),
    }
}

fn of_network(network: &IpNet) -> Reach {
    match (
        of_address(network.network()),
        of_address(network.broadcast()),
    ) {
        (Reach::Site, Reach::Site) => Reach::Site,
        (Reach::Site | Reach::Internet, Reach::Internet) | (Reach::Internet, Reach::Site) => {
            Reach::Internet
        }
    }
}

/// Private (RFC 1918, RFC 4193), link-local and loopback addresses are in the customer's network.
fn of_address(address: IpAddr) -> Reach {
    let local = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    };
    if local { Reach::Site } else { Reach::Internet }
}
