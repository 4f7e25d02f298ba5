//! What is said about the device's neighbours: the other devices of its site.
//!
//! The agent asks by [`NEIGHBOURS`] where the device stands; where the hub does not know its key, the
//! agent hands it over by [`NEIGHBOUR_KEY`]. The hub tells of each new roster by [`ROSTER`].

use serde::{Deserialize, Serialize};

use super::Blob;

/// Answers [`Standing`].
pub const NEIGHBOURS: &str = "Neighbours";
/// Takes a [`NeighbourKey`] and answers [`Standing`].
pub const NEIGHBOUR_KEY: &str = "NeighbourKey";
/// Tells the device a roster of its site, in a [`Blob`], as it is signed.
pub const ROSTER: &str = "Roster";

/// How the device stands among its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its site.
    pub site: String,
    /// Its name at the hub.
    pub device: String,
    /// Its place, once the hub knows a key of its.
    pub place: Option<Place>,
}

/// The device's place among its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The name by which they know it. With another key it has another.
    pub name: String,
    /// Its public key: 32 bytes (RFC 8032, section 5.1.5).
    pub key: Blob,
    /// The site's public key, by which rosters are signed: 32 bytes.
    pub site_key: Blob,
    /// The newest roster, as it is signed: at most 128 KiB.
    pub roster: Blob,
}

/// The key by which the device is to be known to its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourKey {
    /// The public key: 32 bytes (RFC 8032, section 5.1.5).
    pub key: Blob,
    /// That the device has the private half: a signature by it of whom it is for.
    pub proof: Blob,
}
