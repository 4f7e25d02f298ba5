//! Which devices of a site know each other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use outgate_core::{Timestamp, identity};

/// A site's roster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Roster {
    /// The site.
    #[schema(example = "store-12")]
    site: String,
    /// Higher than that of every roster before; 0 as long as no device has shown a key.
    epoch: u64,
    /// The site's public key (Ed25519) in base 64, by which its devices believe the roster; null as
    /// long as there is none.
    #[schema(example = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")]
    key: Option<String>,
    /// Until when devices believe it without a newer one.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Who belongs to it: at most 64.
    members: Vec<RosterMember>,
    /// Who does not any more, and keys that devices had before: at most 64.
    former: Vec<RosterMember>,
}

/// A device in a roster.
#[derive(Debug, Serialize, ToSchema)]
struct RosterMember {
    /// The name by which the others know it. With another key a device has another one.
    #[schema(example = "till-7/2")]
    name: String,
    /// The device.
    #[schema(example = "till-7")]
    device: String,
    /// Its public key (Ed25519), in base 64.
    #[schema(example = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")]
    key: String,
    /// Since when it has that key.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<identity::SiteRoster> for Roster {
    fn from(roster: identity::SiteRoster) -> Self {
        let lines = |lines: Vec<identity::RosterMember>| -> Vec<RosterMember> {
            lines.into_iter().map(RosterMember::from).collect()
        };
        Self {
            site: roster.site.into(),
            epoch: roster.epoch,
            key: roster.key.map(|key| STANDARD.encode(key)),
            until: roster.until,
            members: lines(roster.members),
            former: lines(roster.former),
        }
    }
}

impl From<identity::RosterMember> for RosterMember {
    fn from(line: identity::RosterMember) -> Self {
        Self {
            name: line.name,
            device: line.device.into(),
            key: STANDARD.encode(line.key),
            since: line.since,
        }
    }
}
