//! The neighbours' column of the board.

use std::collections::BTreeMap;

use serde::Serialize;

/// The other devices of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Neighbours {
    /// The site, once the hub has told it.
    pub site: Option<String>,
    /// The name by which the others know the device.
    pub name: Option<String>,
    /// Where it listens for them.
    pub address: Option<String>,
    /// The epoch of the roster that is believed; 0 as long as the hub has not given any.
    pub roster: u64,
    /// Who belongs to the site beside the device, by that roster.
    pub members: Vec<String>,
    /// Who of them is there.
    pub there: Vec<String>,
    /// Who of those has a way of its own to the hub.
    pub linked: Vec<String>,
    /// Through whom what the device says goes to the hub, while it has no way of its own.
    pub through: Option<String>,
    /// Who coordinates, if somebody does.
    pub coordinator: Option<String>,
    /// What was refused since the start, and how often.
    pub refused: BTreeMap<String, u64>,
    /// Devices whose disks were put back to an earlier state, and who are to be enrolled anew under
    /// other names.
    pub forked: Vec<String>,
}
