//! The column of the files that the device should hold.

use serde::Serialize;

/// What is kept of the files that the device should hold, and where they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Assets {
    /// How many files are kept.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// The most that they may have.
    pub limit_bytes: u64,
    /// How many were fetched from the hub since the start.
    pub from_hub: u64,
    /// How many were fetched from neighbours since the start.
    pub from_neighbours: u64,
}
