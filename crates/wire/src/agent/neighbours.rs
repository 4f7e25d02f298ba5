//! What is said about the device's neighbours: the other devices of its site.
//!
//! The agent asks by [`NEIGHBOURS`] where the device stands; where the hub does not know its key, the
//! agent hands it over by [`NEIGHBOUR_KEY`]. The hub tells of each new roster by [`ROSTER`]. What a
//! neighbour without a link has to say is handed on by [`RELAY`].

use serde::{Deserialize, Serialize};

use super::{Blob, Delivery, Reached};

/// Answers [`Standing`].
pub const NEIGHBOURS: &str = "Neighbours";
/// Takes a [`NeighbourKey`] and answers [`Standing`].
pub const NEIGHBOUR_KEY: &str = "NeighbourKey";
/// Tells the device a roster of its site, in a [`Blob`], as it is signed.
pub const ROSTER: &str = "Roster";

/// Takes a [`Relayed`] and answers a [`HandedOn`] in JSON, sealed for the neighbour, in a [`Blob`].
pub const RELAY: &str = "Relay";

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
    /// The secret under which the device seals what another is to hand on: 32 bytes.
    pub seal: Blob,
}

/// The key by which the device is to be known to its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourKey {
    /// The public key: 32 bytes (RFC 8032, section 5.1.5).
    pub key: Blob,
    /// That the device has the private half: a signature by it of whom it is for.
    pub proof: Blob,
}

/// What a neighbour says through the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relayed {
    /// The name by which its neighbours know it.
    pub name: String,
    /// A [`Passed`] in JSON, sealed for the hub.
    pub sealed: Blob,
    /// Its signature of that.
    pub signature: Blob,
}

/// What a device says while others hand it on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Higher each time, so that nothing counts that was there before.
    pub counter: i64,
    /// Whether it is of logs rather than of events.
    pub logs: bool,
    /// What would be delivered.
    pub delivery: Delivery,
}

/// What the hub answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOn {
    /// The highest counter so far.
    pub counter: i64,
    /// How far the stream has come; nothing when the counter was not higher than before.
    pub reached: Option<Reached>,
}
