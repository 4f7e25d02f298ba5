//! Which devices of a site know each other.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::transport::{Ask, Client};

/// A site's roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Roster {
    /// The site.
    pub site: String,
    /// Higher than that of every roster before; 0 as long as no device has shown a key.
    pub epoch: u64,
    /// The site's public key (Ed25519) in base 64, once there is one.
    pub key: Option<String>,
    /// Until when devices believe it without a newer one.
    pub until: Option<String>,
    /// Who belongs to it.
    pub members: Vec<RosterMember>,
    /// Who does not any more, and keys that devices had before.
    pub former: Vec<RosterMember>,
}

/// A device in a roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RosterMember {
    /// The name by which the others know it.
    pub name: String,
    /// The device.
    pub device: String,
    /// Its public key (Ed25519), in base 64.
    pub key: String,
    /// Since when it has that key.
    pub since: String,
}

impl Client {
    /// Which devices of a site know each other on their local network.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no such site; as any request.
    pub async fn roster(&self, site: &str) -> Result<Roster, Error> {
        let ask = Ask::get(["api", "sites", site, "roster"]);
        self.send(&ask).await?.json()
    }
}
